"""Workers for the length of a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

from surefoot.testing.server import Server
from surefoot.worker import Worker

DRAIN_SECONDS = 60.0


@contextmanager
def running(worker: Worker, server: Server | str) -> Generator[Worker, None, None]:
    """Runs a worker in a thread while the block is executed, and lets it finish what it has."""
    url = server if isinstance(server, str) else server.url
    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(worker.serve(server=url))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="surefoot-worker", daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(DRAIN_SECONDS)
    if failures:
        raise failures[0]
