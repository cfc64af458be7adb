"""Refusals as exceptions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from surefoot._calls import Reply, refusal
from surefoot.errors import (
    Busy,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ProblemError,
    ServerFault,
    Unauthenticated,
)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (412, Conflict),
        (415, Invalid),
        (422, Invalid),
        (429, Busy),
        (503, Busy),
        (500, ServerFault),
        (502, ServerFault),
    ],
)
def test_the_status_decides_the_class(status: int, error: type[ProblemError]) -> None:
    assert type(refusal(Reply(status, {}, b"{}"), "GET /")) is error


def test_a_problem_says_what_where_and_how_to_mend_it() -> None:
    document = {"code": "SF4009", "title": "no such run", "detail": "run_1", "hint": "List them."}
    error = refusal(Reply(404, {}, json.dumps(document).encode()), "GET /v1/runs/run_1")
    assert isinstance(error, NotFound)
    assert (error.code, error.hint) == ("SF4009", "List them.")
    expected = "[SF4009] no such run: run_1 (404 to GET /v1/runs/run_1)\n  hint: List them."
    assert str(error) == expected


def test_a_problem_names_each_fault() -> None:
    errors = [{"pointer": "/a", "message": "is no number"}, {"pointer": "", "message": "line 2: x"}]
    document = {"title": "it is wrong", "errors": [*errors, 5]}
    error = refusal(Reply(422, {}, json.dumps(document).encode()), "PUT /")
    assert str(error) == "it is wrong (422 to PUT /)\n  /a is no number\n  line 2: x"


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"<html>", b'{"code": 5}', b"\xff"])
def test_whatever_a_proxy_answers_is_an_error_of_ours(body: bytes) -> None:
    error: Any = refusal(Reply(500, {}, body), "GET /")
    assert type(error) is ServerFault
    assert error.code == ""
