"""The client for programs without an event loop. `AsyncClient` is the same for those with one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from surefoot import _calls, _stream
from surefoot._calls import Call, Reply, Source
from surefoot._retry import RetryPolicy
from surefoot._settings import Settings
from surefoot.errors import StillRunning, SurefootError, unreachable
from surefoot.models import Deployed, Event, LogLine, RunEvent, RunInfo

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Client:
    """Deploys definitions, starts runs and follows them.

    `server` and `token` come from `SUREFOOT_SERVER` and `SUREFOOT_TOKEN` if they are not given.
    May be used by several threads.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        attempts: int = 5,
    ) -> None:
        # Its import takes longer than all of this package; who only declares handlers is spared it.
        import httpx

        self._settings = Settings.resolve(server, token)
        self._timeout = timeout
        self._policy = RetryPolicy.of_client(attempts)
        self._http: httpx.Client = httpx.Client(
            base_url=self._settings.server,
            headers=self._settings.headers(),
            timeout=timeout,
            trust_env=self._settings.trusts_environment,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @property
    def server(self) -> str:
        return self._settings.server

    def deploy(self, source: Source) -> list[Deployed]:
        """Deploys every workflow of a file (`Path`), of YAML or JSON text, or of a mapping.

        The same content again is the same version. A definition with errors raises `Invalid`.
        """
        return [self.send(_calls.deploy(it)) for it in _calls.documents(source)]

    def start(
        self,
        workflow: str,
        input: object = None,  # noqa: A002
        *,
        key: str | None = None,
        version: str | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Run:
        """Starts a run. With a `key` that a run has, that run is returned and nothing starts."""
        info = self.send(_calls.start(workflow, input, key, version, at, priority, labels))
        return Run(self, info)

    def run(self, run_id: str) -> Run:
        """Looks a run up."""
        return Run(self, self.send(_calls.run(run_id)))

    def runs(
        self,
        *,
        workflow: str | None = None,
        status: str | None = None,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        page_size: int | None = None,
    ) -> Iterator[RunInfo]:
        """Iterates over all runs that match; pages are fetched as they are needed."""
        filters = _calls.run_filters(workflow, status, key, labels, since, page_size)
        return self.pages("/v1/runs", RunInfo, filters)

    def pages(self, place: str, wanted: type[T], query: Mapping[str, str]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page, cursor = self.send(_calls.page(place, wanted, query, cursor))
            yield from page
            if cursor is None:
                return

    def events(self, *topics: str, last_event_id: str | None = None) -> Iterator[Event]:
        """Follows topics such as `run:ID`, `runs:workflow=order` or `logs:RUN/TASK`, for ever.

        A connection that breaks is made again and goes on where it was. Pass the `id` of an event
        as `last_event_id` to go on where another iteration has stopped.
        """
        follower = _stream.Follower(topics, last_event_id or "", self._policy)
        for event in self._follow(follower):
            if event.type != _stream.OPENED:
                yield event

    def records(self, run_id: str, first: int = 0) -> Iterator[_calls.Record]:
        position: int | None = first
        while position is not None:
            page, position = self.send(_calls.history(run_id, position))
            yield from page

    def journal(self, run_id: str) -> Iterator[RunEvent]:
        follower = _stream.Follower([f"run:{run_id}"], "", self._policy)
        journal = _stream.Journal()
        for event in self._follow(follower):
            live = journal.live(event)
            if live is None:
                # What is written while the stream is opened is in both, and told once.
                has_ended = self.send(_calls.run(run_id)).has_ended
                live = list(self.records(run_id, journal.next_seq))
            else:
                has_ended = journal.has_ended(event)
            yield from journal.new(live)
            if has_ended:
                return

    def _follow(self, follower: _stream.Follower) -> Iterator[Event]:
        import httpx

        while True:
            try:
                with self._open(follower) as response:
                    if response.status_code == 200:
                        yield follower.opened()
                        for piece in response.iter_raw():
                            yield from follower.feed(piece)
                        delay = follower.ended()
                    else:
                        response.read()
                        delay = follower.failed(_reply(response))
            except httpx.TransportError as error:
                delay = follower.failed(unreachable(self.server, error))
            time.sleep(delay)

    def _open(self, follower: _stream.Follower) -> AbstractContextManager[httpx.Response]:
        import httpx

        timeout = httpx.Timeout(self._timeout, read=_stream.SILENCE_SECONDS_MAX)
        return self._http.stream(
            "GET",
            _stream.PATH,
            params=follower.query(),
            headers=follower.headers(),
            timeout=timeout,
        )

    def send(self, call: Call[T]) -> T:
        """Sends one request, again if need be."""
        attempt = 1
        while True:
            outcome = self._attempt(call)
            if self._policy.is_final(outcome):
                return call.answer(outcome)
            time.sleep(self._policy.delay_seconds(attempt, call.name, outcome))
            attempt += 1

    def _attempt(self, call: Call[Any]) -> Reply | SurefootError:
        import httpx

        try:
            response = self._http.request(
                call.method,
                call.path,
                params=dict(call.query),
                headers=dict(call.headers),
                content=call.body,
                timeout=self._timeout + call.wait_seconds,
            )
        except httpx.TransportError as error:
            return unreachable(self.server, error)
        return _reply(response)


class Run:
    """A run, by its id. Its attributes are as of the last answer; `refresh` asks again."""

    def __init__(self, client: Client, info: RunInfo) -> None:
        self._client = client
        self.info = info

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.info.workflow}: {self.status}>"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def status(self) -> str:
        return self.info.status

    def refresh(self) -> Run:
        self.info = self._client.send(_calls.run(self.id))
        return self

    @overload
    def result(self, wanted: type[T], *, timeout: float | None = None) -> T: ...

    @overload
    def result(self, *, timeout: float | None = None) -> Any: ...

    def result(self, wanted: Any = Any, *, timeout: float | None = None) -> Any:
        """Waits for the end and returns the output, as a `wanted` if that is given.

        Raises `RunFailed` or `RunCancelled` if the run ends so, and `StillRunning` if it has not
        ended after `timeout` seconds.
        """
        wait = _stream.Wait(timeout, time.monotonic)
        while True:
            has_ended, output = self._client.send(
                _calls.result(self.id, wanted, wait.next_seconds())
            )
            if has_ended:
                return output
            if wait.is_over():
                raise StillRunning(self.id, timeout or 0)

    def signal(self, name: str, data: object = None) -> None:
        """Sends a signal, or an event of a machine."""
        self._client.send(_calls.signal(self.id, name, data))

    def cancel(self, reason: str | None = None) -> Run:
        return self._control("cancel", reason)

    def pause(self, reason: str | None = None) -> Run:
        return self._control("pause", reason)

    def resume(self, reason: str | None = None) -> Run:
        return self._control("resume", reason)

    def retry(self, reason: str | None = None) -> Run:
        """Runs again what failed, was cut off or was undone, and all behind it."""
        return self._control("retry", reason)

    def _control(self, verb: str, reason: str | None) -> Run:
        self.info = self._client.send(_calls.control(self.id, verb, reason))
        return self

    def history(self) -> Iterator[RunEvent]:
        """Iterates over what has happened so far."""
        for record in self._client.records(self.id):
            yield from record.flat()

    def logs(self, task: str) -> Iterator[LogLine]:
        """Iterates over the lines that a task has written so far, of all its attempts."""
        place = _calls.path("runs", self.id, "tasks", task, "logs")
        return self._client.pages(place, LogLine, {})

    def events(self) -> Iterator[RunEvent]:
        """Iterates over what has happened and what happens, until the run has ended.

        Each event comes once and in order, also when the connection breaks or the server starts
        anew in between.
        """
        return self._client.journal(self.id)


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)
