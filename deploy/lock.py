"""Writes the lock files: `requirements.lock` for development, and a subset of it for each image.

Each is valid on every platform and Python version that the project supports. `uv pip compile` resolves them and gets
the command's options, such as `--upgrade-package NAME`; without them, locked versions stay.
"""

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.local.interpreter import OLDEST

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
ALL = ("worker", "signing", "mcp", "local", "dev")
EXTRAS: dict[str, tuple[str, ...]] = {"requirements-api.lock": (), "requirements-worker.lock": ("worker", "signing")}
"""The extras that each lock file includes in addition to the project's dependencies."""
NOT_LOCKED = ("cinemo-spec", "cinemo-core", "cinemo-client", "pip")
"""Our own distributions, which are installed from here, and the installer."""


def main() -> None:
    """Write all lock files."""
    write(LOCK, ALL, *sys.argv[1:])
    for name, extras in EXTRAS.items():
        write(ROOT / name, extras, "--constraints", str(LOCK))


def write(lock: Path, extras: tuple[str, ...], *options: str) -> None:
    """Write a lock file of the project's dependencies and those of some extras.

    Raises:
        subprocess.CalledProcessError: uv found no solution and printed why.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += [
        "--python-version=" + ".".join(map(str, OLDEST)),
        f"--output-file={lock}",
        str(ROOT / "pyproject.toml"),
        *options,
    ]
    command += [f"--extra={each}" for each in extras] + [f"--no-emit-package={each}" for each in NOT_LOCKED]
    subprocess.run(command, check=True, cwd=ROOT)


def locked(lock: Path) -> dict[str, str]:
    """Versions by name in a lock file, of the packages that apply to this platform and Python version."""
    lines = map(Requirement, lock.read_text().splitlines())
    here = [each for each in lines if each.marker is None or each.marker.evaluate()]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in here}


def image_of(name: str) -> str:
    """The image of a lock file: `api` or `worker`."""
    return name.removeprefix("requirements-").removesuffix(".lock")


if __name__ == "__main__":
    main()
