"""Results that the server has not acknowledged yet."""

from __future__ import annotations

import asyncio
from collections import deque

from surefoot.worker.protocol import Result

# What one request carries at most; the rest goes with the next one.
RESULTS_MAX = 100
BYTES_MAX = 1024 * 1024


class Outbox:
    """Results wait here until a request takes them along; one that fails puts them back."""

    def __init__(self) -> None:
        self._waiting: deque[Result] = deque()
        self._on_the_way = 0
        self._has_some = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    async def wait(self) -> None:
        """Waits until there is something to send."""
        await self._has_some.wait()

    async def settled(self) -> None:
        """Waits until everything was sent and acknowledged."""
        await self._is_settled.wait()

    def put(self, result: Result) -> None:
        self._waiting.append(result)
        self._tell()

    def leases(self) -> list[str]:
        """Returns the leases whose results wait."""
        return [it.task.lease for it in self._waiting]

    def take(self) -> list[Result]:
        """Takes as much as one request may carry, and at least one result if there is any."""
        taken: list[Result] = []
        size = 0
        while self._waiting and len(taken) < RESULTS_MAX:
            size += self._waiting[0].size
            if taken and size > BYTES_MAX:
                break
            taken.append(self._waiting.popleft())
        self._on_the_way += len(taken)
        self._tell()
        return taken

    def acknowledge(self, results: list[Result]) -> None:
        self._on_the_way -= len(results)
        self._tell()

    def put_back(self, results: list[Result]) -> None:
        self._on_the_way -= len(results)
        self._waiting.extendleft(reversed(results))
        self._tell()

    def _tell(self) -> None:
        _set(self._has_some, bool(self._waiting))
        _set(self._is_settled, not self._waiting and not self._on_the_way)


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()
