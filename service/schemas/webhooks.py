"""What webhooks say, their log as clients see it, and what they ask to be sent again."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from service.jobs.requests import WEBHOOK_EVENTS
from service.schemas.jobs import Job
from service.schemas.moments import Moment
from service.webhooks.model import Attempt, DeliveryStatus

TYPES = f"One of {', '.join(WEBHOOK_EVENTS)}; more may come."


class Message(BaseModel):
    """The body of a webhook: a job, as it came into a state."""

    type: str = Field(description=TYPES, examples=["job.succeeded"])
    timestamp: datetime = Field(description="When it came into the state, however late this is sent.")
    data: Job


class Delivery(BaseModel):
    """A webhook to one receiver, with each attempt to send it, the oldest first; the last hundred."""

    id: str = Field(description="The `webhook-id`, the same in every attempt.")
    type: str = Field(description=TYPES, examples=["job.succeeded"])
    url: str
    endpoint: str | None = Field(description="Null where the job itself named the URL.")
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="Null once it is over, and while an earlier one is not.")
    attempts: list[Attempt]


class DeliveryList(BaseModel):
    """A job's webhooks, in the order in which each receiver hears of them."""

    deliveries: list[Delivery]


class RedeliverRequest(BaseModel):
    """Which of your webhooks to send again, by when they were written."""

    model_config = ConfigDict(extra="forbid")

    after: Moment
    before: Moment | None = Field(None, description="Now, if not given.")
    status: DeliveryStatus | None = Field(None, description="Only those that stand so.")


class Redelivered(BaseModel):
    """How many webhooks are sent again."""

    redelivered: int
