"""One attempt at a task: the handler's function, where it runs, and how it is asked to end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import queue
import threading
from collections.abc import Callable

from surefoot.errors import Cancelled, ConversionError, TaskFailure
from surefoot.worker.context import Ctx, Report
from surefoot.worker.handler import Handler
from surefoot.worker.protocol import Outcome, Task, failed

_log = logging.getLogger("surefoot.worker")


class Execution:
    """An attempt under way."""

    def __init__(self, task: Task, handler: Handler, report: Report, threads: Threads) -> None:
        self.task = task
        self.report = report
        # Nobody wants the result any more: the lease is lost, or the worker gives it back.
        self.is_void = False
        self._ctx = Ctx(task, report)
        self._handler = handler
        self._work = self._begin(threads)

    def _begin(self, threads: Threads) -> asyncio.Future[Outcome]:
        try:
            arguments = self._handler.arguments(self.task.input, self._ctx)
        except ConversionError as error:
            done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            done.set_result(Outcome.of_bad_input(error))
            return done
        if self._handler.is_async:
            return asyncio.ensure_future(self._call_async(arguments))
        context = contextvars.copy_context()
        return threads.submit(lambda: context.run(self._call, arguments))

    def _call(self, arguments: list[object]) -> Outcome:
        try:
            return Outcome.of_output(self._handler.function(*arguments))
        except BaseException as error:
            return self._failure(error)

    async def _call_async(self, arguments: list[object]) -> Outcome:
        try:
            return Outcome.of_output(await self._handler.function(*arguments))
        except asyncio.CancelledError:
            return Outcome.of_error(Cancelled("cancelled"))
        except Exception as error:
            return self._failure(error)

    def _failure(self, error: BaseException) -> Outcome:
        # What a handler raises on purpose needs no traceback.
        trace = None if isinstance(error, TaskFailure) else error
        _log.warning(
            "%s of run %s, attempt %d, failed: %s: %s",
            self.task.task,
            self.task.run,
            self.task.attempt,
            type(error).__name__,
            error,
            exc_info=trace,
        )
        return Outcome.of_error(error)

    async def outcome(self) -> Outcome:
        """Waits for the end of the handler or of its time, whichever comes first."""
        limit = self._handler.timeout_seconds
        done, _ = await asyncio.wait({self._work}, timeout=limit)
        if done and self._work.cancelled():  # before it had begun
            return Outcome.of_error(Cancelled("cancelled"))
        if done:
            return self._work.result()
        self.cancel()
        return failed("timeout", f"the handler took longer than {limit:g} s")

    async def ended(self) -> None:
        """Waits until the handler really has ended, also if its time was up before."""
        await asyncio.wait({self._work})

    def cancel(self) -> None:
        """Asks the handler to end."""
        self._ctx._ask_to_end()  # pyright: ignore[reportPrivateUsage] (handlers must not call it)
        if self._handler.is_async:
            self._work.cancel()

    def abandon(self) -> None:
        """Asks the handler to end, and drops whatever it results in."""
        self.is_void = True
        self.cancel()


class Threads:
    """Threads for handlers that are not `async`, started as they are needed.

    They are daemons: a handler that does not end must not keep the process from ending.
    """

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._size = 0
        self._idle = 0
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, call: Callable[[], Outcome]) -> asyncio.Future[Outcome]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            self._idle += 1
            if not future.done():
                future.set_result(outcome)

        def work() -> None:
            outcome = call()
            try:
                loop.call_soon_threadsafe(settle, outcome)
            except RuntimeError:
                _log.debug("a handler ended after its worker")

        if self._idle == 0 and self._size < self._size_max:
            self._size += 1
            threading.Thread(target=self._serve, name="surefoot-handler", daemon=True).start()
        else:
            self._idle -= 1
        self._calls.put(work)
        return future

    def _serve(self) -> None:
        while (work := self._calls.get()) is not None:
            work()

    def close(self) -> None:
        """Lets every thread end after what it is doing."""
        for _ in range(self._size):
            self._calls.put(None)
