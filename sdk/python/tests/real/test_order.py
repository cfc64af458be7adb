"""The order example, as its pages say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from examples.order.start import main
from examples.order.worker import worker
from surefoot import RunFailed
from surefoot.testing import Server, running
from tests.real.test_worker import EXAMPLES

DEFINITION = EXAMPLES / "order" / "order.surefoot.yaml"


def order(sku: str = "shoe", **fields: Any) -> dict[str, Any]:
    return {"order_id": "8812", "total": 129.9, "items": [{"sku": sku, "n": 1}]} | fields


def test_the_example_runs_as_it_stands(
    surefoot_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUREFOOT_SERVER", surefoot_server.url)
    with running(worker, surefoot_server):
        asyncio.run(main())
    assert "1 reserved, paid with ch_" in capsys.readouterr().out


def test_a_busy_bank_is_asked_again(surefoot_server: Server) -> None:
    surefoot_server.client.deploy(DEFINITION)
    with running(worker, surefoot_server):
        run = surefoot_server.client.start("order", order(order_id="8812-busy"))
        assert run.result()["reserved"] == 1
    assert [it.text for it in run.logs("pay")] == ["charged 129.9"]


@pytest.mark.parametrize(
    ("given", "kind", "refunds"),
    [
        (order(sku="sofa"), "unknown_item", 0),
        (order(items=[{"sku": "hat", "n": 6}]), "sold_out", 1),
    ],
)
def test_what_cannot_be_delivered_is_not_paid(
    surefoot_server: Server, given: dict[str, Any], kind: str, refunds: int
) -> None:
    surefoot_server.client.deploy(DEFINITION)
    with running(worker, surefoot_server):
        run = surefoot_server.client.start("order", given)
        with pytest.raises(RunFailed) as caught:
            run.result()
    assert caught.value.error["type"] == kind
    assert [it["type"] for it in run.history()].count("undone") == refunds
