"""One stack and one browser for all tests; a new window without history for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from deploy.local.stack import Stack, running_stack
from tests.page.browser import ChromiumMissing, Playground, running_browser
from tests.signing import new_key

SIGNER = "Example Studio"
"""The name on the key that the stack signs with."""
WATERMARK = "5eed1234"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        with running_browser() as browser:
            yield browser
    except ChromiumMissing as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, API and a worker with the built-in model, over files; it signs and watermarks videos."""
    key = new_key(SIGNER)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CINEMO_MARKING", "signed")
        environment.setenv("CINEMO_WATERMARK_ID", WATERMARK)
        environment.setenv("CINEMO_SIGNING_CERTIFICATE", key.chain)
        environment.setenv("CINEMO_SIGNING_KEY", key.private_key)
        with running_stack(tmp_path_factory.mktemp("stack")) as stack:
            yield stack


@pytest.fixture
def playground(browser: Browser, stack: Stack) -> Iterator[Playground]:
    """The open page; at the end, the browser must have logged no errors."""
    with browser.new_context() as context:
        playground = Playground(context.new_page(), stack.url)
        playground.open()
        yield playground
        assert playground.complaints == []


@pytest.fixture
def photo_path(photo: bytes, tmp_path: Path) -> Path:
    """A real photo, with a name that a shell would misinterpret."""
    path = tmp_path / 'it\'s; a "photo", $(1).jpg'
    path.write_bytes(photo)
    return path
