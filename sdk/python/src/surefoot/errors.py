"""What goes wrong, as exceptions: those that a handler raises, and those that a client meets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

__all__ = [
    "Busy",
    "Cancelled",
    "Conflict",
    "ConversionError",
    "Fatal",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "ProblemError",
    "Retry",
    "RunCancelled",
    "RunFailed",
    "ServerFault",
    "StillRunning",
    "SurefootError",
    "TaskFailure",
    "Unauthenticated",
    "Unreachable",
]


class TaskFailure(Exception):
    """How an attempt fails when its handler says so itself: raise `Fatal` or `Retry`."""

    default_type: ClassVar[str] = "failed"
    retryable: ClassVar[bool] = True
    retry_after: timedelta | None = None

    def __init__(self, message: str = "", *, type: str | None = None, details: Any = None) -> None:  # noqa: A002
        super().__init__(message)
        self.message = message
        # A short name in snake case; definitions test it as `error.type`.
        self.type = type or self.default_type
        self.details = details


class Fatal(TaskFailure):
    """No further attempt can help: bad data, a declined card."""

    default_type = "fatal"
    retryable = False


class Retry(TaskFailure):
    """Another attempt may help, not before `after` (seconds) if that is given.

    How often is tried is up to the definition's retry policy.
    """

    default_type = "retry"

    def __init__(
        self,
        message: str = "",
        *,
        after: float | timedelta | None = None,
        type: str | None = None,  # noqa: A002
        details: Any = None,
    ) -> None:
        super().__init__(message, type=type, details=details)
        if after is not None:
            self.retry_after = after if isinstance(after, timedelta) else timedelta(seconds=after)


class Cancelled(TaskFailure):
    """The attempt was asked to end, and did. `Ctx.sleep` and `Ctx.check` raise it."""

    default_type = "cancelled"
    retryable = False


class SurefootError(Exception):
    """Everything that a client raises is one of these."""


class ConversionError(SurefootError, ValueError):
    """A value from outside does not fit the type that was asked for."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """Takes pairs of a field (`input.items[2].sku`) and what is wrong with it."""
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems))
        self.problems = problems


class Unreachable(SurefootError):
    """No answer came from the server, or none that could be understood."""

    def __init__(self, server: str, cause: str) -> None:
        super().__init__(
            f"no answer from {server}: {cause}\n"
            f"  hint: is it running? start one with `surefoot dev`, or set SUREFOOT_SERVER"
        )
        self.server = server


def unreachable(server: str, cause: Exception) -> Unreachable:
    """Returns the exception for a connection that failed; many of their causes have no text."""
    error = Unreachable(server, str(cause) or type(cause).__name__)
    error.__cause__ = cause
    return error


class ProblemError(SurefootError):
    """The server refused: `application/problem+json` as an exception."""

    def __init__(self, status: int, document: Mapping[str, Any], request: str) -> None:
        self.status = status
        self.document = dict(document)
        # The request that was refused: `POST /v1/workflows/order/runs`.
        self.request = request
        self.code = self._text("code")
        self.title = self._text("title") or f"HTTP {status}"
        self.detail = self._text("detail")
        self.hint = self._text("hint")
        super().__init__(self._sentence())

    def _text(self, key: str) -> str:
        value = self.document.get(key)
        return value if isinstance(value, str) else ""

    def _sentence(self) -> str:
        code = f"[{self.code}] " if self.code else ""
        detail = f": {self.detail}" if self.detail else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{code}{self.title}{detail} ({self.status} to {self.request}){hint}"


class Invalid(ProblemError):
    """400, 413, 415, 422 and the like: the request itself is wrong."""


class Unauthenticated(ProblemError):
    """401: no token, or one that is not known or has expired."""


class Forbidden(ProblemError):
    """403: the token's role does not allow it."""


class NotFound(ProblemError):
    """404."""


class Conflict(ProblemError):
    """409 or 412: it is in another state than the request expects."""


class Gone(ProblemError):
    """410: it was there, and is not any more."""


class Busy(ProblemError):
    """429 or 503: later, please. Raised only after the client's own attempts were used up."""


class ServerFault(ProblemError):
    """Any other 5xx: the server's fault."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    412: Conflict,
    429: Busy,
    503: Busy,
}


def problem_error(status: int, document: object, request: str) -> ProblemError:
    """Returns the exception for a refusal; `document` may be anything that a server sent."""
    fallback = ServerFault if status >= 500 else Invalid
    known: Mapping[str, Any] = document if isinstance(document, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
    return _BY_STATUS.get(status, fallback)(status, known, request)


class RunFailed(SurefootError):
    """The run whose result was asked for has failed."""

    def __init__(self, run: str, status: str, document: Mapping[str, Any] | None) -> None:
        known = document or {}
        self.run = run
        self.status = status
        # The path of the task that failed, if one did.
        self.task: str | None = known.get("task")
        # Its `type`, `message`, and perhaps `status` and `details`.
        self.error: dict[str, Any] = dict(known.get("error") or {})
        # Tasks whose compensation failed: somebody must look.
        self.not_undone: list[str] = list(known.get("not_undone") or [])
        where = f" at {self.task}" if self.task else ""
        why = f": {self.error.get('type')}: {self.error.get('message')}" if self.error else ""
        super().__init__(f"run {run} is {status}{where}{why}")


class RunCancelled(RunFailed):
    """The run whose result was asked for was cancelled."""


class StillRunning(SurefootError, TimeoutError):
    """The run had not ended when the time for waiting was up. It goes on."""

    def __init__(self, run: str, timeout: float) -> None:
        super().__init__(f"run {run} still runs after {timeout:g} s")
        self.run = run
