"""Results that the server has not acknowledged yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from surefoot.worker.protocol import Result

# What one request carries at most; the rest goes with the next one.
RESULTS_MAX = 100
BYTES_MAX = 1024 * 1024


class Outbox:
    """Results wait here until a request takes them along; one that fails puts them back."""

    def __init__(self) -> None:
        self._waiting: deque[Result] = deque()
        self._has_some = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self) -> None:
        """Waits until there is something to send."""
        await self._has_some.wait()

    def put(self, result: Result) -> None:
        self._waiting.append(result)
        self._has_some.set()

    def put_back(self, results: Iterable[Result]) -> None:
        self._waiting.extendleft(reversed(list(results)))
        if self._waiting:
            self._has_some.set()

    def take(self) -> list[Result]:
        """Takes as much as one request may carry, and at least one result if there is any."""
        taken: list[Result] = []
        size = 0
        while self._waiting and len(taken) < RESULTS_MAX:
            size += self._waiting[0].size
            if taken and size > BYTES_MAX:
                break
            taken.append(self._waiting.popleft())
        if not self._waiting:
            self._has_some.clear()
        return taken
