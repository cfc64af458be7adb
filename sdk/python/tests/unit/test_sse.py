"""Server-sent events, whole and in pieces."""

from __future__ import annotations

import random

import pytest

from surefoot import _sse
from surefoot._sse import Message, Parser

CASES: list[tuple[str, list[Message]]] = [
    ("data: a\n\n", [Message("message", "a", "")]),
    ("event: record\nid: 7-1\ndata: {}\n\n", [Message("record", "{}", "7-1")]),
    ("data: a\ndata: b\n\n", [Message("message", "a\nb", "")]),
    ("data:a\r\n\r\ndata:b\r\rdata:c\n\n", [Message("message", it, "") for it in "abc"]),
    (": hello\n\ndata: a\n\n", [Message("message", "a", "")]),
    ("id: 3\n\ndata: a\n\n", [Message("message", "a", "3")]),
    ("id: 3\0\ndata: a\n\n", [Message("message", "a", "")]),
    ("event: log\n\ndata: a\n\n", [Message("message", "a", "")]),
    ("data\n\n", [Message("message", "", "")]),
    ("data: unfinished\n", []),
    ("\ufeffdata: ünï → 🦶\n\n", [Message("message", "ünï → 🦶", "")]),
    ("retry: 100\nnews: x\ndata: a: b\n\n", [Message("message", "a: b", "")]),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_streams_are_read(text: str, expected: list[Message]) -> None:
    assert Parser().feed(text.encode()) == expected


@pytest.mark.parametrize("seed", range(20))
def test_cuts_do_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    stream = "".join(text for text, _ in CASES if "\ufeff" not in text).encode()
    whole = Parser().feed(stream)
    parser = Parser()
    pieces: list[Message] = []
    while stream:
        size = chance.randint(1, 9)
        pieces += parser.feed(stream[:size])
        stream = stream[size:]
    assert pieces == whole, f"seed {seed}"


def test_the_last_id_stays_over_messages_without_one() -> None:
    messages = Parser("1").feed(b"data: a\n\nid: 2\ndata: b\n\ndata: c\n\n")
    assert [it.id for it in messages] == ["1", "2", "2"]


def test_a_message_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sse, "MESSAGE_CHARACTERS_MAX", 100)
    parser = Parser()
    parser.feed(b"data: abc\n" * 10)
    with pytest.raises(ValueError, match="longer than 100"):
        parser.feed(b"data: abc\n" * 30)
