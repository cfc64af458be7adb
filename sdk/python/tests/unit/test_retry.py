"""When a request is made again."""

from __future__ import annotations

import pytest

from surefoot._backoff import Backoff
from surefoot._calls import Reply
from surefoot._retry import RetryPolicy
from surefoot.errors import Busy, SurefootError, Unreachable


def policy(attempts_max: int, chance: float = 0.5) -> RetryPolicy:
    return RetryPolicy(attempts_max, Backoff(1.0, 10.0, lambda: chance))


def refused(status: int, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): it for name, it in headers.items()}, b"")


@pytest.mark.parametrize(
    ("chance", "expected"),
    [(0.0, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]), (1.0, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0])],
)
def test_delays_double_up_to_the_longest(chance: float, expected: list[float]) -> None:
    backoff = Backoff(1.0, 10.0, lambda: chance)
    assert [backoff.delay_seconds(it) for it in range(1, 7)] == expected
    assert backoff.delay_seconds(10_000) == expected[-1]


@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 500])
def test_an_answer_that_will_not_change_is_final(status: int) -> None:
    assert policy(3).is_final(refused(status))


@pytest.mark.parametrize(
    "reply", [*map(refused, (429, 502, 503, 504)), refused(409, retry_after="1")]
)
def test_what_the_next_moment_may_change_is_asked_again(reply: Reply) -> None:
    assert not policy(3).is_final(reply)


def test_the_server_may_ask_for_more_patience() -> None:
    assert policy(3).delay_seconds(1, "GET /", refused(503, retry_after="7")) == 7.0
    # A date is another form of it, and not read.
    assert policy(3).delay_seconds(1, "GET /", refused(503, retry_after="Fri, 01 Jan 2027")) == 0.75


@pytest.mark.parametrize(
    ("attempt", "outcome", "error"),
    [
        (3, refused(503), Busy),
        (1, refused(503, retry_after="3600"), Busy),
        (3, Unreachable("http://x", "refused"), Unreachable),
    ],
)
def test_patience_has_an_end(
    attempt: int, outcome: Reply | SurefootError, error: type[SurefootError]
) -> None:
    with pytest.raises(error):
        policy(3).delay_seconds(attempt, "GET /", outcome)
