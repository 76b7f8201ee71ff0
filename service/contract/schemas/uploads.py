"""Uploads as clients see them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ContentType = Literal[
    "image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/gif", "video/mp4", "video/webm"
]


class Upload(BaseModel):
    """A file that your jobs can use until it expires."""

    id: str
    content_type: str = Field(description="Detected from the first bytes.")
    bytes: int
    sha256: str
    expires_at: datetime


class PresignRequest(BaseModel):
    """A file that the caller will PUT."""

    model_config = ConfigDict(extra="forbid")

    content_type: ContentType
    bytes: int = Field(ge=1, description="Exact size of the file.")


class PresignedUpload(BaseModel):
    """Where to PUT the file and with which headers; after that, jobs can use it."""

    id: str
    url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_at: datetime
