"""`cinemo doctor`, the command."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from deploy.doctor.checks import examine
from deploy.doctor.context import Context
from deploy.doctor.result import Finding, Status
from deploy.doctor.variables import read_settings


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    load_model: Annotated[bool, typer.Option("--load-model", help="Also load and run the model.")] = False,
) -> None:
    """Look at everything that the service stands on; exits with 1 where something fails.

    A line for each check: ok, warning, failure or skipped, what was found, and how to fix it. It sees what this
    machine or container sees, so run it in one of the API's and in one of each kind of worker.
    """
    # What libraries log of failures is reported by the checks.
    logging.disable(logging.CRITICAL)
    found = look(load_model)
    statuses = tell_json(found) if as_json else tell_lines(found)
    if Status.FAILURE in statuses:
        raise typer.Exit(1)


def look(load_model: bool) -> Iterator[Finding]:
    """What is found; with settings that are wrong, that alone."""
    settings = read_settings()
    if isinstance(settings, list):
        yield from settings
    else:
        yield from examine(Context(settings, load_model))


def tell_lines(found: Iterable[Finding]) -> list[Status]:
    """Print each as it comes, and how many there were of each status."""
    statuses = []
    for finding in found:
        typer.echo(finding.line())
        statuses.append(finding.status)
    typer.echo(", ".join(f"{statuses.count(status)} {status}" for status in Status if status in statuses))
    return statuses


def tell_json(found: Iterable[Finding]) -> list[Status]:
    """Print `{"status": …, "checks": […]}`, its status the worst of all."""
    checks = list(found)
    statuses = [finding.status for finding in checks]
    worst = next(status for status in (Status.FAILURE, Status.WARNING, Status.OK) if status in statuses)
    typer.echo(json.dumps({"status": worst, "checks": [asdict(finding) for finding in checks]}, ensure_ascii=False))
    return statuses
