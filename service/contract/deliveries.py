"""Endpoints that hear of a tenant's jobs, and the deliveries to them, as they are stored."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from service.contract.requests import FINAL_EVENTS, Part, WebhookEvent


class Endpoint(Part):
    """A URL that hears of all jobs of a tenant."""

    id: str = Field(examples=["ep_5f2c0a9be1d4"])
    url: str
    events: tuple[WebhookEvent, ...] = Field(FINAL_EVENTS, min_length=1)
    enabled: bool = Field(True, description="False once it has responded with 410.")
    created_at: datetime


class Secret(Part):
    """What webhooks are signed with; the one before it goes on signing for some seconds."""

    secret: str
    created_at: datetime
    overlap_seconds: int


class DeliveryStatus(StrEnum):
    """Status of a delivery."""

    PENDING = "pending"
    """It is due now or later."""
    DELIVERED = "delivered"
    """The receiver has answered 2xx."""
    FAILED = "failed"
    """Given up after the last attempt of the schedule."""
    STOPPED = "stopped"
    """The receiver has answered 410, or its endpoint is disabled or removed."""


class Attempt(Part):
    """One request to a receiver."""

    at: datetime
    status: int | None = Field(description="HTTP status of the response; null if there was none.")
    latency_ms: int
    error: str | None = Field(description="Why the attempt failed; null if it didn't.")


class Delivery(Part):
    """A webhook: that a job came into a state, for one receiver."""

    id: str
    job: str
    tenant: str
    type: str
    url: str
    endpoint: str = ""
    """Empty for the URL that the job itself names."""
    receiver: str
    host: str = ""
    """The receiver's, as its sender was told."""
    created_at: datetime
    attempt: int
    """The job's, as it came into the state."""
    status: DeliveryStatus
    tries: int
    """Failed attempts since it was written or sent again."""
    attempts: tuple[Attempt, ...]
    next_attempt_at: datetime | None = None
