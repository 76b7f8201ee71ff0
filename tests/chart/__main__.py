"""`python -m tests.chart`: helm lint, helm template and the schemas, for every example of the chart's values."""

import sys

from tests.chart.helm import EXAMPLES, HelmFailed, lint, render
from tests.chart.schema import VERSIONS, ManifestInvalid, validate


def main() -> int:
    """Print problems; returns the exit code."""
    for example in EXAMPLES:
        try:
            lint(example)
            manifests = render(example)
            for manifest in manifests:
                validate(manifest)
        except (HelmFailed, ManifestInvalid) as problem:
            print(f"{example.name}: {problem}", file=sys.stderr)
            return 1
        print(f"{example.name}: {len(manifests)} manifests, valid for Kubernetes {' and '.join(VERSIONS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
