"""Writes what is told of the API out of its code: `python -m service.openapi`. It is the same for all settings."""

import json
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.reference.markdown import markdown
from service.api.reference.page import page
from service.contract.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
PATH = DOCS / "openapi.json"
BASE_URL = Settings.model_fields["public_base_url"].default
PAGE = DOCS / "api.md"


def document() -> dict[str, Any]:
    """What a running API serves at `/openapi.json`."""
    return create_app(Settings(storage_url="s3://videos", auth="keys", public_base_url=BASE_URL)).openapi()


def document_text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def page_text() -> str:
    """The page for readers as it is committed, with commands for an API on this machine."""
    return markdown(page(document(), BASE_URL))


def main() -> None:
    """Write the files that are committed."""
    PATH.write_text(document_text())
    PAGE.write_text(page_text())


if __name__ == "__main__":
    main()
