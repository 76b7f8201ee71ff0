"""A small part of `make faults`: real processes are killed and frozen, and no accepted job is lost or repeated."""

from pathlib import Path

import pytest

from deploy.markers import replace_section
from tests.faults.__main__ import BEGIN, CASES, END
from tests.faults.case import Run

SEED = 7
BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize(("name", "scale"), [("redis", 0.05), ("frozen", 0.3), ("poison", 0.1)])
def test_guarantees_hold_whichever_process_dies(tmp_path: Path, name: str, scale: float) -> None:
    summary = BY_NAME[name].play(Run(tmp_path, SEED, scale))
    assert summary


def test_the_reliability_page_has_a_section_for_the_table() -> None:
    page = Path("docs/reliability.md").read_text()
    assert f"{BEGIN}\na table\n{END}" in replace_section(page, BEGIN, END, "a table")
