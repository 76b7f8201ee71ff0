"""`python -m tests.bench.scale`: measures how everything but the model scales, and writes docs/scale.md."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.__main__ import replace_section
from tests.bench.growth import Growth, Load, measure
from tests.bench.machine import cpu_name

PAGE, BENCHMARKS = Path("docs/scale.md"), Path("docs/benchmarks.md")
DAY = 86_400
JOBS_A_DAY, GPUS, APIS, SENDERS = 1_000_000, 1000, 4, 2
RETENTION_DAYS, OUTPUT_DAYS = 7, 3
SCRAPE_SECONDS, READS_A_JOB = 15, 5
BUSY_MS = 700
"""Of a second, what a process may be busy for before another one is better."""


@dataclass(frozen=True)
class Known:
    """Figures from docs/benchmarks.md: milliseconds of API CPU, bytes of Redis per queued job."""

    post_ms: float
    get_ms: float
    waiting_bytes: float


def read_benchmarks(page: str) -> Known:
    """Find the figures; raises `ValueError` if the page no longer has them."""
    post, read = (find(rf"^\| {name}.*, ours \|.*\| ([\d.,]+) \|$", page) for name in ("POST of", "GET of a job"))
    return Known(post, read, find(r"^A waiting job takes ([\d,]+) bytes of Redis", page))


def find(pattern: str, page: str) -> float:
    found = re.search(pattern, page, re.MULTILINE)
    if found is None:
        raise ValueError(f"{BENCHMARKS} has nothing that looks like {pattern}")
    return float(found[1].replace(",", ""))


def measured_lines(growth: Growth) -> Iterator[str]:
    """The table of measurements."""
    yield "## Measured\n"
    yield f"On {cpu_name()}; one Redis with an append-only file, files on local disk,"
    yield "the built-in model. Commands include those inside Redis scripts; CPU is the time of one core.\n"
    yield row("", "Redis' commands", "Redis' CPU, ms", "other")
    yield "| --- | ---: | ---: | --- |"
    sent = f"{growth.sender_cpu_ms:.1f} ms of the sender's CPU"
    yield row(f"one job of {growth.steps} steps, from its POST to its webhook", *of(growth.job), sent)
    yield row("an idle worker, per second", *of(growth.worker), "")
    yield row("what the elected worker adds, per second", *of(growth.elected), "")
    yield row("an idle sender, per second", *of(growth.sender), "")
    took = f"{growth.scrape_seconds * 1000:.0f} ms of an API"
    yield row(f"a `GET /metrics` with {growth.fleet:,} busy workers", *of(growth.scrape), took)
    yield ""
    yield row("an ended job leaves behind", "bytes")
    yield "| --- | ---: |"
    yield row(f"in Redis' memory, {growth.events_bytes:,.0f} of them its events", f"{growth.record_bytes:,.0f}")
    yield row("in the append-only file, until it is rewritten", f"{growth.append_bytes:,.0f}")
    yield row("in storage: photo of 600x400, video of 144x96, poster, manifest", f"{growth.stored_bytes:,.0f}")
    yield ""


def example_lines(growth: Growth, known: Known) -> Iterator[str]:
    """The same for a large fleet."""
    rate = JOBS_A_DAY / DAY
    yield f"## {JOBS_A_DAY:,} jobs a day on {GPUS:,} GPUs\n"
    yield f"Computed from the figures above and [benchmarks.md](benchmarks.md): {rate:.1f} jobs per second on average,"
    yield f"{APIS} APIs, {SENDERS} senders, {READS_A_JOB} `GET`s per job. What grows with jobs grows with your peak.\n"
    yield row("Redis", "commands per second", "CPU, ms per second")
    yield "| --- | ---: | ---: |"
    loads = {
        "jobs": growth.job * rate,
        "idle workers: heartbeats, elections, polling": growth.worker * GPUS,
        "the elected worker's rounds": growth.elected,
        "senders polling for work": growth.sender * SENDERS,
        "metrics": growth.scrape * (APIS / SCRAPE_SECONDS * GPUS / growth.fleet),
    }
    loads["**all**, of the 1,000 ms of one core"] = total(loads.values())
    for name, load in loads.items():
        yield row(name, f"{load.commands:,.0f}", f"{load.cpu_ms:,.0f}")
    yield ""
    kept, stored = growth.record_bytes * JOBS_A_DAY, growth.stored_bytes * JOBS_A_DAY
    yield row("space", "grows by", "levels off at")
    yield "| --- | ---: | ---: |"
    yield row("Redis' memory, ended jobs", daily(kept), f"{gigabytes(kept * RETENTION_DAYS)} in {RETENTION_DAYS} days")
    yield row("Redis' memory, waiting jobs", f"{gigabytes(known.waiting_bytes * rate * 3600)} per hour of backlog", "")
    yield row("append-only file", daily(growth.append_bytes * JOBS_A_DAY), "twice the memory, when it is rewritten")
    yield row(
        "storage, with files as small as those",
        daily(stored),
        f"{gigabytes(stored * OUTPUT_DAYS)} in {OUTPUT_DAYS} days",
    )
    yield ""
    api = rate * (known.post_ms + READS_A_JOB * known.get_ms)
    yield row("process", "CPU, ms per second", "that is")
    yield "| --- | ---: | --- |"
    yield row("API", f"{api:,.0f}", f"{api / BUSY_MS:.1f} processes at {BUSY_MS / 10:.0f} % of a core")
    yield row("webhook sender", f"{rate * growth.sender_cpu_ms:,.0f}", f"{rate:.1f} webhooks per second")
    yield ""


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def of(load: Load) -> tuple[str, str]:
    """As many digits as the repetitions agree on."""
    return f"{load.commands:,.3g}" if load.commands < 100 else f"{load.commands:,.0f}", f"{load.cpu_ms:.2g}"


def total(loads: Iterable[Load]) -> Load:
    each = list(loads)
    return Load(sum(load.commands for load in each), sum(load.cpu_ms for load in each))


def daily(count: float) -> str:
    return f"{gigabytes(count)} per day"


def gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


def main(output: Annotated[Path, typer.Option(help="The page to write its sections into.")] = PAGE) -> None:
    """Measure for minutes, and rewrite the two sections."""
    with tempfile.TemporaryDirectory(prefix="cinemo-bench-") as folder:
        growth = measure(Path(folder))
    page = output.read_text()
    for lines in (measured_lines(growth), example_lines(growth, read_benchmarks(BENCHMARKS.read_text()))):
        section = "\n".join(lines) + "\n"
        print(section)
        page = replace_section(page, section)
    output.write_text(page)


if __name__ == "__main__":
    typer.run(main)
