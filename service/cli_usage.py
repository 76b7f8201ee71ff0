"""`cinemo usage`: what tenants have used."""

from datetime import datetime
from typing import Annotated

import typer

from service.contract.environment import settings_of_command
from service.contract.problems import InvalidInput
from service.contract.schemas.usage import Dimension
from service.contract.usage import Period, csv_of, report
from service.store.connections import connect
from service.store.scripts import RedisScripts
from service.store.usage import UsageStore

DAY = ["%Y-%m-%d"]


def usage(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="Defaults to the first of the month.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="Defaults to today, in UTC.")] = None,
    by: Annotated[list[Dimension] | None, typer.Option(help="Repeatable; defaults to tenant.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
) -> None:
    """Print the usage of a period as CSV."""
    settings = settings_of_command()
    store = UsageStore(RedisScripts(connect(settings.redis_url)))
    try:
        period = Period.of(first.date() if first else None, last.date() if last else None, store.today())
    except InvalidInput as problem:
        typer.echo(f"error: {problem.detail}", err=True)
        raise typer.Exit(1) from problem
    dimensions = by or [Dimension.TENANT]
    currency = settings.currency if settings.device_prices else None
    typer.echo(csv_of(report(store.of(period, tenant), period, dimensions, currency), dimensions), nl=False)
