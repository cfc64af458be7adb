"""What JSON becomes, and what is said when it does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic.dataclasses import dataclass as pydantic_dataclass

from surefoot._convert import convert
from surefoot.errors import ConversionError


class Color(Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    n: int = 1


@dataclass
class Order:
    id: str
    amount: float
    lines: list[Line] = field(default_factory=list[Line])
    note: str | None = None

    def __post_init__(self) -> None:
        self.checked = True


class Model(BaseModel):
    id: str
    lines: list[Line] = []


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str


@pydantic_dataclass
class Validated:
    n: int


class Typed(TypedDict):
    n: int


Case = tuple[Any, Any, Any]
UUID_TEXT = "b1946ac9-2492-4d23-8d2a-000000000000"

FITS: list[Case] = [
    (Any, {"a": 1}, {"a": 1}),
    (dict, {"a": 1}, {"a": 1}),
    (dict[str, int], {"a": 1.0}, {"a": 1}),
    (list[float], [1, 2.5], [1.0, 2.5]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (set[str], ["a", "a"], {"a"}),
    (int | None, None, None),
    (float | int, 5, 5),
    (int | str, "a", "a"),
    (Literal["a", 1], 1, 1),
    (Color, "red", Color.RED),
    (bool, True, True),
    (Decimal, "1.10", Decimal("1.10")),
    (UUID, UUID_TEXT, UUID(UUID_TEXT)),
    (datetime, "2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=timezone.utc)),
    (Line, {"sku": "a"}, Line("a", 1)),
    (Order, {"id": "1", "amount": 5, "other": 1}, Order("1", 5.0)),
    (
        Order,
        {"id": "1", "amount": 5, "lines": [{"sku": "a", "n": 2}]},
        Order("1", 5.0, [Line("a", 2)]),
    ),
    (Model, {"id": "1", "lines": [{"sku": "a"}]}, Model(id="1", lines=[Line("a")])),
    (Validated, {"n": 1}, Validated(1)),
    (Typed, {"n": 1, "other": 2}, {"n": 1}),
]


@pytest.mark.parametrize(("wanted", "value", "expected"), FITS)
def test_what_fits_becomes_the_type(wanted: Any, value: Any, expected: Any) -> None:
    converted = convert(value, wanted, "input")
    assert converted == expected
    assert type(converted) is type(expected)


REFUSED: list[Case] = [
    (int, "a", "input: an integer is expected, a text is given"),
    (int, True, "input: an integer is expected, a boolean is given"),
    (int, 1.5, "input: an integer is expected, a number is given"),
    (float, False, "input: a number is expected, a boolean is given"),
    (bool, 1, "input: a boolean is expected, a number is given"),
    (str, None, "input: a text is expected, null is given"),
    (list[int], {"a": 1}, "input: a list is expected, an object is given"),
    (list[int], [1, "a"], "input[1]: an integer is expected, a text is given"),
    (tuple[int, int], [1], "input: 2 items are expected, 1 are given"),
    (dict[str, int], {"a": None}, "input.a: an integer is expected, null is given"),
    (int | bool, "x", "input: one of int, bool is expected, a text is given"),
    (Literal["a"], "b", "input: one of 'a' is expected"),
    (Color, "blue", "input: one of 'red' is expected"),
    (UUID, "x", "input: a UUID is expected: badly formed hexadecimal UUID string"),
    (Line, [], "input: an object is expected, a list is given"),
    (
        Order,
        {"amount": "x"},
        "input.id: is missing; input.amount: a number is expected, a text is given",
    ),
    (
        Order,
        {"id": "1", "amount": 1, "lines": [{"sku": "a"}, {"n": 1}]},
        "input.lines[1].sku: is missing",
    ),
    (Model, {}, "input.id: Field required"),
    (Model, {"id": "1", "lines": [{}]}, "input.lines[0].sku: Field required"),
    (Strict, {"id": "1", "more": 1}, "input.more: Extra inputs are not permitted"),
    (Typed, {}, "input.n: is missing"),
    (complex, 1, "input: JSON cannot become a complex; declare a dataclass"),
]


@pytest.mark.parametrize(("wanted", "value", "message"), REFUSED)
def test_what_does_not_fit_is_named(wanted: Any, value: Any, message: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(value, wanted, "input")
    assert str(caught.value) == message
