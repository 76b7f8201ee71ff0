"""A section of the benchmarks that is measured alone replaces its part of the page and no other."""

from tests.bench.__main__ import replace_section
from tests.bench.service import shown_ms

PAGE = "# Benchmarks\n\n## One\n\nold\n\n### Of one\n\n## Two\n\nkept\n\n## Last\n\nwords\n"


def test_a_section_is_replaced_with_its_subsections() -> None:
    replaced = replace_section(PAGE, "## One\n\nnew\n\n")
    assert replaced == "# Benchmarks\n\n## One\n\nnew\n\n## Two\n\nkept\n\n## Last\n\nwords\n"


def test_a_new_section_is_inserted_before_the_last() -> None:
    replaced = replace_section(PAGE, "## New\n\nnew\n\n")
    assert replaced == PAGE.replace("## Last", "## New\n\nnew\n\n## Last")


def test_an_effect_smaller_than_its_error_is_not_reported_as_a_figure() -> None:
    assert shown_ms(29.6) == "30"
    assert shown_ms(-30) == shown_ms(0.4) == "too small to measure"
