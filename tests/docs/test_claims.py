"""No block of the documentation is untested, unless it is no command. Starts nothing."""

import re
from pathlib import Path

import pytest

from tests.docs.claims import DATA, ELSEWHERE, READINGS, RUN, SHOWN, Elsewhere, elsewhere, pages_to_follow
from tests.docs.pages import ROOT, Block, all_pages, blocks_of

BLOCKS = [block for page in all_pages() for block in blocks_of(page)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_code_block_names_its_language(block: Block) -> None:
    assert block.language in RUN | DATA | SHOWN, f"{block.place} is {block.language or 'nothing'}"
    assert len(elsewhere(block)) <= 1


def test_every_page_with_commands_is_run_by_a_test() -> None:
    assert set(pages_to_follow()) == {"README.md", *READINGS}, "tests/docs/claims.py has to say who runs which page"


@pytest.mark.parametrize("claim", ELSEWHERE, ids=lambda claim: f"{claim.page} {claim.begins}")
def test_blocks_claimed_by_other_tests_exist_and_so_do_those_tests(claim: Elsewhere) -> None:
    assert any(claim.claims(block) for block in BLOCKS)
    target = re.match(r"make ([a-z-]+)$", claim.by)
    if target:
        assert f"\n{target[1]}:" in (ROOT / "Makefile").read_text()
    else:
        assert claim.by == "nobody" or Path(ROOT, claim.by).exists()
    assert claim.why
