"""GET /usage: what a tenant has used, or all of them for an operator."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Query, Response

from service.api.auth import Caller, CallerOf
from service.api.context import ContextOf
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.problems import ScopeMissing
from service.contract.schemas.timestamps import Day
from service.contract.schemas.usage import Dimension, UsageReport
from service.contract.usage import Period, csv_of, report
from service.store.tenants import Scope

router = new_router("usage")

CSV = "text/csv"
CSV_EXAMPLE = """\
day,succeeded,failed,canceled,expired,attempts,device_seconds,output_seconds,output_bytes,cost,currency
2026-11-24,12,0,1,0,13,145.06,24.0,2310044,0.145,EUR
"""


@router.get(
    "/usage",
    response_model=UsageReport,
    summary="Get usage",
    responses={
        200: {"content": {CSV: {"schema": {"type": "string"}, "example": CSV_EXAMPLE}}},
        **problems(ScopeMissing),
    },
)
def get_usage(
    context: ContextOf,
    caller: CallerOf,
    first: Annotated[
        Day | None, Query(alias="from", description="First day (UTC); defaults to the first of the last day's month.")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day (UTC); defaults to today.")] = None,
    by: Annotated[Sequence[Dimension], Query(max_length=4, description="Group by this; repeatable.")] = (
        Dimension.DAY,
    ),
    tenant: Annotated[
        str | None, Query(description="Only this tenant's. Defaults to your own, or to all with the scope `operator`.")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
) -> Response | UsageReport:
    """Return jobs by outcome, device time and output, as they were when attempts ended, for the last 366 days.

    With `Accept: text/csv`, the rows are returned as CSV.
    """
    period = Period.of(first, last, context.jobs.usage.today())
    currency = context.settings.currency if context.settings.device_prices else None
    whose = visible(tenant, caller)
    usage = report(context.jobs.usage.of(period, whose), period, by, currency)
    if CSV in accept:
        return Response(csv_of(usage, by), media_type=CSV)
    return usage.model_copy(update={"budget": whose and context.jobs.usage.budget(whose, currency)})


def visible(tenant: str | None, caller: Caller) -> str | None:
    """Return the tenant whose usage the caller gets, None for all; raises `ScopeMissing` if it is not theirs."""
    if Scope.OPERATOR in caller.scopes:
        return tenant
    if tenant not in (None, caller.tenant):
        raise ScopeMissing(f"the key lacks the scope {Scope.OPERATOR}, which other tenants' usage needs")
    return caller.tenant
