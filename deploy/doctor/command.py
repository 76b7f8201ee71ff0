"""The command `cinemo doctor`."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from deploy.doctor.checks import run_checks
from deploy.doctor.context import Context
from deploy.doctor.result import Finding, Status
from deploy.doctor.variables import read_settings


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    load_model: Annotated[bool, typer.Option("--load-model", help="Also load and run the model.")] = False,
) -> None:
    """Check everything the service depends on; exits with 1 if a check fails.

    Prints one line per check: ok, warning, failure or skipped, what it found, and how to fix it. It sees what this
    machine or container sees, so run it in one API container and in one of each kind of worker.
    """
    # The checks report failures, so libraries need not log them.
    logging.disable(logging.CRITICAL)
    findings = run_doctor(load_model)
    statuses = print_json(findings) if as_json else print_lines(findings)
    if Status.FAILURE in statuses:
        raise typer.Exit(1)


def run_doctor(load_model: bool) -> Iterator[Finding]:
    """The findings of all checks, or only invalid settings, if there are any."""
    settings = read_settings()
    if isinstance(settings, list):
        yield from settings
    else:
        yield from run_checks(Context(settings, load_model))


def print_lines(findings: Iterable[Finding]) -> list[Status]:
    """Print each finding as it arrives, then the number of findings by status."""
    statuses = []
    for finding in findings:
        typer.echo(finding.line())
        statuses.append(finding.status)
    typer.echo(", ".join(f"{statuses.count(status)} {status}" for status in Status if status in statuses))
    return statuses


def print_json(findings: Iterable[Finding]) -> list[Status]:
    """Print `{"status": …, "checks": […]}` with the worst status."""
    checks = list(findings)
    statuses = [finding.status for finding in checks]
    worst = next(status for status in (Status.FAILURE, Status.WARNING, Status.OK) if status in statuses)
    typer.echo(json.dumps({"status": worst, "checks": [asdict(finding) for finding in checks]}, ensure_ascii=False))
    return statuses
