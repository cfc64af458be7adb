"""Server-sent events: bytes in, messages out."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

# A message that is longer is an attack or a bug, not an event.
MESSAGE_CHARACTERS_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class Message:
    """One message of the stream. `id` is the last one that was given, as the standard says."""

    event: str
    data: str
    id: str


@dataclass
class Parser:
    """Takes the stream in pieces, cut anywhere, also inside of a character or a line end."""

    last_id: str = ""
    _text: str = ""
    _event: str = ""
    _data: list[str] = field(default_factory=list[str])
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    )

    def feed(self, piece: bytes) -> list[Message]:
        """Returns the messages that `piece` completes."""
        self._text += self._decoder.decode(piece)
        messages: list[Message] = []
        while (line := self._next_line()) is not None:
            message = self._line(line)
            if message is not None:
                messages.append(message)
        if len(self._text) + sum(map(len, self._data)) > MESSAGE_CHARACTERS_MAX:
            raise ValueError(f"an event is longer than {MESSAGE_CHARACTERS_MAX} characters")
        return messages

    def _next_line(self) -> str | None:
        ends = [it for it in (self._text.find("\n"), self._text.find("\r")) if it >= 0]
        if not ends:
            return None
        end = min(ends)
        # A CR that is the last of a piece may be the first half of CR LF.
        if self._text[end] == "\r" and end + 1 == len(self._text):
            return None
        width = 2 if self._text[end : end + 2] == "\r\n" else 1
        line, self._text = self._text[:end], self._text[end + width :]
        return line

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._end_of_message()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        # Others are comments (an empty name), `retry`, or not known.
        return None

    def _end_of_message(self) -> Message | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Message(event, "\n".join(data), self.last_id) if data else None
