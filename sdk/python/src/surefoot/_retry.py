"""Which answers are worth another attempt, and when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from surefoot._backoff import Backoff
from surefoot._calls import Reply, refusal
from surefoot.errors import SurefootError

# Whoever is asked to wait longer hears of it instead.
RETRY_AFTER_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    attempts_max: int
    backoff: Backoff

    @staticmethod
    def of_client(attempts_max: int) -> RetryPolicy:
        return RetryPolicy(attempts_max, Backoff(first_seconds=0.1, longest_seconds=5.0))

    def is_final(self, outcome: Reply | SurefootError) -> TypeGuard[Reply]:
        """Whether there is an answer, and the next moment would not change it."""
        return isinstance(outcome, Reply) and not outcome.is_temporary

    def delay_seconds(self, attempt: int, request: str, outcome: Reply | SurefootError) -> float:
        """Returns how long to wait after the failed `attempt` (from 1), or raises why it failed."""
        is_reply = isinstance(outcome, Reply)
        asked = outcome.retry_after_seconds() if is_reply else None
        if attempt >= self.attempts_max or (asked or 0.0) > RETRY_AFTER_SECONDS_MAX:
            raise refusal(outcome, request) if is_reply else outcome
        return self.backoff.delay_seconds(attempt, asked)
