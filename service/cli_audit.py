"""`cinemo audit`: what the operator's policy has decided."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from service.contract.environment import settings_of_command
from service.store.audit import AuditLog, Logged
from service.store.connections import connect
from service.store.scripts import RedisScripts


def audit(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    decision: Annotated[str | None, typer.Option(help="Only allow, refuse, change or unavailable.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, in UTC.")] = None,
) -> None:
    """Print the policy's decisions, oldest first, one JSON object a line."""
    settings = settings_of_command()
    log = AuditLog(RedisScripts(connect(settings.redis_url)), settings.audit_days)
    for logged in log.read(since.replace(tzinfo=UTC) if since else None):
        if tenant in (None, logged.entry.tenant) and decision in (None, logged.entry.decision):
            typer.echo(line(logged))


def line(logged: Logged) -> str:
    """An entry as JSON."""
    fields = {"at": logged.at.isoformat(timespec="milliseconds"), **logged.entry.known}
    return json.dumps(fields, ensure_ascii=False)
