"""Handlers, outcomes, reports and the outbox, without a server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Cancelled, Ctx, Fatal, Retry, Worker
from surefoot.worker import outbox, protocol
from surefoot.worker.context import LOG_LINES_MAX, Report
from surefoot.worker.execution import Execution, Threads
from surefoot.worker.handler import Handler
from surefoot.worker.outbox import Outbox
from surefoot.worker.protocol import Answer, Outcome, Result, Task


class Order(BaseModel):
    id: str
    amount: float


def task(given: Any = None, lease: str = "ls_1") -> Task:
    return Task(
        lease=lease,
        run="r",
        workflow="w",
        version="1",
        task="pay",
        uses="pay",
        attempt=1,
        idempotency_key="k",
        input=given,
    )


def run(function: Callable[..., Any], given: Any = None, timeout: float | None = None) -> Any:
    """Runs one attempt and returns what would be sent."""

    async def attempt() -> Outcome:
        handler = Handler.of("pay", function, timeout)
        return await Execution(task(given), handler, quiet(), Threads(1)).outcome()

    outcome = asyncio.run(attempt())
    return {outcome.field: json.loads(outcome.json)}


def quiet() -> Report:
    return Report(lambda: None)


def takes_both(order: Order, ctx: Ctx) -> str:
    return f"{order.id} {ctx.attempt}"


def takes_context_first(ctx: Ctx, order: Order) -> str:
    return f"{order.id} {ctx.attempt}"


def takes_nothing() -> str:
    return "nothing"


def takes_anything(value: Any) -> Any:
    return value


async def is_async(order: Order) -> Order:
    await asyncio.sleep(0)
    return order


ORDER = {"id": "8812", "amount": 1}


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (takes_both, "8812 1"),
        (takes_context_first, "8812 1"),
        (takes_nothing, "nothing"),
        (takes_anything, ORDER),
        (is_async, {"id": "8812", "amount": 1.0}),
    ],
)
def test_a_handler_is_given_what_it_takes(function: Callable[..., Any], output: Any) -> None:
    assert run(function, ORDER) == {"output": output}


def test_bad_input_is_fatal_and_named() -> None:
    error = run(takes_both, {"id": "8812", "amount": "much"})["error"]
    assert error["type"] == "invalid_input"
    assert error["retryable"] is False
    assert error["message"].startswith("input.amount: Input should be a valid number")
    assert error["details"][0]["field"] == "input.amount"


def raises(error: BaseException) -> Callable[[], None]:
    def handler() -> None:
        raise error

    return handler


class HTTPStatusError(Exception):
    """Stands for an exception of a library."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Fatal("no"), ("fatal", "no", False, None)),
        (Fatal("no", type="declined"), ("declined", "no", False, None)),
        (Retry("later", after=1.5), ("retry", "later", True, 1500)),
        (Retry("later", after=timedelta(minutes=1)), ("retry", "later", True, 60_000)),
        (Retry(), ("retry", "retry", True, None)),
        (ValueError("x"), ("value_error", "x", True, None)),
        (HTTPStatusError("503"), ("http_status_error", "503", True, None)),
        (KeyError(), ("key_error", "KeyError", True, None)),
        (SystemExit(3), ("system_exit", "3", True, None)),
        (Cancelled("stop"), ("cancelled", "stop", False, None)),
        (ValueError("\ud800"), ("value_error", "?", True, None)),
        (ValueError("x" * 20_000), ("value_error", "x" * 10_000, True, None)),
        (Fatal("no", details=object()), ("fatal", "no", False, None)),
    ],
)
def test_what_a_handler_raises_becomes_an_error(error: BaseException, expected: Any) -> None:
    sent = run(raises(error))["error"]
    assert (sent["type"], sent["message"], sent["retryable"], sent["retry_after_ms"]) == expected


@pytest.mark.parametrize("output", [float("nan"), object(), "\ud800"])
def test_output_that_json_cannot_tell_is_fatal(output: Any) -> None:
    error = run(lambda: output)["error"]
    assert (error["type"], error["retryable"]) == ("invalid_output", False)


def test_time_is_up_in_a_thread() -> None:
    seen: list[bool] = []

    def slow(ctx: Ctx) -> None:
        try:
            ctx.sleep(60)
        finally:
            seen.append(ctx.cancelled)

    assert run(slow, timeout=0.01)["error"]["type"] == "timeout"
    until(lambda: seen == [True])


def test_time_is_up_in_the_loop() -> None:
    async def slow() -> None:
        await asyncio.sleep(60)

    assert run(slow, timeout=0.01)["error"] == {
        "type": "timeout",
        "message": "the handler took longer than 0.01 s",
        "retryable": True,
        "retry_after_ms": None,
        "details": None,
    }


@pytest.mark.parametrize("is_begun", [True, False])
def test_an_async_handler_is_cancelled(is_begun: bool) -> None:
    async def attempt() -> Outcome:
        handler = Handler.of("pay", asyncio.Event().wait, None)
        execution = Execution(task(), handler, quiet(), Threads(1))
        if is_begun:
            await asyncio.sleep(0)
        execution.cancel()
        return await execution.outcome()

    assert json.loads(asyncio.run(attempt()).json)["type"] == "cancelled"


