"""What a handler's function takes, read from its signature once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_type_hints

from surefoot._convert import convert
from surefoot.worker.context import Ctx

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Handler:
    uses: str
    function: Callable[..., Any]
    is_async: bool
    # What stands in each place: the context, or an input of this type.
    parameters: tuple[Any, ...]
    timeout_seconds: float | None

    @staticmethod
    def of(uses: str, function: Callable[..., Any], timeout: float | timedelta | None) -> Handler:
        """Raises `TypeError` if the function cannot be a handler."""
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if seconds is not None and seconds <= 0:
            raise ValueError(f"the timeout of handler {uses!r} must be more than nothing")
        parameters = tuple(_parameters(uses, function))
        if len([it for it in parameters if it is not Ctx]) > 1:
            raise TypeError(
                f"handler {uses!r} takes more than one input; "
                "take one object (a dataclass, a pydantic model, a dict) and, if need be, a Ctx"
            )
        return Handler(uses, function, inspect.iscoroutinefunction(function), parameters, seconds)

    def arguments(self, task_input: object, ctx: Ctx) -> list[object]:
        """Raises `ConversionError` if the input does not fit."""
        return [ctx if it is Ctx else convert(task_input, it, "input") for it in self.parameters]


def _parameters(uses: str, function: Callable[..., Any]) -> list[Any]:
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise TypeError(
            f"an annotation of handler {uses!r} cannot be read: {error}; "
            "declare its types at the top level of a module"
        ) from error
    found: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _BY_PLACE:
            is_context = hints.get(parameter.name) is Ctx or parameter.name == "ctx"
            found.append(Ctx if is_context else hints.get(parameter.name, Any))
        elif parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY:
            raise TypeError(f"handler {uses!r}: nothing can be given to {parameter.name!r}")
    return found
