"""The Python client of a Cinemo service. Knows only httpx, pydantic and the service's OpenAPI document."""

from cinemo_client.aio import AsyncClient, AsyncJobHandle
from cinemo_client.errors import (
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
from cinemo_client.sync import Client, JobHandle

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
