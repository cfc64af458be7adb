"""The pytest plugin: the fixture `surefoot_server`, a real server for each test.

Where there is no `surefoot` program the test is skipped; with `SUREFOOT_REQUIRE_ALL=1`, as in
continuous integration, it fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from surefoot.testing import Server


@pytest.fixture
def surefoot_server() -> Iterator[Server]:
    """A `surefoot.testing.Server` with an empty store."""
    # Loaded late: pytest loads every plugin, and most tests need no server.
    from surefoot.testing import MissingProgram, Server, program

    try:
        binary = program()
    except MissingProgram as missing:
        if os.environ.get("SUREFOOT_REQUIRE_ALL"):
            pytest.fail(str(missing))
        pytest.skip(f"SKIPPED: {missing}")
    with Server(binary=binary) as server:
        yield server
