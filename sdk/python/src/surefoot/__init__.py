"""Workers and clients for Surefoot, the durable workflow engine.

The modules of clients and workers are loaded when one of them is used: a program that only starts
runs does not wait for the worker's, and `import surefoot` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from surefoot._settings import VERSION
from surefoot.errors import (
    Busy,
    Cancelled,
    Conflict,
    ConversionError,
    Fatal,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ProblemError,
    Retry,
    RunCancelled,
    RunFailed,
    ServerFault,
    StillRunning,
    SurefootError,
    Unauthenticated,
    Unreachable,
)
from surefoot.models import Deployed, Event, LogLine, RunEvent, RunInfo

if TYPE_CHECKING:
    from surefoot.async_client import AsyncClient, AsyncRun
    from surefoot.client import Client, Run
    from surefoot.worker import Ctx, Worker

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "Busy",
    "Cancelled",
    "Client",
    "Conflict",
    "ConversionError",
    "Ctx",
    "Deployed",
    "Event",
    "Fatal",
    "Forbidden",
    "Gone",
    "Invalid",
    "LogLine",
    "NotFound",
    "ProblemError",
    "Retry",
    "Run",
    "RunCancelled",
    "RunEvent",
    "RunFailed",
    "RunInfo",
    "ServerFault",
    "StillRunning",
    "SurefootError",
    "Unauthenticated",
    "Unreachable",
    "Worker",
    "__version__",
]

_MODULE_OF = {
    "AsyncClient": "surefoot.async_client",
    "AsyncRun": "surefoot.async_client",
    "Client": "surefoot.client",
    "Ctx": "surefoot.worker",
    "Run": "surefoot.client",
    "Worker": "surefoot.worker",
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
