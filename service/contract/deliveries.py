"""Webhook endpoints, secrets and deliveries, as stored in Redis."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cinemo_spec.strict import StrictModel
from service.contract.requests import FINAL_EVENTS, EndpointEvent


class Endpoint(StrictModel):
    """A URL that receives webhooks for all of a tenant's jobs."""

    id: str = Field(examples=["ep_5f2c0a9be1d4"])
    url: str
    events: tuple[EndpointEvent, ...] = Field(FINAL_EVENTS, min_length=1)
    enabled: bool = Field(True, description="False once it has responded with 410.")
    created_at: datetime


class Secret(StrictModel):
    """A signing secret; its predecessor also signs for `overlap_seconds`."""

    secret: str
    created_at: datetime
    overlap_seconds: int


class DeliveryStatus(StrEnum):
    """Status of a delivery."""

    PENDING = "pending"
    """Due now or later."""
    DELIVERED = "delivered"
    """The receiver responded with 2xx."""
    FAILED = "failed"
    """The last scheduled attempt failed."""
    STOPPED = "stopped"
    """The receiver responded with 410, or its endpoint was disabled or removed."""


class Attempt(StrictModel):
    """One request to a receiver."""

    at: datetime
    status: int | None = Field(description="HTTP status of the response; null if there was none.")
    latency_ms: int
    error: str | None = Field(description="Why the attempt failed; null if it didn't.")


class Delivery(StrictModel):
    """A webhook to one receiver: a job entered a state."""

    id: str
    job: str
    tenant: str
    type: str
    url: str
    endpoint: str = ""
    """ID of the endpoint; empty for the job's own URL."""
    receiver: str
    host: str = ""
    """The receiver's host, by which concurrent requests are limited."""
    created_at: datetime
    attempt: int
    """The job's attempt when it entered the state."""
    status: DeliveryStatus
    data: str | None = None
    """The message's data as JSON, if it concerns no job."""
    tries: int
    """Failed attempts since it was created or redelivered."""
    attempts: tuple[Attempt, ...]
    next_attempt_at: datetime | None = None
