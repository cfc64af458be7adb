"""The client against a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest

from surefoot import (
    AsyncClient,
    Client,
    Conflict,
    Invalid,
    NotFound,
    RunCancelled,
    RunEvent,
    RunFailed,
    StillRunning,
    Unreachable,
)
from surefoot.testing import Server
from tests.real.definitions import ADDS, FAILS, WAITS


@dataclass
class Sum:
    sum: int


def test_a_definition_is_deployed_once(surefoot_server: Server) -> None:
    first = surefoot_server.client.deploy(ADDS)[0]
    again = surefoot_server.client.deploy(ADDS)[0]
    assert (first.workflow, first.unchanged, again.unchanged) == ("adds", False, True)
    assert first.hash == again.hash
    both = surefoot_server.client.deploy(f"{WAITS}---\n{FAILS}")
    assert [it.workflow for it in both] == ["waits", "fails"]


def test_a_bad_definition_is_refused(surefoot_server: Server) -> None:
    with pytest.raises(Invalid) as caught:
        surefoot_server.client.deploy("id: bad\ntasks: {a: {uses: log, needs: [b]}}\n")
    assert caught.value.code.startswith("SF")
    assert caught.value.title


def test_a_run_is_started_and_its_result_typed(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(ADDS)
    run = client.start("adds", {"a": 2, "b": 3}, key="k1", labels={"team": "shop"}, priority=3)
    assert run.result(Sum) == Sum(5)
    assert run.result() == {"sum": 5}
    info = run.refresh().info
    assert (info.workflow, info.status, info.key, info.priority) == ("adds", "completed", "k1", 3)
    assert info.labels == {"team": "shop"}
    assert info.created_at is not None
    assert info.created_at.tzinfo is not None
    assert client.run(run.id).info == info


def test_a_key_starts_one_run(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(ADDS)
    first, again = (client.start("adds", {"a": 2, "b": 3}, key="k1") for _ in range(2))
    assert first.id == again.id


def test_refusals_are_typed(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(ADDS)
    with pytest.raises(NotFound):
        client.run("00000000000000000000000000")
    with pytest.raises(NotFound):
        client.start("nothing")
    with pytest.raises(Invalid, match="SF"):
        client.start("adds", {"a": "two"})
    client.start("adds", {"a": 1, "b": 1}, key="k")
    with pytest.raises(Conflict):
        client.start("adds", {"a": 2, "b": 2}, key="k")


def test_a_failed_run_raises_its_error(surefoot_server: Server) -> None:
    surefoot_server.client.deploy(FAILS)
    with pytest.raises(RunFailed, match="declined: no money") as caught:
        surefoot_server.client.start("fails").result()
    assert caught.value.error["type"] == "declined"


def test_runs_are_listed_page_by_page(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(f"{ADDS}---\n{FAILS}")
    began = datetime.now(timezone.utc)
    started = {client.start("adds", {"a": it, "b": 0}).id for it in range(7)}
    client.start("fails")
    listed = [it.id for it in client.runs(workflow="adds", since=began, page_size=3)]
    assert len(listed) == 7
    assert set(listed) == started
    assert list(client.runs(workflow="adds", labels={"team": "shop"})) == []
    with pytest.raises(Invalid):
        list(client.runs(status="done"))


def test_a_run_is_controlled(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(WAITS)
    run = client.start("waits")
    with pytest.raises(StillRunning):
        run.result(timeout=0)
    assert run.pause("lunch").status == "paused"
    assert run.resume().status == "running"
    run.signal("go", {"n": 1})
    assert run.result() == {"n": 1}
    reasons = {it["reason"] for it in run.history()}
    assert "lunch" in reasons


def test_a_cancelled_run_says_so_and_may_be_retried(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(WAITS)
    run = client.start("waits")
    run.cancel("not wanted")
    with pytest.raises(RunCancelled):
        run.result()
    run.retry()
    run.signal("go", "again")
    assert run.result() == "again"


def test_events_of_a_run_are_told_from_the_beginning(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(WAITS)
    run = client.start("waits")
    events = run.events()
    first = next(events)
    assert (first["type"], first["seq"]) == ("created", 0)
    run.signal("go")
    rest = list(events)
    assert "ended" in {it["type"] for it in rest}
    assert [first, *rest] == list(run.history())
    assert list(run.events()) == [first, *rest], "also when it has ended long ago"


@pytest.mark.parametrize("kill", [False, True])
def test_events_go_on_over_a_restart(surefoot_server: Server, kill: bool) -> None:
    client = surefoot_server.client
    client.deploy(WAITS)
    run = client.start("waits")
    events = run.events()
    told = [next(events)]
    surefoot_server.restart(kill=kill)
    run.signal("go")
    told += list(events)
    assert told == list(run.history())


def test_the_stream_of_all_runs(surefoot_server: Server) -> None:
    client = surefoot_server.client
    client.deploy(f"{ADDS}---\n{FAILS}")
    stream = client.events("runs:workflow=adds")
    ids: list[str] = []

    def start() -> None:
        client.start("fails")
        ids.append(client.start("adds", {"a": 1, "b": 2}).id)

    # The stream is opened by the first `next`, and tells what comes after.
    later = threading.Timer(0.5, start)
    later.start()
    event = next(it for it in stream if it.data.get("status") == "completed")
    later.join()
    assert (event.type, event.data["run"], event.data["workflow"]) == ("record", ids[0], "adds")
    assert event.id


def test_the_same_with_an_event_loop(surefoot_server: Server) -> None:
    async def main() -> None:
        async with AsyncClient(surefoot_server.url) as client:
            await client.deploy(f"{ADDS}---\n{WAITS}")
            run = await client.start("adds", {"a": 2, "b": 3})
            assert await run.result(Sum) == Sum(5)
            assert (await _all(run.events()))[0]["type"] == "created"
            assert [it.id async for it in client.runs(workflow="adds")] == [run.id]
            waiting = await client.start("waits")
            await waiting.pause("lunch")
            await waiting.resume()
            told = asyncio.create_task(_all(waiting.events()))
            await waiting.signal("go", 7)
            assert await waiting.result(int) == 7
            assert await told == [it async for it in waiting.history()]
            with pytest.raises(NotFound):
                await client.run("00000000000000000000000000")

    asyncio.run(main())


async def _all(events: AsyncIterator[RunEvent]) -> list[RunEvent]:
    return [it async for it in events]


def test_a_server_that_is_away_is_named_with_what_to_do() -> None:
    with (
        Client("http://127.0.0.1:1", attempts=1) as client,
        pytest.raises(Unreachable, match="surefoot dev"),
    ):
        client.start("adds")
