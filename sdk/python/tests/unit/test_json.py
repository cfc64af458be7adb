"""What values of a program become in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from surefoot._json import encode


class Color(Enum):
    RED = "red"


@dataclass
class Inner:
    at: datetime


@dataclass
class Outer:
    inner: Inner
    color: Color = Color.RED


class Model(BaseModel):
    amount: Decimal


NOON = datetime(2027, 1, 1, 12, tzinfo=timezone.utc)

CASES: list[tuple[Any, str]] = [
    (None, "null"),
    ({"a": [1, 2.5, "é"]}, '{"a":[1,2.5,"é"]}'),
    (2**63 - 1, "9223372036854775807"),
    (Outer(Inner(NOON)), '{"inner":{"at":"2027-01-01T12:00:00+00:00"},"color":"red"}'),
    (Model(amount=Decimal("1.10")), '{"amount":"1.10"}'),
    ((1, 2), "[1,2]"),
    ({3}, "[3]"),
    (date(2027, 1, 1), '"2027-01-01"'),
    (UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
    (PurePosixPath("a/b"), '"a/b"'),
]


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_values_become_json(value: Any, expected: str) -> None:
    assert encode(value).decode() == expected


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", _circle(), object(), b"x"])
def test_what_json_cannot_tell_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(value)


def test_what_is_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="too deeply"):
        encode(_deep())
