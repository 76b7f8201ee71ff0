"""Validates manifests strictly: no field that Kubernetes doesn't know, and no value of the wrong type.

Kubernetes' own kinds are held against its published schemas, those of KEDA and the Prometheus operator against what we
wrote down of them in `schemas/`.
"""

import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate

from tests.chart.helm import Manifest

SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = ("1.30", "1.37")
"""The oldest that Chart.yaml takes, and the newest there is."""


class ManifestInvalid(Exception):
    """Kubernetes would reject a manifest, with the reason."""


def validate(manifest: Manifest) -> None:
    """Validate a manifest against the schema of its kind, strictly.

    Raises:
        ManifestInvalid: it does not fit, or nobody knows its kind.
    """
    own = SCHEMAS / f"{manifest['apiVersion'].replace('/', '_')}_{manifest['kind'].lower()}.json"
    try:
        if own.exists():
            jsonschema.validate(manifest, read(own), cls=jsonschema.Draft202012Validator)
            return
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path))
        raise ManifestInvalid(f"{name(manifest)}: {place}: {error.message}") from error
    except kubernetes_validate.SchemaNotFoundError as error:
        raise ManifestInvalid(f"{name(manifest)}: {error.message}") from error


@cache
def read(path: Path) -> Manifest:
    contents: Manifest = json.loads(path.read_text())
    return contents


def name(manifest: Manifest) -> str:
    """The manifest's kind and name."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"
