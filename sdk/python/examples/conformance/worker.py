"""The handlers that `surefoot worker conformance URL` expects.

Start this first, against the same server:

    SUREFOOT_SERVER=http://127.0.0.1:7070 python worker.py
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from surefoot import Ctx, Fatal, Retry, Worker

worker = Worker(slots=8, name="conformance-python")


class SucceedOn(TypedDict):
    succeed_on: int


class Sleep(TypedDict):
    ms: int


@worker.handler("conformance.echo")
def echo(value: Any) -> Any:
    return value


@worker.handler("conformance.fail")
def fail(wanted: SucceedOn, ctx: Ctx) -> dict[str, int]:
    if ctx.attempt < wanted["succeed_on"]:
        raise Retry(f"attempt {ctx.attempt} fails on purpose")
    return {"attempt": ctx.attempt}


@worker.handler("conformance.fatal")
def fatal() -> None:
    raise Fatal("this never succeeds", type="conformance")


@worker.handler("conformance.sleep")
async def sleep(wanted: Sleep) -> dict[str, int]:
    # A cancelled attempt ends here, with an error of the type `cancelled`.
    await asyncio.sleep(wanted["ms"] / 1000)
    return {"slept_ms": wanted["ms"]}


@worker.handler("conformance.progress")
def progress(ctx: Ctx) -> dict[str, bool]:
    ctx.progress(0.5, "half way")
    ctx.log("half way")
    return {"done": True}


if __name__ == "__main__":
    worker.run()
