"""What a server tells of its runs and workflows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

# A run that has one of these goes no further by itself.
ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class RunInfo:
    """A run as it was when it was asked for. Listings leave out `input` and `output`."""

    id: str
    workflow: str
    status: str
    version: str = ""
    key: str | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])
    actor: str | None = None
    priority: int = 0
    parent: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    summary: Any = None
    done: int = 0
    total: int = 0
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True)
class Deployed:
    """What a definition became."""

    workflow: str
    version: str
    hash: str = ""
    # Whether this content was there before.
    unchanged: bool = False
    # What the check has to say all the same: warnings and notes, each with a code and a line.
    findings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class RunEvent(TypedDict):
    """Something that happened in a run."""

    # Such as `created` or `completed`.
    type: str
    # The path of the task; empty for the run itself.
    task: str
    # In words.
    detail: str
    # The place of its record in the run's journal. What one decision changed is one record.
    seq: int
    at: datetime
    # Who asked; empty for the engine's own decisions.
    actor: str
    reason: str | None


@dataclass(frozen=True)
class LogLine:
    """A line that a task wrote."""

    attempt: int
    at: datetime
    level: str
    text: str


@dataclass(frozen=True)
class Event:
    """A message of the server's stream: a `record` of a run, a `log` line, or a `reset`.

    After a `reset` some messages were lost, because the server no longer has them.
    """

    type: str
    id: str
    data: dict[str, Any]
