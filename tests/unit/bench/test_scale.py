"""The scale page is arithmetic on measurements, its own and the benchmarks'."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.growth import Growth, Load
from tests.bench.scale import Known, example_lines, measured_lines, read_benchmarks

GROWTH = Growth(
    job=Load(100, 8.64),
    steps=20,
    record_bytes=10_000,
    events_bytes=4_000,
    append_bytes=30_000,
    stored_bytes=500_000,
    sender_cpu_ms=4.32,
    worker=Load(6, 0.2),
    elected=Load(3, 0.1),
    sender=Load(10, 0.5),
    scrape=Load(1000, 5),
    scrape_seconds=0.05,
    fleet=1000,
)
KNOWN = Known(post_ms=20, get_ms=1, waiting_bytes=8000)


def cells(name: str, growth: Growth = GROWTH) -> list[str]:
    (line,) = (line for line in example_lines(growth, KNOWN) if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_commands_per_second_are_computed_for_a_number_of_jobs_per_day() -> None:
    assert cells("jobs") == ["1,157", "100"]
    assert cells("idle workers") == ["6,000", "200"]
    assert cells("the elected worker") == ["3", "0"]
    assert cells("metrics") == ["267", "1"]
    assert cells("**all**") == ["7,447", "302"]
    assert cells("API")[:1] == ["289"]
    assert cells("webhook sender")[:1] == ["50"]


def test_space_is_computed_per_day_and_for_the_retention() -> None:
    assert cells("Redis' memory, ended") == ["10.0 GB per day", "70.0 GB in 7 days"]
    assert cells("storage") == ["500.0 GB per day", "1,500.0 GB in 3 days"]
    assert cells("storage", replace(GROWTH, stored_bytes=1e6))[:1] == ["1,000.0 GB per day"]


def test_every_tables_rows_are_as_long_as_its_header() -> None:
    for line in [*measured_lines(GROWTH), *example_lines(GROWTH, KNOWN)]:
        assert "\n|" not in line
        if line.startswith("|"):
            assert line.count("|") in (3, 4, 5)


def test_the_figures_that_the_page_quotes_are_in_the_benchmarks() -> None:
    known = read_benchmarks(Path("docs/benchmarks.md").read_text())
    assert known.post_ms > known.get_ms > 0
    assert known.waiting_bytes > 1000
    with pytest.raises(ValueError, match="has nothing that looks like"):
        read_benchmarks("# Benchmarks\n")
