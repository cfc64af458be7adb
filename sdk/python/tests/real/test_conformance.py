"""The language-neutral conformance run, against the example's handlers."""

from __future__ import annotations

import subprocess

from examples.conformance.worker import worker
from surefoot.testing import Server, program, running


def test_the_sdk_conforms(surefoot_server: Server) -> None:
    with running(worker, surefoot_server):
        command = [program(), "worker", "conformance", surefoot_server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
