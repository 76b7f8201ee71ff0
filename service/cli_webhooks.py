"""`cinemo webhooks`: a tenant's webhook endpoints and signing secrets."""

from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from cinemo_spec.wording import with_place
from service.contract.deliveries import Endpoint
from service.contract.environment import settings_of_command
from service.contract.problems import UrlForbidden
from service.contract.requests import FINAL_EVENTS
from service.outbound.client import open_outbound
from service.store.connections import connect
from service.store.tenants import Tenant
from service.webhooks.endpoints import OVERLAP_SECONDS, EndpointStore

webhooks = typer.Typer(no_args_is_help=True, help="Webhooks: endpoints and signing secrets.")
endpoint = typer.Typer(no_args_is_help=True, help="URLs that receive events of all of a tenant's jobs.")
secret = typer.Typer(no_args_is_help=True, help="Secrets that sign a tenant's webhooks.")
webhooks.add_typer(endpoint, name="endpoint")
webhooks.add_typer(secret, name="secret")


def require_name(name: str) -> str:
    """Return the name; raises `typer.BadParameter` if it is not a valid tenant name."""
    try:
        return Tenant(name=name).name
    except ValidationError as error:
        raise typer.BadParameter(f"{name!r} is not a valid tenant name") from error


Name = Annotated[str, typer.Option("--tenant", callback=require_name, help="Lower-case letters, digits and hyphens.")]
EndpointId = Annotated[str, typer.Argument(help="As shown by `endpoint list`.")]


def store() -> EndpointStore:
    """Open the endpoint store in the configured Redis."""
    return EndpointStore(connect(settings_of_command().redis_url))


@endpoint.command("add")
def add_endpoint(
    url: str,
    tenant: Name,
    events: Annotated[
        list[str] | None,
        typer.Option("--event", help="For example job.succeeded; repeatable; defaults to all final events."),
    ] = None,
) -> None:
    """Send events of all of a tenant's jobs to a URL from now on."""
    try:
        open_outbound(settings_of_command()).check(url)
        added = store().add(tenant, url, events or FINAL_EVENTS)
    except UrlForbidden as problem:
        fail(problem.detail)
    except ValidationError as error:
        fail("; ".join(with_place(each) for each in error.errors()))
    typer.echo(describe(added))


@endpoint.command("list")
def list_endpoints(tenant: Name) -> None:
    """List a tenant's endpoints with ID, status, events and URL."""
    for each in store().of_tenant(tenant):
        typer.echo(describe(each))


@endpoint.command("enable")
def enable_endpoint(endpoint_id: EndpointId, tenant: Name) -> None:
    """Re-enable an endpoint that was disabled by a 410 response."""
    if not store().enable(tenant, endpoint_id):
        fail(f"no endpoint {endpoint_id}")
    typer.echo(f"{endpoint_id} enabled")


@endpoint.command("remove")
def remove_endpoint(endpoint_id: EndpointId, tenant: Name) -> None:
    """Remove an endpoint and drop its pending deliveries."""
    if not store().remove(tenant, endpoint_id):
        fail(f"no endpoint {endpoint_id}")
    typer.echo(f"{endpoint_id} removed")


@secret.command("show")
def show_secrets(tenant: Name) -> None:
    """Show a tenant's current signing secrets, newest first. Creates one if there is none."""
    for each in store().secrets(tenant):
        typer.echo(each)


@secret.command("rotate")
def rotate_secret(
    tenant: Name,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old secret keeps signing as well.")] = (
        OVERLAP_SECONDS / 3600
    ),
) -> None:
    """Start signing with a new secret, and print it."""
    typer.echo(store().rotate(tenant, round(overlap_hours * 3600)))


def describe(each: Endpoint) -> str:
    return f"{each.id}  {'enabled' if each.enabled else 'disabled'}  {','.join(each.events)}  {each.url}"


def fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
