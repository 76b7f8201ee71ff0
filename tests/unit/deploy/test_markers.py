"""A command replaces its section of a page and nothing else."""

import pytest

from deploy.markers import MarkersMissing, replace_section

PAGE = "# Page\n\n<!-- begin -->\nold\n<!-- end -->\n\nwords\n"


def test_the_section_between_the_markers_can_be_replaced_repeatedly() -> None:
    once = replace_section(PAGE, "<!-- begin -->", "<!-- end -->", "new\nlines")
    assert once == PAGE.replace("old", "new\nlines")
    assert replace_section(once, "<!-- begin -->", "<!-- end -->", "old") == PAGE


@pytest.mark.parametrize("page", ["", "<!-- begin -->\nold\n", "old\n<!-- end -->\n", "<!-- end --><!-- begin -->"])
def test_a_page_without_markers_is_rejected(page: str) -> None:
    with pytest.raises(MarkersMissing):
        replace_section(page, "<!-- begin -->", "<!-- end -->", "new")
