"""Every request of a client, as data: what is sent, and how the answer is read.

Nothing is sent here. `Client` and `AsyncClient` share these calls and differ in how they wait.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from surefoot._convert import convert
from surefoot._json import encode
from surefoot.errors import RunCancelled, RunFailed, SurefootError, problem_error
from surefoot.models import Deployed, RunEvent, RunInfo

T = TypeVar("T")

# The longest that a server holds a request that waits for the end of a run.
WAIT_SECONDS_MAX = 30
PAGE_RECORDS = 100

Source = str | PathLike[str] | Mapping[str, Any]


# Answers of a server, or of a proxy before it, that the next moment may change.
_TEMPORARY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Reply:
    """An answer, however it was fetched."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise SurefootError(f"the server's answer is not JSON: {error}") from error

    @property
    def is_temporary(self) -> bool:
        # A server that says when to come back says that it is worth it: a request under a key of
        # which the first is still under way gets such a 409.
        return self.status in _TEMPORARY or (self.status == 409 and "retry-after" in self.headers)

    def retry_after_seconds(self) -> float | None:
        """Only the form in seconds is read; a server of ours sends no other."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdecimal() else None


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. It may be sent again: a POST carries a key by which a repetition is known."""

    method: str
    path: str
    read: Callable[[Reply], T]
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    # How long the server may take on purpose.
    wait_seconds: float = 0

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def answer(self, reply: Reply) -> T:
        """Reads a reply, or raises what it refuses."""
        if reply.status >= 400:
            raise refusal(reply, self.name)
        return self.read(reply)


def refusal(reply: Reply, request: str) -> SurefootError:
    try:
        document = reply.json()
    except SurefootError:
        document = {"detail": reply.body[:200].decode(errors="replace")}
    return problem_error(reply.status, document, request)


def path(*parts: str) -> str:
    """Joins parts of a path, each escaped as a whole: an id may hold anything."""
    return "/v1/" + "/".join(quote(it, safe="") for it in parts)


JSON = {"Content-Type": "application/json"}


def post(place: str, body: object, read: Callable[[Reply], T]) -> Call[T]:
    headers = JSON | {"Idempotency-Key": str(uuid.uuid4())}
    return Call("POST", place, read, headers=headers, body=encode(body))


def given(**fields: object) -> dict[str, object]:
    """Leaves out what was not given."""
    return {name: value for name, value in fields.items() if value is not None}


def read_run(reply: Reply) -> RunInfo:
    return convert(reply.json(), RunInfo, "run")


# Definitions


@dataclass(frozen=True)
class Document:
    workflow: str
    body: bytes
    content_type: str


def documents(source: Source) -> list[Document]:
    """Splits a source (a path, a text of YAML or JSON, a mapping) into its documents."""
    if isinstance(source, Mapping):
        return [Document(_id_of_json(source), encode(source), "application/json")]
    text = source if isinstance(source, str) else Path(source).read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        return [Document(_id_of_json(json.loads(text)), text.encode(), "application/json")]
    # In YAML a line that starts so is a mark between documents wherever it stands.
    parts = [
        it for it in re.split(r"^---(?:[ \t].*)?$", text, flags=re.MULTILINE) if _has_content(it)
    ]
    return [Document(_id_of_yaml(it), it.encode(), "application/yaml") for it in parts]


def _has_content(document: str) -> bool:
    return any(it.strip() and not it.lstrip().startswith("#") for it in document.splitlines())


def _id_of_json(definition: Mapping[str, Any]) -> str:
    workflow = definition.get("id")
    if isinstance(workflow, str):
        return workflow
    raise ValueError("the definition has no `id`")


