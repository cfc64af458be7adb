"""Workers and clients for Surefoot, the durable workflow engine."""

from surefoot._settings import VERSION as __version__
from surefoot.async_client import AsyncClient, AsyncRun
from surefoot.client import Client, Run
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
from surefoot.models import Deployed, Event, Record, RunInfo
from surefoot.worker import Ctx, Worker

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
    "NotFound",
    "ProblemError",
    "Record",
    "Retry",
    "Run",
    "RunCancelled",
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
