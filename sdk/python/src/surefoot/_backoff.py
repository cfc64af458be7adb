"""How long to wait before another attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Doubles from `first_seconds` up to `longest_seconds`.

    Half of each delay is random, so that those who lost the server together do not come back
    together.
    """

    first_seconds: float
    longest_seconds: float
    random: Callable[[], float] = random.random

    def delay_seconds(self, attempt: int, retry_after_seconds: float | None = None) -> float:
        """Returns the delay after the failed `attempt` (from 1), at least what the server asked."""
        exponent = min(attempt - 1, 30)
        whole = min(self.longest_seconds, self.first_seconds * 2**exponent)
        own = whole / 2 + whole / 2 * self.random()
        return max(own, retry_after_seconds or 0.0)
