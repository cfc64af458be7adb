"""Finds the `surefoot` program where cargo puts it, if `SUREFOOT_BIN` does not name it."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def pytest_configure() -> None:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    built = [it for it in (target / "debug/surefoot", target / "release/surefoot") if it.is_file()]
    if "SUREFOOT_BIN" not in os.environ and built:
        os.environ["SUREFOOT_BIN"] = str(max(built, key=lambda it: it.stat().st_mtime))
