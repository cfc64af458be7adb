"""The handlers that `surefoot worker conformance URL` wants; see docs/worker-conformance.md.

Start this first, against the same server:

    SUREFOOT_SERVER=http://127.0.0.1:7070 python worker.py
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from surefoot import Ctx, Fatal, Retry, Worker

worker = Worker(slots=8, name="conformance-python")


class Fail(TypedDict):
    until: int


class Sleep(TypedDict):
    seconds: float


class Progress(TypedDict):
    steps: int


@worker.handler("conformance.echo")
def echo(value: Any) -> Any:
    return value


@worker.handler("conformance.fail")
def fail(wanted: Fail, ctx: Ctx) -> dict[str, Any]:
    if ctx.attempt < wanted["until"]:
        raise Retry(ctx.idempotency_key, type="conformance")
    return {"attempt": ctx.attempt, "idempotency_key": ctx.idempotency_key}


@worker.handler("conformance.fatal")
def fatal() -> None:
    raise Fatal("as asked", type="conformance_fatal")


@worker.handler("conformance.sleep")
async def sleep(wanted: Sleep) -> dict[str, float]:
    # A cancelled attempt ends here, with an error of the type `cancelled`.
    await asyncio.sleep(wanted["seconds"])
    return {"slept": wanted["seconds"]}


@worker.handler("conformance.progress")
def progress(wanted: Progress, ctx: Ctx) -> Progress:
    for step in range(1, wanted["steps"] + 1):
        ctx.progress(step / wanted["steps"], f"step {step}")
        ctx.log(f"step {step}")
        ctx.sleep(0.5)
    return wanted


if __name__ == "__main__":
    worker.run()
