"""The Python client of the service. Knows httpx and pydantic, and of the service the schemas alone."""

from service.client.aio import AsyncClient, AsyncJobHandle
from service.client.errors import (
    AccessDenied,
    AnswerUnreadable,
    CinemoError,
    Conflict,
    DownloadCorrupt,
    JobNotSucceeded,
    NotFound,
    RequestInvalid,
    TooMany,
    Unavailable,
    WaitTimedOut,
)
from service.client.sync import Client, JobHandle

__all__ = [
    "AccessDenied",
    "AnswerUnreadable",
    "AsyncClient",
    "AsyncJobHandle",
    "CinemoError",
    "Client",
    "Conflict",
    "DownloadCorrupt",
    "JobHandle",
    "JobNotSucceeded",
    "NotFound",
    "RequestInvalid",
    "TooMany",
    "Unavailable",
    "WaitTimedOut",
]
