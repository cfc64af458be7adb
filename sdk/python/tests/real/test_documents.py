"""The worker that the protocol's page shows works as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot import RunFailed
from surefoot.testing import Server
from tests.conftest import REPOSITORY
from tests.real.definitions import one_task

PAGE = REPOSITORY / "docs" / "worker-protocol.md"


def test_the_whole_worker_of_the_page(surefoot_server: Server, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(PAGE.read_text().split("```python\n")[1].split("```")[0])
    environment = os.environ | {"SUREFOOT_SERVER": surefoot_server.url}
    client = surefoot_server.client
    client.deploy(one_task("flow", "shout"))
    with subprocess.Popen([sys.executable, str(script)], env=environment) as process:
        try:
            assert client.start("flow", {"text": "hello"}).result() == {"text": "HELLO"}
            surefoot_server.restart(kill=True)
            assert client.start("flow", {"text": "again"}).result() == {"text": "AGAIN"}
            with pytest.raises(RunFailed, match="bad_input"):
                client.start("flow").result()
        finally:
            process.kill()
