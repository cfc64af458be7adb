"""What requests are made of."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from surefoot import _calls
from surefoot._calls import Reply, documents
from surefoot._settings import Settings
from surefoot._stream import Journal, Wait
from surefoot.errors import RunCancelled, RunFailed
from surefoot.models import Event

TWO = "# both\n---\nid: first\ntasks: {}\n--- # next\nid: 'shop.second'\ntasks: {}\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("id: order\ntasks: {}\n", ["order"]),
        ("# yaml-language-server: $schema=x\nid: order # the name\n", ["order"]),
        (TWO, ["first", "shop.second"]),
        ('{"id": "order"}', ["order"]),
        ({"id": "order"}, ["order"]),
    ],
)
def test_a_source_is_split_into_its_workflows(source: Any, expected: list[str]) -> None:
    assert [it.workflow for it in documents(source)] == expected


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "order.surefoot.yaml").write_text(TWO)
    assert len(documents(tmp_path / "order.surefoot.yaml")) == 2


@pytest.mark.parametrize("source", ["tasks: {}\n", "{}", {"id": 5}])
def test_a_source_without_a_name_is_refused(source: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        documents(source)


def test_parts_of_a_path_are_escaped() -> None:
    assert _calls.run("../x?y#z").path == "/v1/runs/..%2Fx%3Fy%23z"


def test_a_start_sends_what_was_given() -> None:
    at = datetime(2027, 1, 1, tzinfo=timezone.utc)
    call = _calls.start("order", {"id": 1}, "k", None, at, None, {"team": "shop"})
    assert json.loads(call.body or b"") == {
        "input": {"id": 1},
        "key": "k",
        "at": "2027-01-01T00:00:00+00:00",
        "labels": {"team": "shop"},
    }
    assert "Idempotency-Key" not in call.headers, "the run's key is enough"


def test_a_repetition_is_known_by_its_key() -> None:
    calls = [_calls.start("order", None, None, None, None, None, None) for _ in range(2)]
    keys = {it.headers["Idempotency-Key"] for it in [*calls, _calls.control("r", "pause", None)]}
    assert len(keys) == 3


def test_a_start_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        _calls.start("order", None, None, None, datetime(2027, 1, 1), None, None)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (202, {"id": "r", "status": "running"}, (False, None)),
        (200, {"run": "r", "status": "completed", "output": {"n": 1}}, (True, {"n": 1})),
    ],
)
def test_a_result_is_there_or_not(status: int, body: Any, expected: Any) -> None:
    call = _calls.result("r", dict[str, int], 30)
    assert call.answer(Reply(status, {}, json.dumps(body).encode())) == expected


@pytest.mark.parametrize(("status", "error"), [("failed", RunFailed), ("cancelled", RunCancelled)])
def test_a_run_that_did_not_complete_raises(status: str, error: type[RunFailed]) -> None:
    error_of_task = {"type": "declined", "message": "no money"}
    body = {"status": status, "error": {"task": "pay", "error": error_of_task}}
    call = _calls.result("r", dict[str, int], 30)
    with pytest.raises(error, match=f"is {status} at pay: declined: no money") as caught:
        call.answer(Reply(200, {}, json.dumps(body).encode()))
    assert type(caught.value) is error


def test_a_wait_is_cut_into_what_a_server_holds() -> None:
    now = [100.0]
    wait = Wait(45.5, lambda: now[0])
    assert wait.next_seconds() == 30
    now[0] = 130.0
    assert wait.next_seconds() == 16
    assert not wait.is_over()
    now[0] = 145.5
    assert wait.next_seconds() == 0
    assert wait.is_over()
    assert Wait(None, lambda: now[0]).next_seconds() == 30


def record(seq: int, status: str = "running") -> Event:
    events = [{"type": "completed", "task": "a", "detail": ""}]
    data = {"seq": seq, "at": "2027-01-01T00:00:00Z", "events": events, "status": status}
    return Event("record", str(seq), data)


def test_stored_and_live_records_are_joined() -> None:
    journal = Journal()
    assert journal.live(Event("opened", "", {})) is None, "the stored ones first"
    stored = [_calls.Record(it, datetime.now(timezone.utc), [_calls.Fact("x")]) for it in (0, 1)]
    assert [it["seq"] for it in journal.new(stored)] == [0, 1]
    seen = [it["seq"] for at in (1, 2) for it in journal.new(journal.live(record(at)) or [])]
    assert seen == [2], "what was stored is not told again"
    assert journal.live(record(4)) is None, "a gap is filled from what is stored"
    assert journal.live(Event("reset", "", {})) is None
    assert journal.live(Event("log", "", {})) == []
    assert journal.has_ended(record(5, "failed"))


@pytest.mark.parametrize("server", ["127.0.0.1:7070", "ftp://x", "http://", "nonsense"])
def test_an_address_without_sense_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="not the address of a server"):
        Settings.resolve(server, None)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_SERVER", "https://flows.example/")
    monkeypatch.setenv("SUREFOOT_TOKEN", "s3cret")
    settings = Settings.resolve(None, None)
    assert settings.server == "https://flows.example"
    assert settings.headers()["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(settings)
