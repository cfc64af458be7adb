"""The worker of the order workflow: everything that its definition leaves to functions.

surefoot dev &
python worker.py &
python start.py
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from surefoot import Ctx, Fatal, Retry, Worker

worker = Worker(slots=8, labels={"region": "eu"})

# What the shop has. A real worker asks a database.
STOCK = {"shoe": 100, "hat": 5}


@dataclass
class Line:
    sku: str
    n: int


@dataclass
class Order:
    order_id: str
    total: float
    items: list[Line]


@dataclass
class Payment:
    order: str
    amount: float


@dataclass
class Message:
    order: str


@dataclass
class Receipt:
    charge: str


@worker.handler("order.validate")
def validate(order: Order) -> dict[str, int]:
    unknown = [it.sku for it in order.items if it.sku not in STOCK]
    if unknown:
        # No further attempt would help.
        raise Fatal(f"the shop does not sell {', '.join(unknown)}", type="unknown_item")
    return {"lines": len(order.items)}


@worker.handler("order.pay", timeout=30)
async def pay(payment: Payment, ctx: Ctx) -> Receipt:
    if ctx.attempt == 1 and payment.order.endswith("-busy"):
        raise Retry("the bank is busy", after=0.1)
    ctx.progress(0.5, "charging")
    await asyncio.sleep(0.2)
    ctx.log(f"charged {payment.amount}")
    # The same for every attempt, so the bank charges once however often it is asked.
    return Receipt(charge=f"ch_{ctx.idempotency_key}")


@worker.handler("order.refund")
def refund(receipt: Receipt, ctx: Ctx) -> None:
    ctx.log(f"refunded {receipt.charge}")


@worker.handler("order.reserve")
def reserve(line: Line) -> dict[str, int]:
    if STOCK[line.sku] < line.n:
        raise Fatal(f"{line.n} of {line.sku} are too many", type="sold_out")
    return {"reserved": line.n}


@worker.handler("order.notify")
async def notify(message: Message, ctx: Ctx) -> None:
    ctx.log(f"order {message.order} is on its way")


if __name__ == "__main__":
    worker.run()
