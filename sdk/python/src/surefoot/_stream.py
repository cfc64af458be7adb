"""Following runs: what a stream of events does next, whoever reads its bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from surefoot import _calls
from surefoot._calls import Record, Reply
from surefoot._convert import convert
from surefoot._retry import RetryPolicy
from surefoot._sse import Message, Parser
from surefoot.errors import SurefootError
from surefoot.models import ENDED, Event, RunEvent

PATH = "/v1/events"
# The server says something every 15 seconds; a connection that is silent for three times as long is
# dead without knowing it.
SILENCE_SECONDS_MAX = 45.0
# The type of the event that tells of a connection. It is ours, not the server's.
OPENED = "opened"


class Follower:
    """Keeps the place in a stream over its connections, and decides when to connect again."""

    def __init__(self, topics: Sequence[str], last_event_id: str, policy: RetryPolicy) -> None:
        self._topics = topics
        self._parser = Parser(last_event_id)
        self._policy = policy
        self._failures = 0

    def query(self) -> dict[str, str]:
        return {"topics": ",".join(self._topics)}

    def headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._parser.last_id:
            headers["Last-Event-ID"] = self._parser.last_id
        return headers

    def opened(self) -> Event:
        # What the last connection left half said is not continued by the next one.
        self._parser = Parser(self._parser.last_id)
        self._failures = 0
        return Event(OPENED, self._parser.last_id, {})

    def feed(self, piece: bytes) -> Iterator[Event]:
        return map(_event, self._parser.feed(piece))

    def ended(self) -> float:
        """The server closed the stream in good order: it stops, and will be back."""
        return self._policy.backoff.delay_seconds(1)

    def failed(self, outcome: Reply | SurefootError) -> float:
        """Returns how long to wait before the next connection, or raises why there is none."""
        request = f"GET {PATH}"
        if self._policy.is_final(outcome):
            raise _calls.refusal(outcome, request)
        self._failures += 1
        return self._policy.delay_seconds(self._failures, request, outcome)


def _event(message: Message) -> Event:
    try:
        data: object = json.loads(message.data)
    except ValueError:
        data = None
    # What is not an object is no event of this version; its name and place still count.
    known = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    return Event(message.event, message.id, known)


class Journal:
    """Joins a run's stored records with those that come live: each once, in order."""

    def __init__(self) -> None:
        self.next_seq = 0
        self._has_any = False

    def live(self, event: Event) -> list[Record] | None:
        """Returns the records of an event, or nothing if the stored ones have to be asked for."""
        if event.type != "record":
            return None if event.type in (OPENED, "reset") else []
        record = convert(event.data, Record, "record")
        is_gap = record.seq > self.next_seq and self._has_any
        return None if is_gap else [record]

    @staticmethod
    def has_ended(event: Event) -> bool:
        return event.type == "record" and event.data.get("status") in ENDED

    def new(self, records: Iterable[Record]) -> Iterator[RunEvent]:
        for record in records:
            if record.seq >= self.next_seq:
                self.next_seq = record.seq + 1
                self._has_any = True
                yield from record.flat()


class Wait:
    """Cuts a wait into requests that a server is willing to hold."""

    def __init__(self, timeout: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = None if timeout is None else clock() + timeout

    def next_seconds(self) -> int:
        if self._end is None:
            return _calls.WAIT_SECONDS_MAX
        # Rounded up: a wait of nothing would ask again at once, and again.
        left = max(0, -int(-(self._end - self._clock()) // 1))
        return min(_calls.WAIT_SECONDS_MAX, left)

    def is_over(self) -> bool:
        return self._end is not None and self._clock() >= self._end
