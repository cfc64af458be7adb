"""Values of programs as JSON: dataclasses, pydantic models, times and the like."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID


def encode(value: object) -> bytes:
    """Returns compact JSON.

    Raises `ValueError` or `TypeError`, saying what cannot be told in JSON: NaN and infinity, a lone
    surrogate, a value that contains itself, an object of an unknown class.
    """
    try:
        text = json.dumps(
            value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode()
    except RecursionError:
        raise ValueError("the value is nested too deeply") from None


def plain(value: object) -> Any:
    """Returns `value` as it will be read at the other end."""
    return json.loads(encode(value))


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)  # a pydantic model
    if callable(dump):
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {it.name: getattr(value, it.name) for it in dataclasses.fields(value)}
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal, PurePath)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(cast("set[object]", value))
    raise TypeError(f"{type(value).__name__} cannot be told in JSON")
