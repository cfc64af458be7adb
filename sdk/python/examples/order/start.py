"""Deploys the order workflow, starts it and tells what happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypedDict

from surefoot import AsyncClient

ORDER = {"order_id": "8812", "total": 129.9, "items": [{"sku": "shoe", "n": 1}]}


class Done(TypedDict):
    charge: str
    reserved: int


async def main() -> None:
    async with AsyncClient() as client:
        await client.deploy(Path(__file__).with_name("order.surefoot.yaml"))
        run = await client.start("order", ORDER, key="order-8812")
        async for event in run.events():
            print(event["type"], event["task"], event["detail"])
        done = await run.result(Done, timeout=60)
        print(f"{done['reserved']} reserved, paid with {done['charge']}")


if __name__ == "__main__":
    asyncio.run(main())
