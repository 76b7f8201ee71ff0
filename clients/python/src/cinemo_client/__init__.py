"""The Python client of a Cinemo service. Depends only on httpx, pydantic and the service's OpenAPI document."""

from cinemo_client.aio import AsyncClient, AsyncJobHandle
from cinemo_client.errors import (
    AccessDenied,
    CinemoError,
    Conflict,
    DownloadCorrupt,
    JobNotSucceeded,
    NotFound,
    RequestInvalid,
    ResponseUnreadable,
    TooManyRequests,
    Unavailable,
    WaitTimedOut,
)
from cinemo_client.sync import Client, JobHandle

__all__ = [
    "AccessDenied",
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
    "ResponseUnreadable",
    "TooManyRequests",
    "Unavailable",
    "WaitTimedOut",
]
