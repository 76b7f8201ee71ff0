"""Webhook messages, and deliveries and redelivery as clients see them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.deliveries import Attempt, DeliveryStatus
from service.contract.requests import WEBHOOK_EVENTS
from service.contract.schemas.jobs import Job
from service.contract.schemas.timestamps import Timestamp
from service.contract.schemas.usage import Budget

TYPES = f"One of {', '.join(WEBHOOK_EVENTS)}; values may be added."


class Message(BaseModel):
    """The body of a webhook: a job that changed state."""

    type: str = Field(description=TYPES, examples=["job.succeeded"])
    timestamp: datetime = Field(description="When the job entered the state, however late the webhook is sent.")
    data: Job


class BudgetMessage(BaseModel):
    """The body of a webhook: 80 % of your budget for this month are used. It is sent once a month."""

    type: Literal["usage.budget_warning"]
    timestamp: datetime = Field(description="When that was so, however late the webhook is sent.")
    data: Budget


class VideoReference(BaseModel):
    """A video; `GET /v1/videos/<id>` returns it."""

    id: str


class VideoMessage(BaseModel):
    """The body of a webhook in OpenAI's dialect: a job that makes a video has ended; `created_at` in Unix seconds."""

    id: str
    object: Literal["event"] = "event"
    created_at: int
    type: Literal["video.completed", "video.failed"]
    data: VideoReference


class Delivery(BaseModel):
    """A webhook to one receiver, with its attempts, oldest first; the last hundred."""

    id: str = Field(description="The `webhook-id`, the same for every attempt.")
    type: str = Field(description=TYPES, examples=["job.succeeded"])
    url: str
    endpoint: str | None = Field(description="Null if the URL is the job's own.")
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(
        description="Null once the delivery is complete, and while an earlier one is pending."
    )
    attempts: list[Attempt]


class DeliveryList(BaseModel):
    """A job's webhook deliveries, in the order in which each receiver gets them."""

    deliveries: list[Delivery]


class RedeliverRequest(BaseModel):
    """Selects webhooks to resend, by creation time."""

    model_config = ConfigDict(extra="forbid")

    after: Timestamp
    before: Timestamp | None = Field(None, description="Defaults to now.")
    status: DeliveryStatus | None = Field(None, description="Filter by status.")


class Redelivered(BaseModel):
    """Number of webhooks being resent."""

    redelivered: int
