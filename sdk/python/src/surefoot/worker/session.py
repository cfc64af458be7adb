"""One life of a worker: it registers, polls, works, and leaves.

Three loops share the connection to the server:

* `_fetch` asks for as many tasks as there are free slots, and waits long for them;
* `_deliver` sends results at once while `_fetch` waits, all that have come up in one request;
* `_beat` keeps the leases of tasks that take long, and sends what handlers tell in between.

Any answer to a poll may bring tasks, say which leases to cancel and what became of results, so all
of them end in `_poll`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from surefoot._backoff import Backoff
from surefoot._calls import Reply, refusal
from surefoot._convert import convert
from surefoot._json import encode
from surefoot._settings import SDK, Settings
from surefoot.worker import protocol
from surefoot.worker.context import Report
from surefoot.worker.execution import Execution, Threads
from surefoot.worker.handler import Handler
from surefoot.worker.outbox import Outbox
from surefoot.worker.protocol import Answer, Registration, Result, Task, Verdict
from surefoot.worker.wire import Away, Wire

T = TypeVar("T")
_log = logging.getLogger("surefoot.worker")

POLL_SECONDS = 20.0
# How often at most a handler's progress and lines are sent.
REPORT_SECONDS = 0.25
# How long the server may take to answer the open poll of a worker that drains.
LAST_POLL_SECONDS = 2.0
# How long the last results are tried to be sent before the worker leaves.
LAST_RESULTS_SECONDS = 10.0
# How long handlers that were asked to end may take to clean up.
CLEAN_UP_SECONDS = 1.0
# A lease that gets one of these is another's by now, or nobody's.
LEASE_IS_GONE = frozenset({404, 409, 410})
# A request that gets one of these is wrong in itself.
REFUSED = frozenset({400, 413, 422})


@dataclass(frozen=True)
class Options:
    name: str
    slots: int
    labels: dict[str, str]
    drain_seconds: float


class Session:
    def __init__(
        self, options: Options, handlers: Mapping[str, Handler], settings: Settings
    ) -> None:
        self._options = options
        self._handlers = handlers
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._wire = Wire(settings)
        self._threads = Threads(options.slots)
        self._outbox = Outbox()
        self._running: dict[str, Execution] = {}
        # Kept here, since asyncio holds its tasks only weakly.
        self._executions: set[asyncio.Task[None]] = set()
        self._registration = Registration(worker="")
        self._registering = asyncio.Lock()
        self._draining = asyncio.Event()
        self._slot_is_free = asyncio.Event()
        self._has_news = asyncio.Event()
        self._last_contact = time.monotonic()
        self._is_away = False

    def stop(self) -> None:
        """May be called from any thread."""
        self._loop.call_soon_threadsafe(self._draining.set)

    async def serve(self) -> None:
        """Works until it is told to stop. Raises if the server does not want this worker."""
        try:
            if await self._unless_draining(self._register()):
                await self._work()
        finally:
            self._threads.close()
            await self._wire.close()

    async def _unless_draining(self, step: Awaitable[T]) -> T | None:
        """Awaits a step, and gives it up when the worker is told to stop."""
        work = asyncio.ensure_future(step)
        stop = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            await _cancel(work, stop)

    async def _work(self) -> None:
        fetch = asyncio.ensure_future(self._fetch())
        others = [asyncio.ensure_future(it()) for it in (self._deliver, self._beat, self._tell)]
        stop = asyncio.ensure_future(self._draining.wait())
        try:
            # A loop ends by itself only with an error.
            await asyncio.wait({fetch, *others, stop}, return_when=asyncio.FIRST_COMPLETED)
            if self._draining.is_set():
                await self._drain(fetch)
            for loop in (it for it in (fetch, *others) if it.done() and not it.cancelled()):
                loop.result()
        finally:
            await _cancel(fetch, stop, *others)
            await self._leave()

    # Coming and going

    async def _register(self) -> bool:
        body = protocol.registration(
            self._options.name,
            sorted(self._handlers),
            self._options.labels,
            self._options.slots,
            SDK,
        )
        reply = await self._until_answered(lambda: self._wire.register(body))
        self._refuse(reply, "POST /v1/workers")
        self._registration = convert(reply.json(), Registration, "registration")
        _log.info(
            "worker %s takes %s from %s, %d at once",
            self._registration.worker,
            ", ".join(sorted(self._handlers)),
            self._settings.server,
            self._options.slots,
        )
        return True

    async def _register_again(self, unknown: str) -> None:
        """The server does not know us any more: it was started anew, or waited too long."""
        async with self._registering:
            if self._registration.worker == unknown:
                _log.warning("the server no longer knows worker %s: registering again", unknown)
                await self._register()
                # The old leases may be void; a heartbeat for each one tells.
                await asyncio.gather(*(self._report(it, {}) for it in self._running.values()))

    async def _drain(self, fetch: asyncio.Future[None]) -> None:
        """Takes no more, and finishes what is under way."""
        _log.info("draining: %d under way", len(self._running))
        with contextlib.suppress(Away):
            # The server then answers the open poll, so no task gets lost between it and us.
            reply = await self._wire.drain(self._registration.worker)
            if reply.status < 400:
                await asyncio.wait({fetch}, timeout=LAST_POLL_SECONDS)
        await _cancel(fetch)
        if self._executions:
            await asyncio.wait(self._executions, timeout=self._options.drain_seconds)
        for execution in self._running.values():
            _log.warning("%s is given back: it did not end in time", execution.task.task)
            execution.abandon()
        if self._executions:
            await asyncio.wait(self._executions, timeout=CLEAN_UP_SECONDS)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._outbox.settled(), LAST_RESULTS_SECONDS)

    async def _leave(self) -> None:
        """Gives leases that are still held back at once."""
        for execution in self._running.values():
            execution.abandon()
        with contextlib.suppress(Away):
            await self._wire.leave(self._registration.worker)
        _log.info("worker %s has left", self._registration.worker)

    # The loops

    async def _fetch(self) -> None:
        wait = min(POLL_SECONDS, self._registration.poll_seconds_max)
        while not self._draining.is_set():
            self._slot_is_free.clear()
            free = self._options.slots - len(self._running)
            if free > 0:
                await self._until_answered(lambda free=free: self._poll(free, wait))
            else:
                await self._slot_is_free.wait()

    async def _deliver(self) -> None:
        while True:
            await self._outbox.wait()
            await self._until_answered(lambda: self._poll(0, 0))

    async def _beat(self) -> None:
        while True:
            interval = self._registration.heartbeat_seconds
            silent = time.monotonic() - self._last_contact
            if self._running and silent >= interval:
                # A beat that fails is made up for by the next one.
                with contextlib.suppress(Away):
                    await self._poll(0, 0)
                silent = 0.0
            await asyncio.sleep(max(0.05, interval - silent))

    async def _tell(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            news = [it for it in self._running.values() if not it.report.is_empty]
            await asyncio.gather(*(self._report(it, it.report.take()) for it in news))
            await asyncio.sleep(REPORT_SECONDS)

    # Talking to the server

    async def _until_answered(self, step: Callable[[], Awaitable[T]]) -> T:
        """Tries until there is an answer, more and more seldom."""
        backoff = Backoff(first_seconds=0.1, longest_seconds=10.0)
        attempt = 1
        while True:
            try:
                answer = await step()
            except Away as away:
                if not self._is_away:
                    self._is_away = True
                    _log.warning("the server is away, trying again: %s", away)
                await asyncio.sleep(backoff.delay_seconds(attempt, away.retry_after_seconds))
                attempt += 1
            else:
                if self._is_away:
                    self._is_away = False
                    _log.info("the server is back")
                return answer

    async def _poll(self, slots: int, wait_seconds: float) -> None:
        """Makes one poll. Results that it takes along do not wait for tasks to come."""
        results = self._outbox.take()
        wait = 0 if results else wait_seconds
        worker = self._registration.worker
        self._last_contact = time.monotonic()
        # A task that the server gave us in an answer that got lost is not among these, and soon
        # goes to somebody else.
        holding = [*self._running, *self._outbox.leases()]
        try:
            body = protocol.poll(slots, wait, results, holding)
            reply = await self._wire.poll(worker, body, wait)
        except BaseException:
            self._outbox.put_back(results)
            raise
        if reply.status == 404:
            self._outbox.put_back(results)
            await self._register_again(worker)
            return
        if reply.status in REFUSED and results:
            # One of them is at fault; the others must not suffer for it.
            await asyncio.gather(*(self._deliver_alone(it) for it in results))
        else:
            self._refuse(reply, "POST /v1/workers/{id}/poll")
            self._take(Answer.of(reply.json()), results)
        self._outbox.acknowledge(results)

    def _take(self, answer: Answer, sent: list[Result]) -> None:
        tasks = {it.task.lease: it.task for it in sent}
        for verdict in answer.results:
            if verdict.lease in tasks:
                _log_verdict(tasks[verdict.lease], verdict)
        for lease in answer.cancelled:
            if lease in self._running:
                self._running[lease].cancel()
        for task in answer.tasks:
            self._begin(task)
        if answer.drain:
            self._draining.set()

    async def _deliver_alone(self, result: Result) -> None:
        """Sends one result by itself; one that the server cannot take fails its task."""
        task = result.task
        verb = "complete" if result.outcome.field == "output" else "fail"
        reply = await self._until_answered(
            lambda: self._wire.lease(task.lease, verb, result.for_lease())
        )
        problem = reply.json() if reply.status >= 400 else None
        _log_verdict(task, Verdict(task.lease, reply.status, problem))
        if reply.status in REFUSED:
            # The server may have failed it by itself already; then this changes nothing.
            why = str(refusal(reply, f"POST /v1/leases/{{lease}}/{verb}"))
            outcome = protocol.failed("invalid_output", why, retryable=False)
            body = Result(task, outcome).for_lease()
            await self._until_answered(lambda: self._wire.lease(task.lease, "fail", body))

    async def _report(self, execution: Execution, body: dict[str, Any]) -> None:
        """Sends what a handler told, and learns whether it should end."""
        try:
            reply = await self._wire.lease(execution.task.lease, "heartbeat", encode(body))
        except Away:
            execution.report.put_back(body)
            return
        if reply.status in LEASE_IS_GONE:
            _log.warning("%s is not ours any more: asking it to end", execution.task.task)
            execution.abandon()
        elif reply.status == 200 and reply.json().get("cancel"):
            execution.cancel()

    def _refuse(self, reply: Reply, request: str) -> None:
        if reply.status >= 400:
            raise refusal(reply, request)

    # Working

    def _begin(self, task: Task) -> None:
        handler = self._handlers.get(task.uses)
        if handler is None:
            error = protocol.failed("no_handler", f"this worker has no handler for {task.uses}")
            self._outbox.put(Result(task, error))
            return
        execution = Execution(task, handler, Report(self._on_news), self._threads)
        self._running[task.lease] = execution
        under_way = asyncio.ensure_future(self._finish(execution))
        self._executions.add(under_way)
        under_way.add_done_callback(self._executions.discard)

    def _on_news(self) -> None:
        self._loop.call_soon_threadsafe(self._has_news.set)

    async def _finish(self, execution: Execution) -> None:
        """Sees an attempt through to its end, and frees its slot."""
        try:
            outcome = await execution.outcome()
            if not execution.report.is_empty and not execution.is_void:
                # After the result the lease takes no more lines.
                await self._report(execution, execution.report.take())
            if not execution.is_void:
                self._outbox.put(Result(execution.task, outcome))
            await execution.ended()
        finally:
            del self._running[execution.task.lease]
            self._slot_is_free.set()


def _log_verdict(task: Task, verdict: Verdict) -> None:
    if verdict.status != 200:
        why = (verdict.problem or {}).get("detail") or (verdict.problem or {}).get("title") or ""
        _log.warning(
            "the result of %s of run %s was dropped (%d): %s",
            task.task,
            task.run,
            verdict.status,
            why or "the lease is not ours any more",
        )


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    for it in futures:
        it.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
