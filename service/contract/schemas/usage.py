"""Usage of the devices as clients see it."""

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from service.contract.record import JobKind


class Dimension(StrEnum):
    """What usage is grouped by."""

    DAY = "day"
    TENANT = "tenant"
    KIND = "kind"
    MODEL = "model"


class UsageRow(BaseModel):
    """What a group of jobs used. A dimension is null unless the report is grouped by it."""

    day: date | None = Field(description="Day (UTC) on which attempts ended.")
    tenant: str | None
    kind: JobKind | None
    model: str | None = Field(
        description="The model, followed by the adapters of a request, each after ` + `.",
        examples=["tiny", "tiny + style@0123456789ab"],
    )
    succeeded: int = Field(description="Jobs that succeeded.")
    failed: int = Field(description="Jobs that failed.")
    canceled: int = Field(description="Jobs that were canceled.")
    expired: int = Field(description="Jobs whose deadline passed while they were queued.")
    attempts: int = Field(description="Attempts that ended, including lost ones.")
    device_seconds: float = Field(
        description="Time for which attempts held a device, however they ended; to the millisecond."
    )
    output_seconds: float = Field(description="Length of the videos made.")
    output_bytes: int = Field(description="Size of all files of those videos: video, poster, manifest and so on.")
    cost: float | None = Field(
        description="Cost of the device time at the prices when it was used; null if the service has no prices."
    )


class Budget(BaseModel):
    """What a tenant may use in a month, and what it has used."""

    tenant: str
    month: str = Field(examples=["2026-11"])
    device_seconds: float = Field(description="Used in the month so far.")
    max_device_seconds: float | None = Field(description="Null for no limit.")
    cost: float | None = Field(description="Used in the month so far; null if the service has no prices.")
    max_cost: float | None = Field(description="Null for no limit.")
    currency: str | None = Field(description="Currency of costs, an ISO 4217 code; null if the service has no prices.")
    renews_at: datetime = Field(description="When the next month begins, in UTC.")


class UsageReport(BaseModel):
    """Usage of a period."""

    first_day: date
    last_day: date
    currency: str | None = Field(description="Currency of costs, an ISO 4217 code; null if the service has no prices.")
    rows: list[UsageRow] = Field(description="By day, tenant, kind and model; groups without usage are left out.")
    total: UsageRow
    budget: Budget | None = Field(
        None, description="This month's budget, whatever the period; null without a budget, and for several tenants."
    )
