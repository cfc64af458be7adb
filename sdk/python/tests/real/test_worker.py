"""Workers against a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from surefoot import Ctx, Fatal, Retry, Run, RunCancelled, RunFailed, Worker
from surefoot.testing import Server, running
from tests.real.definitions import MANY, one_task

EXAMPLES = Path(__file__).parents[2] / "examples"
RETRIES = "retry: {max_attempts: 5, delay: 10ms}"


class Order(BaseModel):
    id: str
    amount: float


class Receipt(BaseModel):
    charge: str


class Number(BaseModel):
    n: int


def until(condition: Callable[[], bool]) -> None:
    """Waits for a state, as long as a slow machine may need."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(server: Server, uses: str, more: str = "", **given: object) -> Run:
    server.client.deploy(one_task(f"flow.{uses}", uses, more))
    return server.client.start(f"flow.{uses}", given)


def test_functions_of_both_colours_take_models(surefoot_server: Server) -> None:
    worker = Worker(slots=4)
    seen: list[Ctx] = []

    @worker.handler("pay")
    async def pay(order: Order, ctx: Ctx) -> Receipt:
        seen.append(ctx)
        await asyncio.sleep(0)
        return Receipt(charge=f"ch_{order.id}")

    @worker.handler("validate")
    def validate(order: Order) -> dict[str, bool]:
        return {"ok": order.amount > 0}

    with running(worker, surefoot_server):
        paid = start(surefoot_server, "pay", id="8812", amount=129.9)
        assert paid.result(Receipt) == Receipt(charge="ch_8812")
        assert start(surefoot_server, "validate", id="1", amount=1).result() == {"ok": True}
    ctx = seen[0]
    assert (ctx.run, ctx.workflow, ctx.task, ctx.attempt) == (paid.id, "flow.pay", "work", 1)
    assert ctx.idempotency_key
    assert not ctx.cancelled


def test_attempts_are_repeated_with_one_key(surefoot_server: Server) -> None:
    worker = Worker()
    keys: list[str] = []

    @worker.handler("flaky")
    def flaky(ctx: Ctx) -> int:
        keys.append(ctx.idempotency_key)
        if ctx.attempt == 1:
            raise Retry("later", after=0.01)
        if ctx.attempt == 2:
            raise ConnectionError("reset")
        return ctx.attempt

    with running(worker, surefoot_server):
        assert start(surefoot_server, "flaky", RETRIES).result() == 3
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"id": "1", "amount": 5}, "declined", "no money"),
        ({"id": "1", "amount": "much"}, "invalid_input", "input.amount: "),
        ({"amount": 5}, "invalid_input", "input.id: Field required"),
    ],
)
def test_what_is_fatal_is_tried_once(
    surefoot_server: Server, given: dict[str, object], kind: str, message: str
) -> None:
    worker = Worker()

    @worker.handler("pay")
    def pay(order: Order) -> None:
        raise Fatal("no money", type="declined")

    with running(worker, surefoot_server):
        run = start(surefoot_server, "pay", RETRIES, **given)
        with pytest.raises(RunFailed, match=message) as caught:
            run.result()
    assert caught.value.error["type"] == kind
    assert [it["type"] for it in run.history()].count("dispatched") == 1


@pytest.mark.parametrize("size", [3_000_000, 30_000_000])
def test_output_that_is_too_large_fails_its_task_and_no_other(
    surefoot_server: Server, size: int
) -> None:
    worker = Worker()

    @worker.handler("huge")
    def huge() -> str:
        return "x" * size

    @worker.handler("small")
    def small() -> str:
        return "x"

    with running(worker, surefoot_server):
        surefoot_server.client.deploy(one_task("other", "small"))
        run = start(surefoot_server, "huge")
        other = surefoot_server.client.start("other")
        assert other.result() == "x"
        with pytest.raises(RunFailed):
            run.result()


def test_a_time_out_of_the_handler(surefoot_server: Server) -> None:
    worker = Worker()

    @worker.handler("slow", timeout=0.05)
    async def slow() -> None:
        await asyncio.sleep(60)

    with running(worker, surefoot_server), pytest.raises(RunFailed) as caught:
        start(surefoot_server, "slow").result()
    assert caught.value.error["type"] == "timeout"


