"""Tests against a real server: `Server` starts the `surefoot` program, `running` a worker.

    with Server("order.surefoot.yaml") as server, running(worker, server):
        assert server.client.start("order", {"id": "1"}).result()["charge"] == "c1"

With pytest the fixture `surefoot_server` is a server that is there already.
"""

from surefoot.testing.server import MissingProgram, Server, program
from surefoot.testing.workers import running

__all__ = ["MissingProgram", "Server", "program", "running"]
