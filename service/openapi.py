"""Writes the OpenAPI document: `python -m service.openapi`. It is the same for all settings."""

import json
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

PATH = Path(__file__).parents[1] / "docs" / "openapi.json"


def document() -> dict[str, Any]:
    """What a running API serves at `/openapi.json`."""
    return create_app(Settings(storage_url="s3://videos", auth="keys")).openapi()


def main() -> None:
    """Write the file that is committed."""
    PATH.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
