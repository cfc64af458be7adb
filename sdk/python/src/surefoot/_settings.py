"""Where the server is and who asks: arguments before the environment before defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VERSION = "0.1.0"
SDK = f"python/{VERSION}"
SERVER = "http://127.0.0.1:7070"


@dataclass(frozen=True)
class Settings:
    server: str
    # Not shown, so that it does not end up in a log.
    token: str | None = field(default=None, repr=False)

    @staticmethod
    def resolve(server: str | None, token: str | None) -> Settings:
        """Reads `SUREFOOT_SERVER` and `SUREFOOT_TOKEN` for what is not given."""
        server = server or os.environ.get("SUREFOOT_SERVER") or SERVER
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{server!r} is not the address of a server, such as {SERVER}")
        return Settings(server.rstrip("/"), token or os.environ.get("SUREFOOT_TOKEN") or None)

    def headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"surefoot-{SDK}", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    @property
    def trusts_environment(self) -> bool:
        """Whether a proxy of the environment is used: not to reach this very machine."""
        return urlsplit(self.server).hostname not in ("127.0.0.1", "::1", "localhost")
