"""A `surefoot` server of the test's own: on a free port of this machine, with an empty store."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType

from surefoot.client import Client

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class MissingProgram(Exception):
    """The `surefoot` program is nowhere to be found."""


def program() -> Path:
    """Returns the `surefoot` program: `SUREFOOT_BIN`, or the one in the search path."""
    named = os.environ.get("SUREFOOT_BIN")
    if named:
        if Path(named).is_file():
            return Path(named)
        raise MissingProgram(f"SUREFOOT_BIN names {named}, which is not there")
    found = shutil.which("surefoot")
    if found is None:
        raise MissingProgram(
            "there is no `surefoot` in the search path; install it, or set SUREFOOT_BIN"
        )
    return Path(found)


class Server:
    """A server that lives as long as the `with` block, and leaves nothing behind.

    `definitions` are deployed before the block begins. `arguments` are passed on to
    `surefoot server`. `restart` starts it anew with the same store and port.
    """

    def __init__(
        self,
        *definitions: str | PathLike[str],
        binary: str | PathLike[str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._definitions = [Path(it) for it in definitions]
        self._binary = Path(binary) if binary else None
        self._arguments = arguments
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address = "127.0.0.1:0"
        self._client: Client | None = None

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    @property
    def client(self) -> Client:
        """A client of this server."""
        if self._client is None:
            raise RuntimeError("the server has not started")
        return self._client

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def _home(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the server has not started")
        return Path(self._folder.name)

    @property
    def _log_file(self) -> Path:
        return self._home / "server.log"

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory(prefix="surefoot-")
        try:
            self._start()
            self._client = Client(self.url)
            for definition in self._definitions:
                self._client.deploy(definition)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
        self.stop()
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> None:
        binary = self._binary or program()
        command = [binary, "server", "--listen", self._address, *self._arguments]
        # The server's own settings, not those of whoever runs the tests.
        kept = {name: it for name, it in os.environ.items() if not name.startswith("SUREFOOT_")}
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._home, env=kept, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._address = self._wait_for_address(self._process)

    def _wait_for_address(self, process: subprocess.Popen[bytes]) -> str:
        """Waits until the server says where it listens, which it does once it answers."""
        for _ in _until(START_SECONDS):
            has_ended = process.poll() is not None
            found = re.search(r"http://(127\.0\.0\.1:[0-9]+)", self.log)
            if found:
                return found[1]
            if has_ended:
                raise RuntimeError(f"the server ended with {process.returncode}:\n{self.log}")
        raise RuntimeError(f"the server did not start in {START_SECONDS:g} s:\n{self.log}")

    def restart(self, *, kill: bool = False) -> None:
        """Starts the server anew, with the same store at the same address."""
        self.stop(kill=kill)
        self._start()

    def stop(self, *, kill: bool = False) -> None:
        """Stops the server in good order, or kills it as a crash would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _until(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.005)
