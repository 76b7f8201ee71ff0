"""Writes docs/openapi.json and docs/api.md, with the limits of the default settings: `python -m service.openapi`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.reference.markdown import markdown
from service.api.reference.page import page
from service.contract.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENT_PATH = DOCS / "openapi.json"
BASE_URL = Settings.model_fields["public_base_url"].default
PAGE_PATH = DOCS / "api.md"


@cache
def document() -> dict[str, Any]:
    """Return what the API serves at `/openapi.json`; made once, so leave it as it is."""
    return create_app(Settings(storage_url="s3://videos", auth="keys", public_base_url=BASE_URL)).openapi()


def document_text() -> str:
    """Return the committed form of the document."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def page_text() -> str:
    """Return the committed form of the API reference, with example commands for an API on this machine."""
    return markdown(page(document(), BASE_URL))


def main() -> None:
    """Write both files."""
    DOCUMENT_PATH.write_text(document_text())
    PAGE_PATH.write_text(page_text())


if __name__ == "__main__":
    main()
