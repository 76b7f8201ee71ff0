"""A tenant's budget for a month, and what happens when it is used up."""

from datetime import UTC, datetime
from typing import Any

from service.contract.problems import BudgetSpent
from service.contract.schemas.usage import Budget
from service.contract.usage import MICROS


def next_month(moment: datetime) -> datetime:
    """The first moment of the next month, in UTC."""
    months = moment.year * 12 + moment.month
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def spent(now: datetime) -> BudgetSpent:
    """The problem of a request in a month whose budget is used up."""
    opens_at = next_month(now)
    detail = f"the budget for {now:%Y-%m} is used up; new jobs are accepted again from {opens_at:%Y-%m-%dT%H:%M:%SZ}"
    return BudgetSpent(detail, retry_after=int((opens_at - now).total_seconds()) + 1)


def budget_of(tenant: str, figures: dict[str, Any], currency: str | None) -> Budget:
    """A budget as clients see it, from the figures of `lua/budget.lua`."""
    begins_at = datetime.strptime(figures["month"], "%Y-%m").replace(tzinfo=UTC)
    return Budget(
        tenant=tenant,
        month=figures["month"],
        device_seconds=figures["device_ms"] / 1000,
        max_device_seconds=figures.get("max_device_seconds"),
        cost=figures["cost_micros"] / MICROS if currency else None,
        max_cost=figures.get("max_cost"),
        currency=currency,
        renews_at=next_month(begins_at),
    )
