"""JSON as values of a program's own types, by their annotations.

Pydantic models are recognised by what they can do, so pydantic need not be installed. Dataclasses,
typed dictionaries, unions, literals, enumerations and collections are converted here. A field that
is not declared is ignored; what does not fit is reported by field, all at once.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from surefoot.errors import ConversionError

T = TypeVar("T")
_LISTS = (list, tuple, set, frozenset, Sequence)


def convert(value: object, wanted: type[T], place: str) -> T:
    """Returns `value` as a `wanted`, or raises `ConversionError`. `place` names it in errors."""
    return cast("T", _convert(value, wanted, place))


def _convert(value: object, wanted: Any, place: str) -> object:
    if isinstance(wanted, NewType):
        return _convert(value, wanted.__supertype__, place)
    origin = get_origin(wanted)
    if wanted in (Any, object) or isinstance(wanted, TypeVar):
        return value
    if origin is Annotated:
        return _convert(value, get_args(wanted)[0], place)
    if origin in (Union, types.UnionType):
        return _union(value, get_args(wanted), place)
    if origin is Literal:
        return _literal(value, get_args(wanted), place)
    if (origin or wanted) in (dict, Mapping):
        return _mapping(value, get_args(wanted), place)
    if (origin or wanted) in _LISTS:
        return _list(value, origin or wanted, get_args(wanted), place)
    return _class(value, origin or wanted, place)


def _class(value: object, wanted: Any, place: str) -> object:
    validate = getattr(wanted, "model_validate", None)
    if callable(validate):
        return _by_library(validate, value, place)
    if is_typeddict(wanted):
        return _typed_dict(value, wanted, place)
    if dataclasses.is_dataclass(wanted):
        return _dataclass(value, wanted, place)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _enumeration(value, wanted, place)
    scalar = _SCALARS.get(wanted)
    if scalar is None:
        raise _wrong(place, f"JSON cannot become a {_name(wanted)}; declare a dataclass")
    return scalar(value, place)


def _wrong(place: str, problem: str) -> ConversionError:
    return ConversionError([(place, problem)])


def _expected(what: str, value: object, place: str) -> ConversionError:
    return _wrong(place, f"{what} is expected, {_kind(value)} is given")


def _kind(value: object) -> str:
    kinds: dict[type, str] = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    kinds |= {list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), _name(type(value)))


def _name(wanted: Any) -> str:
    return getattr(wanted, "__name__", None) or str(wanted)


def _by_library(validate: Callable[[object], object], value: object, place: str) -> object:
    """Lets a pydantic model, or what behaves as one, validate; translates its errors."""
    try:
        return validate(value)
    except Exception as error:
        errors = getattr(error, "errors", None)
        if not callable(errors):
            raise
        found = cast("list[dict[str, Any]]", errors())
        raise ConversionError(
            [(place + _location(it.get("loc", ())), str(it.get("msg", ""))) for it in found]
        ) from error


def _location(parts: Sequence[object]) -> str:
    return "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in parts)


def _dataclass(value: object, wanted: Any, place: str) -> object:
    hints = _hints(wanted)
    fields = [it for it in dataclasses.fields(wanted) if it.init]
    missing = dataclasses.MISSING
    required = [it.name for it in fields if it.default is missing and it.default_factory is missing]
    arguments = _fields(value, {it.name: hints[it.name] for it in fields}, required, place)
    # A dataclass may check more when it is made; pydantic's own dataclasses do.
    return _by_library(lambda _: wanted(**arguments), value, place)


def _typed_dict(value: object, wanted: Any, place: str) -> object:
    # `Required` and `NotRequired` are gone from the hints; the sets of keys know of them.
    return _fields(value, _hints(wanted), sorted(wanted.__required_keys__), place)


@functools.cache
def _hints(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted)


def _fields(
    value: object, hints: Mapping[str, Any], required: Sequence[str], place: str
) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _expected("an object", value, place)
    given = cast("dict[str, object]", value)
    problems = [(f"{place}.{it}", "is missing") for it in required if it not in given]
    converted: dict[str, object] = {}
    for name, hint in hints.items():
        if name in given:
            _collect(problems, converted, name, given[name], hint, f"{place}.{name}")
    if problems:
        raise ConversionError(problems)
    return converted


def _collect(
    problems: list[tuple[str, str]],
    converted: dict[str, object],
    key: str,
    value: object,
    wanted: Any,
    place: str,
) -> None:
    try:
        converted[key] = _convert(value, wanted, place)
    except ConversionError as error:
        problems.extend(error.problems)


def _mapping(value: object, arguments: Sequence[Any], place: str) -> object:
    if not isinstance(value, dict):
        raise _expected("an object", value, place)
    if not arguments:
        return cast("object", value)
    problems: list[tuple[str, str]] = []
    converted: dict[str, object] = {}
    for key, item in cast("dict[str, object]", value).items():
        _collect(problems, converted, key, item, arguments[1], f"{place}.{key}")
    if problems:
        raise ConversionError(problems)
    return converted


def _list(value: object, wanted: Any, arguments: Sequence[Any], place: str) -> object:
    if not isinstance(value, list):
        raise _expected("a list", value, place)
    items = cast("list[object]", value)
    is_fixed = wanted is tuple and arguments and arguments[-1] is not Ellipsis
    if is_fixed and len(items) != len(arguments):
        raise _wrong(place, f"{len(arguments)} items are expected, {len(items)} are given")
    hint = arguments[0] if arguments else Any
    hints = arguments if is_fixed else [hint] * len(items)
    problems: list[tuple[str, str]] = []
    converted: dict[str, object] = {}
    for at, item in enumerate(items):
        _collect(problems, converted, str(at), item, hints[at], f"{place}[{at}]")
    if problems:
        raise ConversionError(problems)
    make = cast("Callable[[Iterable[object]], object]", list if wanted is Sequence else wanted)
    return make(converted.values())


def _union(value: object, members: Sequence[Any], place: str) -> object:
    if value is None and type(None) in members:
        return None
    candidates = [it for it in members if it is not type(None)]
    if len(candidates) == 1:
        return _convert(value, candidates[0], place)
    # What already is of a member's type stays as it is: 5 is an int in `float | int`.
    if type(value) in candidates:
        return value
    for candidate in candidates:
        try:
            return _convert(value, candidate, place)
        except ConversionError:
            continue
    raise _expected("one of " + ", ".join(map(_name, candidates)), value, place)


def _literal(value: object, allowed: Sequence[object], place: str) -> object:
    if any(value == it and type(value) is type(it) for it in allowed):
        return value
    raise _wrong(place, f"one of {', '.join(map(repr, allowed))} is expected")


def _enumeration(value: object, wanted: type[Enum], place: str) -> object:
    try:
        return wanted(value)
    except ValueError:
        allowed = ", ".join(repr(it.value) for it in wanted)
        raise _wrong(place, f"one of {allowed} is expected") from None


def _boolean(value: object, place: str) -> object:
    if isinstance(value, bool):
        return value
    raise _expected("a boolean", value, place)


def _integer(value: object, place: str) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # JSON has one kind of number: 5.0 is five.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _expected("an integer", value, place)


def _number(value: object, place: str) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _expected("a number", value, place)


def _text(value: object, place: str) -> object:
    if isinstance(value, str):
        return value
    raise _expected("a text", value, place)


def _null(value: object, place: str) -> object:
    if value is None:
        return None
    raise _expected("null", value, place)


def _decimal(value: object, place: str) -> object:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            pass
    raise _expected("a decimal number", value, place)


def _parsed(what: str, parse: Callable[[str], object]) -> Callable[[object, str], object]:
    def scalar(value: object, place: str) -> object:
        if not isinstance(value, str):
            raise _expected(what, value, place)
        try:
            return parse(value)
        except ValueError as error:
            raise _wrong(place, f"{what} is expected: {error}") from None

    return scalar


def _moment(text: str) -> datetime:
    # Python 3.10 does not know that Z is UTC.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)


_SCALARS: dict[Any, Callable[[object, str], object]] = {
    bool: _boolean,
    int: _integer,
    float: _number,
    str: _text,
    type(None): _null,
    None: _null,
    Decimal: _decimal,
    UUID: _parsed("a UUID", UUID),
    datetime: _parsed("a time as in RFC 3339", _moment),
    date: _parsed("a date", date.fromisoformat),
    time: _parsed("a time of day", time.fromisoformat),
}
