"""`cinemo`: administration of tenants, API keys and webhooks, the audit log, and usage."""

from collections.abc import Iterator
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from cinemo_spec.wording import with_place
from service.cli_audit import audit
from service.cli_usage import usage
from service.cli_webhooks import webhooks
from service.contract.environment import settings_of_command
from service.store.connections import connect
from service.store.tenants import ApiKey, Scope, Tenant, TenantStore

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Administration of the Cinemo service.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
tenants = typer.Typer(no_args_is_help=True, help="Tenants and their limits.")
app.add_typer(keys, name="keys")
app.add_typer(tenants, name="tenants")
app.add_typer(webhooks, name="webhooks")
app.command("audit")(audit)
app.command("usage")(usage)

Name = Annotated[str, typer.Option("--tenant", help="Lower-case letters, digits and hyphens.")]


def store() -> TenantStore:
    """Open the tenant store in the configured Redis."""
    return TenantStore(connect(settings_of_command().redis_url))


@keys.command("create")
def create_key(
    tenant: Name,
    scopes: Annotated[list[Scope] | None, typer.Option("--scope", help="Defaults to animate; repeatable.")] = None,
) -> None:
    """Create a key and print it. It can't be shown again: only its hash is stored."""
    try:
        key, token = store().create_key(tenant, frozenset(scopes or [Scope.ANIMATE]))
    except ValidationError as error:
        typer.echo(f"error: {tenant!r} is not a valid tenant name", err=True)
        raise typer.Exit(1) from error
    typer.echo(token)
    typer.echo(describe(key), err=True)


@keys.command("list")
def list_keys() -> None:
    """List all keys with their IDs, tenants, scopes and age."""
    for key in store().list_keys():
        typer.echo(describe(key))


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As shown by `keys list`.")]) -> None:
    """Revoke a key, effective from the next request."""
    if not store().revoke(key_id):
        typer.echo(f"error: no key {key_id}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{key_id} revoked")


def set_tenant(name: str, **limits: Any) -> None:
    """Set a tenant's limits. Omitted limits are unlimited, or the setting's default if there is one."""
    try:
        tenant = Tenant(name=name, **limits)
    except ValidationError as error:
        for each in error.errors():
            typer.echo(f"error: {with_place(each, 'tenant')}", err=True)
        raise typer.Exit(1) from error
    store().put(tenant)
    typer.echo(tenant.model_dump_json())


def set_tenant_parameters() -> Iterator[Parameter]:
    """The name, and an option for each limit that `Tenant` declares."""
    argument = typer.Argument(help="Created if it doesn't exist.")
    yield Parameter("name", Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[str, argument])
    for limit, field in Tenant.model_fields.items():
        if limit != "name":
            kind, option = field.annotation, typer.Option(help=field.description)
            yield Parameter(limit, Parameter.KEYWORD_ONLY, default=field.default, annotation=Annotated[kind, option])


# Typer reads both.
set_tenant.__signature__ = Signature(list(set_tenant_parameters()))  # type: ignore[attr-defined]
set_tenant.__annotations__ = {each.name: each.annotation for each in set_tenant_parameters()}
tenants.command("set")(set_tenant)


@tenants.command("show")
def show_tenant(name: str) -> None:
    """Show a tenant's limits."""
    typer.echo(store().get(name).model_dump_json())


def describe(key: ApiKey) -> str:
    scopes = ",".join(sorted(key.scopes))
    return f"{key.id}  {key.tenant}  {scopes}  {key.created_at:%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    app()