def test_progress_and_lines_arrive(surefoot_server: Server) -> None:
    worker = Worker()

    @worker.handler("talk")
    def talk(ctx: Ctx) -> None:
        ctx.progress(0.5, "half way")
        ctx.log("a line", "warn")
        ctx.log("\ud800 is no text")

    with running(worker, surefoot_server):
        run = start(surefoot_server, "talk")
        run.result()
    # Lines travel beside results, and may come after them.
    lines: list[tuple[str, str]] = []
    while len(lines) < 2:
        lines = [(it.level, it.text) for it in run.logs("work")]
    assert lines == [("warn", "a line"), ("info", "? is no text")]


def test_a_cancelled_run_ends_its_handlers(surefoot_server: Server) -> None:
    worker = Worker()
    begun = [threading.Event(), threading.Event()]
    ended: list[str] = []

    @worker.handler("loop")
    async def loop() -> None:
        begun[0].set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("loop")

    @worker.handler("thread")
    def thread(ctx: Ctx) -> None:
        begun[1].set()
        try:
            ctx.sleep(600)
        finally:
            ended.append("thread")

    with running(worker, surefoot_server):
        runs = [start(surefoot_server, it) for it in ("loop", "thread")]
        for it in begun:
            assert it.wait(60)
        for run in runs:
            run.cancel()
            with pytest.raises(RunCancelled):
                run.result()
        until(lambda: sorted(ended) == ["loop", "thread"])


def test_many_tasks_are_all_done(surefoot_server: Server) -> None:
    worker = Worker(slots=50)
    calls: list[int] = []

    @worker.handler("double")
    def double(number: Number) -> int:
        calls.append(number.n)
        return number.n * 2

    surefoot_server.client.deploy(MANY)
    with running(worker, surefoot_server):
        run = surefoot_server.client.start("many", {"items": list(range(300))})
        assert run.result() == [it * 2 for it in range(300)]
    assert sorted(calls) == list(range(300)), "each exactly once"


@pytest.mark.parametrize("kill", [False, True])
def test_a_worker_outlives_its_server(surefoot_server: Server, kill: bool) -> None:
    worker = Worker()

    @worker.handler("echo")
    def echo(number: Number) -> int:
        return number.n

    with running(worker, surefoot_server):
        assert start(surefoot_server, "echo", n=1).result() == 1
        surefoot_server.restart(kill=kill)
        assert start(surefoot_server, "echo", n=2).result() == 2


def test_an_attempt_that_a_restart_took_is_repeated(surefoot_server: Server) -> None:
    worker = Worker()
    begun = threading.Event()
    goes_on = threading.Event()
    attempts: list[int] = []

    @worker.handler("work")
    def work(ctx: Ctx) -> str:
        attempts.append(ctx.attempt)
        if len(attempts) == 1:
            begun.set()
            goes_on.wait(60)
            return "of the attempt that was lost"
        return "of the next one"

    with running(worker, surefoot_server):
        run = start(surefoot_server, "work")
        assert begun.wait(60)
        surefoot_server.restart(kill=True)
        until(lambda: len(attempts) == 2)
        goes_on.set()
        assert run.result() == "of the next one"


def order_worker(server: Server) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SUREFOOT_SERVER": server.url}
    script = str(EXAMPLES / "order" / "worker.py")
    return subprocess.Popen([sys.executable, script], env=environment)


def test_sigterm_lets_a_worker_finish(surefoot_server: Server) -> None:
    surefoot_server.client.deploy(EXAMPLES / "order" / "order.surefoot.yaml")
    process = order_worker(surefoot_server)
    try:
        order = {"order_id": "8812", "total": 129.9, "items": [{"sku": "shoe", "n": 1}]}
        run = surefoot_server.client.start("order", order)
        # The task that takes a moment is under way.
        next(it for it in run.events() if (it["type"], it["task"]) == ("dispatched", "pay"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        finished = [it["task"] for it in run.history() if it["type"] == "completed"]
        assert "pay" in finished, "what was under way was finished"
    finally:
        process.kill()
        process.wait()
