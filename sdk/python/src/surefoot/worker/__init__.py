"""Workers: programs that execute the custom tasks of workflows."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from surefoot._settings import Settings
from surefoot.worker.context import Ctx
from surefoot.worker.handler import Handler
from surefoot.worker.session import Options, Session

__all__ = ["Ctx", "Worker"]

Function = TypeVar("Function", bound=Callable[..., Any])

SLOTS_MAX = 1_000
_log = logging.getLogger("surefoot.worker")


class Worker:
    """Executes tasks of the kinds that it has handlers for, `slots` at once.

    `server` and `token` come from `SUREFOOT_SERVER` and `SUREFOOT_TOKEN`, when the worker runs, if
    they are not given. Told to stop (SIGTERM, SIGINT, `stop()`), it takes no more tasks, finishes
    those that it has, for at most `drain_seconds`, and gives the others back.
    """

    def __init__(
        self,
        *,
        slots: int = 8,
        labels: Mapping[str, str] | None = None,
        server: str | None = None,
        token: str | None = None,
        name: str | None = None,
        drain_seconds: float = 30.0,
    ) -> None:
        if not 1 <= slots <= SLOTS_MAX:
            raise ValueError(f"slots must be from 1 to {SLOTS_MAX}, not {slots}")
        self._server = server
        self._token = token
        self._options = Options(
            name=name or f"{socket.gethostname()}-python",
            slots=slots,
            labels=dict(labels or {}),
            drain_seconds=drain_seconds,
        )
        self._handlers: dict[str, Handler] = {}
        # Guards the two below: `stop` may come from any thread, also before the session is there.
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._is_stopping = False

    def handler(
        self, uses: str, *, timeout: float | timedelta | None = None
    ) -> Callable[[Function], Function]:
        """Makes a function the handler of tasks that say `uses: NAME`.

        The function takes the task's input, or a `Ctx`, or both, or nothing. The input is converted
        to what it is annotated with; one that does not fit fails the task for good. What the
        function returns is the task's output. What it raises follows the definition's retry policy,
        save for `Fatal`.

        A function that is not `async` runs in a thread. An attempt longer than `timeout` fails.
        """

        def register(function: Function) -> Function:
            if uses in self._handlers:
                raise ValueError(f"there already is a handler for {uses!r}")
            self._handlers[uses] = Handler.of(uses, function, timeout)
            return function

        return register

    @property
    def capabilities(self) -> list[str]:
        return sorted(self._handlers)

    def run(self) -> None:
        """Works until it is told to stop."""
        _log_to_terminal()
        with self._signals():
            asyncio.run(self.serve())

    async def serve(self, *, server: str | None = None) -> None:
        """Works until it is told to stop, in a program that has an event loop of its own."""
        if not self._handlers:
            raise ValueError("a worker without handlers has nothing to do")
        settings = Settings.resolve(server or self._server, self._token)
        session = Session(self._options, self._handlers, settings)
        with self._lock:
            if self._session is not None:
                raise RuntimeError("the worker already runs")
            self._session = session
            if self._is_stopping:
                session.stop()
        try:
            await session.serve()
        finally:
            with self._lock:
                self._session = None
                self._is_stopping = False

    def stop(self) -> None:
        """Asks the worker to end what it has begun and to stop. May be called from any thread."""
        with self._lock:
            self._is_stopping = True
            if self._session is not None:
                self._session.stop()

    @contextmanager
    def _signals(self) -> Generator[None, None, None]:
        """Stops at SIGTERM and SIGINT. A second one ends the process as it would without us."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)

        def on_signal(number: int, frame: object) -> None:
            for it in numbers:
                signal.signal(it, previous[it])
            self.stop()

        previous = {it: signal.signal(it, on_signal) for it in numbers}
        try:
            yield
        finally:
            for it in numbers:
                signal.signal(it, previous[it])


def _log_to_terminal() -> None:
    """Shows what the worker logs, in a program that has not said where logs go."""
    logger = logging.getLogger("surefoot")
    if not logging.getLogger().handlers and not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
