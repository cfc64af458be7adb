"""The worker protocol's messages, version 1. See docs/worker-protocol.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from surefoot._convert import convert
from surefoot._json import encode
from surefoot.errors import ConversionError, TaskFailure

PROTOCOL = 1
# A server takes less by default, and says so. One that is sent more than it reads at all hangs up,
# and then looks as if it were away.
OUTPUT_BYTES_MAX = 4_000_000
# So many leases a poll may name.
HOLDING_MAX = 1_000
# What is longer is cut: messages and log lines are for people, not for dumps.
TEXT_CHARACTERS_MAX = 10_000


@dataclass(frozen=True)
class Registration:
    worker: str
    lease_seconds: float = 10
    heartbeat_seconds: float = 3
    poll_seconds_max: float = 30


@dataclass(frozen=True)
class Task:
    lease: str
    run: str
    workflow: str
    version: str
    task: str
    uses: str
    attempt: int
    idempotency_key: str
    input: Any = None
    actor: str | None = None
    deadline: datetime | None = None
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of a result: 200, or why it does not count."""

    lease: str
    status: int
    problem: dict[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What a poll brings. Fields of later servers are ignored."""

    tasks: list[Task]
    cancelled: list[str]
    drain: bool
    results: list[Verdict]

    @staticmethod
    def of(document: Mapping[str, Any]) -> Answer:
        return Answer(
            convert(document.get("tasks") or [], list[Task], "tasks"),
            document.get("cancelled") or [],
            bool(document.get("drain")),
            convert(document.get("results") or [], list[Verdict], "results"),
        )


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: its `output` or its `error`, as JSON."""

    field: str
    json: bytes

    @staticmethod
    def of_output(output: object) -> Outcome:
        try:
            told = encode(output)
        except (TypeError, ValueError) as error:
            return failed("invalid_output", f"what the handler returned: {error}", retryable=False)
        if len(told) <= OUTPUT_BYTES_MAX:
            return Outcome("output", told)
        problem = f"what the handler returned has {len(told)} bytes, {OUTPUT_BYTES_MAX} may be"
        return failed("invalid_output", problem, retryable=False)

    @staticmethod
    def of_error(error: BaseException) -> Outcome:
        if not isinstance(error, TaskFailure):
            return failed(_snake_case(type(error).__name__), str(error) or type(error).__name__)
        after = error.retry_after
        try:
            return failed(
                error.type,
                error.message or error.type,
                retryable=error.retryable,
                retry_after_ms=None
                if after is None
                else max(0, round(after.total_seconds() * 1000)),
                details=error.details,
            )
        except (TypeError, ValueError):
            # Details that cannot be told are no reason to lose the error itself.
            return failed(error.type, error.message, retryable=error.retryable)

    @staticmethod
    def of_bad_input(error: ConversionError) -> Outcome:
        details = [{"field": field, "problem": problem} for field, problem in error.problems]
        return failed("invalid_input", str(error), retryable=False, details=details)


def failed(
    kind: str,
    message: str,
    *,
    retryable: bool = True,
    retry_after_ms: int | None = None,
    details: object = None,
) -> Outcome:
    fields = {"type": kind, "message": clean(message), "retryable": retryable}
    fields |= {"retry_after_ms": retry_after_ms, "details": details}
    return Outcome("error", encode(fields))


def clean(text: str) -> str:
    """Returns what can be sent of a text: a lone surrogate would make a request invalid."""
    return str(text)[:TEXT_CHARACTERS_MAX].encode(errors="replace").decode()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass(frozen=True)
class Result:
    """An outcome on its way to the server."""

    task: Task
    outcome: Outcome

    def for_poll(self) -> bytes:
        return b'{"lease":%s,"%s":%s}' % (encode(self.task.lease), self._field(), self.outcome.json)

    def for_lease(self) -> bytes:
        return b'{"%s":%s}' % (self._field(), self.outcome.json)

    def _field(self) -> bytes:
        return self.outcome.field.encode()

    @property
    def size(self) -> int:
        return len(self.outcome.json) + len(self.task.lease)


def registration(
    name: str, capabilities: list[str], labels: dict[str, str], slots: int, sdk: str
) -> bytes:
    return encode(
        {
            "name": name,
            "capabilities": capabilities,
            "labels": labels,
            "slots": slots,
            "protocol": PROTOCOL,
            "sdk": sdk,
        }
    )


def poll(
    slots: int, wait_seconds: float, results: Sequence[Result], holding: Sequence[str]
) -> bytes:
    listed = b",".join(it.for_poll() for it in results)
    body = b'{"slots":%d,"wait_seconds":%d,"results":[%s]' % (slots, int(wait_seconds), listed)
    # Where they are not named, all leases of the worker are prolonged.
    is_named = len(holding) <= HOLDING_MAX
    return body + (b',"holding":%s}' % encode(holding) if is_named else b"}")
