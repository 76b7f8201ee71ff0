"""`make docs-test`: every page is followed from beginning to end, beside a real stack."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.claims import READINGS, to_follow
from tests.docs.outcome import expect
from tests.docs.reader import MadeUp, clone_into, follow


@pytest.mark.parametrize("page", READINGS)
def test_following_a_page_gives_the_results_that_it_promises(
    page: str, belongings: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    reading = READINGS[page]
    stack: MadeUp | None = request.getfixturevalue(f"over_{reading.beside}") if reading.beside else None
    clone_into(tmp_path, stack)
    shutil.copytree(belongings, tmp_path, dirs_exist_ok=True)
    printed = follow(to_follow(page), tmp_path, places_of(stack))
    expect(reading, tmp_path, printed)


def places_of(stack: MadeUp | None) -> dict[str, str]:
    """Hosts and ports of a stack, by those that a page names."""
    if stack is None:
        return {}
    redis = urlsplit(stack.settings["CINEMO_REDIS_URL"]).netloc
    storage = urlsplit(stack.settings.get("CINEMO_S3_ENDPOINT_URL", "")).netloc
    here = {"api.internal": "127.0.0.1", "8000": str(stack.port)}
    return {**here, "redis.internal:6379": redis, "s3.internal:8333": storage}