def until(condition: Callable[[], bool]) -> None:
    """Waits for another thread."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_threads_are_reused() -> None:
    names: set[int] = set()

    def note() -> Outcome:
        names.add(threading.get_ident())
        return Outcome("output", b"1")

    async def several() -> None:
        threads = Threads(4)
        for _ in range(10):
            await threads.submit(note)
        threads.close()

    asyncio.run(several())
    assert len(names) == 1


@pytest.mark.parametrize(
    "function",
    [lambda a, b: None, lambda *, a: None],  # pyright: ignore
    ids=["two inputs", "a keyword"],
)
def test_a_function_that_nobody_can_call_is_refused_at_once(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="handler 'pay'"):
        Worker().handler("pay")(function)


def test_annotations_that_cannot_be_read_are_refused_at_once() -> None:
    class Hidden:
        pass

    def handler(value: Hidden) -> None: ...

    with pytest.raises(TypeError, match="top level of a module"):
        Worker().handler("pay")(handler)


def test_one_kind_has_one_handler() -> None:
    worker = Worker()
    worker.handler("pay")(takes_nothing)
    with pytest.raises(ValueError, match="already"):
        worker.handler("pay")(takes_nothing)


@pytest.mark.parametrize("slots", [0, -1, 1_001])
def test_slots_have_limits(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        Worker(slots=slots)


def test_a_worker_without_handlers_is_refused() -> None:
    with pytest.raises(ValueError, match="without handlers"):
        Worker().run()


def test_reports_are_joined() -> None:
    news: list[int] = []
    report = Report(lambda: news.append(1))
    ctx = Ctx(task(), report)
    ctx.progress(0.2, "begun")
    ctx.progress(7)
    ctx.log("one")
    ctx.log("two", "warn")
    body = report.take()
    lines = [{"level": "info", "text": "one"}, {"level": "warn", "text": "two"}]
    assert body == {"progress": 1.0, "message": "begun", "logs": lines}
    assert len(news) == 4
    assert report.is_empty
    ctx.progress(0.9)
    report.put_back(body)
    assert report.take() == body | {"progress": 0.9}


def test_lines_have_a_limit() -> None:
    report = quiet()
    for at in range(LOG_LINES_MAX + 5):
        report.add_line("info", str(at))
    lines = report.take()["logs"]
    assert len(lines) == LOG_LINES_MAX
    assert lines[-1]["text"] == str(LOG_LINES_MAX + 4)


def result(size: int = 1) -> Result:
    return Result(task(), Outcome("output", b"1" * size))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], 0),
        ([1] * 5, 5),
        ([1] * (outbox.RESULTS_MAX + 1), outbox.RESULTS_MAX),
        ([outbox.BYTES_MAX * 2, 1], 1),
        ([outbox.BYTES_MAX // 2, outbox.BYTES_MAX // 2, 1], 1),
    ],
)
def test_one_request_takes_so_much(sizes: list[int], expected: int) -> None:
    box = Outbox()
    for size in sizes:
        box.put(result(size))
    assert len(box.take()) == expected


def test_the_outbox_is_settled_once_all_is_acknowledged() -> None:
    async def settle() -> None:
        box = Outbox()
        await box.settled()
        first, second = result(), result()
        box.put(first)
        box.put(second)
        taken = box.take()
        box.put_back(taken)
        await box.wait()
        assert box.take() == [first, second]
        assert not await is_settled(box)
        box.acknowledge(taken)
        await box.settled()

    async def is_settled(box: Outbox) -> bool:
        try:
            await asyncio.wait_for(box.settled(), 0.01)
        except asyncio.TimeoutError:
            return False
        return True

    asyncio.run(settle())


def test_messages_are_as_the_protocol_says() -> None:
    done = Result(task(), Outcome.of_output({"charge": "c1"}))
    lost = Result(task(lease="ls_2"), protocol.failed("declined", "no", retryable=False))
    error = {"type": "declined", "message": "no", "retryable": False}
    error |= {"retry_after_ms": None, "details": None}
    assert json.loads(protocol.poll(4, 20.0, [done, lost], ["ls_3"])) == {
        "holding": ["ls_3"],
        "slots": 4,
        "wait_seconds": 20,
        "results": [
            {"lease": "ls_1", "output": {"charge": "c1"}},
            {"lease": "ls_2", "error": error},
        ],
    }
    assert json.loads(done.for_lease()) == {"output": {"charge": "c1"}}


def test_a_handler_is_told_where_in_a_trace_it_stands() -> None:
    known = {"lease": "l", "run": "r", "workflow": "w", "version": "1", "task": "t", "uses": "u"}
    known |= {"attempt": 1, "idempotency_key": "k"}
    for trace in [{}, {"traceparent": "00-a-b-01"}, {"traceparent": "p", "tracestate": "a=1"}]:
        ctx = Ctx(Answer.of({"tasks": [known | trace]}).tasks[0], quiet())
        told = {"traceparent": ctx.traceparent, "tracestate": ctx.tracestate}
        assert told == {"traceparent": None, "tracestate": None} | trace


def test_an_answer_of_a_later_server_is_understood() -> None:
    known = {"lease": "l", "run": "r", "workflow": "w", "version": "1", "task": "t", "uses": "u"}
    later = known | {"attempt": 2, "idempotency_key": "k", "news": 1, "deadline": None}
    answer = Answer.of({"tasks": [later], "more": True})
    assert answer.tasks[0].attempt == 2
    assert (answer.cancelled, answer.drain, answer.results) == ([], False, [])
