"""What a handler knows of its attempt, and what it can tell of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from surefoot.errors import Cancelled
from surefoot.worker.protocol import Task, clean

Level = Literal["debug", "info", "warn", "error"]

# A handler that logs faster than the server takes it loses its oldest lines.
LOG_LINES_MAX = 1_000


class Ctx:
    """One attempt at a task. May be used from the handler's threads and from its event loop."""

    def __init__(self, task: Task, report: Report) -> None:
        self._report = report
        self._end = threading.Event()
        self.run = task.run
        self.workflow = task.workflow
        self.version = task.version
        # The path of the task in its run: `reserve[3]`.
        self.task = task.task
        self.attempt = task.attempt
        # The same for all attempts at this task: pass it on to whatever must not happen twice.
        self.idempotency_key = task.idempotency_key
        # Who started the run.
        self.actor = task.actor
        # When the server stops waiting for this attempt.
        self.deadline: datetime | None = task.deadline
        # Of the W3C trace that the run belongs to: pass both on to whatever is called.
        self.traceparent = task.traceparent
        self.tracestate = task.tracestate

    def __repr__(self) -> str:
        return f"<Ctx {self.run} {self.task}, attempt {self.attempt}>"

    @property
    def cancelled(self) -> bool:
        """Whether the attempt should end: its result is not wanted any more, or its time is up.

        An `async` handler is cancelled as asyncio does it; one in a thread has to look.
        """
        return self._end.is_set()

    def check(self) -> None:
        """Raises `Cancelled` if the attempt should end."""
        if self.cancelled:
            raise Cancelled("cancelled")

    def sleep(self, seconds: float) -> None:
        """Sleeps in a thread, and raises `Cancelled` as soon as the attempt should end."""
        self._end.wait(seconds)
        self.check()

    def progress(self, fraction: float | None = None, message: str | None = None) -> None:
        """Tells how far the attempt is, from 0 to 1, and what it is at. Returns at once."""
        inside = None if fraction is None else min(1.0, max(0.0, float(fraction)))
        self._report.add_progress(inside, message)

    def log(self, text: str, level: Level = "info") -> None:
        """Adds a line to the task's log. Returns at once."""
        self._report.add_line(level, text)

    def _ask_to_end(self) -> None:
        self._end.set()


@dataclass
class Report:
    """What a handler has told and the server does not know yet."""

    # Called when there is something new, from whatever thread told it.
    on_news: Callable[[], None]
    _news: dict[str, Any] = field(default_factory=dict[str, Any])
    _lines: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_progress(self, fraction: float | None, message: str | None) -> None:
        told = {"progress": fraction, "message": None if message is None else clean(message)}
        with self._lock:
            self._news |= {name: value for name, value in told.items() if value is not None}
        self.on_news()

    def add_line(self, level: str, text: str) -> None:
        line = {"level": level, "text": clean(text)}
        with self._lock:
            self._lines = [*self._lines[1 - LOG_LINES_MAX :], line]
        self.on_news()

    @property
    def is_empty(self) -> bool:
        return not self._news and not self._lines

    def take(self) -> dict[str, Any]:
        """Returns the body of a heartbeat, and forgets it."""
        with self._lock:
            body = self._news | ({"logs": self._lines} if self._lines else {})
            self._news, self._lines = {}, []
        return body

    def put_back(self, body: dict[str, Any]) -> None:
        """Takes over what could not be sent; newer progress stands."""
        with self._lock:
            told = {name: value for name, value in body.items() if name != "logs"}
            self._news = told | self._news
            self._lines = [*body.get("logs", []), *self._lines][-LOG_LINES_MAX:]