def _id_of_yaml(text: str) -> str:
    found = re.search(r"^id:[ \t]+[\"']?([A-Za-z0-9_.-]+)", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError("no line of the definition starts with `id: `, so it has no name")
    return found[1]


def deploy(document: Document) -> Call[Deployed]:
    return Call(
        "PUT",
        path("workflows", document.workflow),
        lambda reply: convert(reply.json(), Deployed, "workflow"),
        headers={"Content-Type": document.content_type},
        body=document.body,
    )


# Runs


def start(
    workflow: str,
    input: object,  # noqa: A002
    key: str | None,
    version: str | None,
    at: datetime | None,
    priority: int | None,
    labels: Mapping[str, str] | None,
) -> Call[RunInfo]:
    if at is not None and at.tzinfo is None:
        raise ValueError("`at` needs a time zone, such as datetime.timezone.utc")
    body = given(input=input, key=key, version=version, at=at, priority=priority, labels=labels)
    call = post(path("workflows", workflow, "runs"), body, read_run)
    # A run with a key of its own needs no other: starting it again finds it.
    return call if key is None else replace(call, headers=JSON)


def run(run_id: str) -> Call[RunInfo]:
    return Call("GET", path("runs", run_id), read_run)


def page(
    place: str, wanted: type[T], query: Mapping[str, str], cursor: str | None
) -> Call[tuple[list[T], str | None]]:
    """Asks for a part of a list: its items, and where the next part begins."""

    def read(reply: Reply) -> tuple[list[T], str | None]:
        document = reply.json()
        return convert(document["items"], list[wanted], "items"), document.get("next_cursor")

    here = {"cursor": cursor} if cursor else {}
    return Call("GET", place, read, query={**query, **here})


def run_filters(
    workflow: str | None,
    status: str | None,
    key: str | None,
    labels: Mapping[str, str] | None,
    since: datetime | None,
    page_size: int | None,
) -> dict[str, str]:
    filters = given(workflow=workflow, status=status, key=key, limit=page_size)
    filters |= given(since=since.isoformat() if since else None)
    filters |= {f"label.{name}": value for name, value in (labels or {}).items()}
    return {name: str(value) for name, value in filters.items()}


def result(run_id: str, wanted: type[T], wait_seconds: int) -> Call[tuple[bool, T | None]]:
    """Tells whether the run has ended, and its output as a `wanted`."""

    def read(reply: Reply) -> tuple[bool, T | None]:
        if reply.status == 202:
            return False, None
        body = reply.json()
        if body["status"] == "completed":
            return True, convert(body.get("output"), wanted, "output")
        error = RunCancelled if body["status"] == "cancelled" else RunFailed
        raise error(run_id, body["status"], body.get("error"))

    query = {"wait": str(wait_seconds)}
    place = path("runs", run_id, "result")
    return Call("GET", place, read, query=query, wait_seconds=wait_seconds)


def control(run_id: str, verb: str, reason: str | None) -> Call[RunInfo]:
    return post(path("runs", run_id, verb), given(reason=reason), read_run)


def signal(run_id: str, name: str, data: object) -> Call[None]:
    return post(path("runs", run_id, "signals", name), data, lambda _: None)


@dataclass(frozen=True)
class Fact:
    """One of the events of a record."""

    type: str
    task: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Record:
    """One entry of a run's journal: everything that one decision changed."""

    seq: int
    at: datetime
    events: list[Fact]
    actor: str | None = None
    reason: str | None = None

    def flat(self) -> list[RunEvent]:
        return [
            RunEvent(
                type=it.type,
                task=it.task,
                detail=it.detail,
                seq=self.seq,
                at=self.at,
                actor=self.actor or "",
                reason=self.reason,
            )
            for it in self.events
        ]


def history(run_id: str, first: int) -> Call[tuple[list[Record], int | None]]:
    def read(reply: Reply) -> tuple[list[Record], int | None]:
        page = reply.json()
        records = convert(page["items"], list[Record], "items")
        return records, page.get("next_from") if records else None

    query = {"from": str(first), "limit": str(PAGE_RECORDS)}
    return Call("GET", path("runs", run_id, "history"), read, query=query)
