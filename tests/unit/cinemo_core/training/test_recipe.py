"""How the built-in model is made: recipes that build on each other, and photos with credits."""

import os
import subprocess
from pathlib import Path

import pytest

from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.training import photos
from cinemo_core.training.initial import InitialConfig
from cinemo_core.training.photos import BACKGROUNDS, PACKAGE, WALLPAPERS, gather
from cinemo_core.training.sources import HELD_OUT, PHOTOS
from cinemo_spec.training import TrainConfig

ROOT = Path(__file__).parents[4]
RECIPE = BUILT_IN["tiny"] / "recipe"


def test_each_stage_begins_with_the_output_of_the_one_before() -> None:
    makefile = (ROOT / "Makefile").read_text()
    initial = InitialConfig.read(RECIPE / "model.yaml")
    stages = {path.stem: TrainConfig.read(path) for path in sorted(RECIPE.glob("[0-9]*.yaml"))}
    assert f"{photos.__name__} {initial.data.source}\n" in makefile
    written = "var/tiny/untrained"
    assert f"new-model $(RECIPE)/model.yaml -o {written}\n" in makefile
    for name, stage in stages.items():
        assert stage.base_model == written
        assert stage.data.source == initial.data.source
        (line,) = (line for line in makefile.splitlines() if f"$(RECIPE)/{name}.yaml" in line)
        written = line.rpartition("-o ")[2]
    assert (written, stage.name) == ("var/tiny/tiny", initial.name)


def test_every_photo_is_credited() -> None:
    page = (ROOT / "docs" / "licences.md").read_text()
    known = [Path(name).stem for name in PHOTOS] + [name.partition("_by_")[0] for name in WALLPAPERS]
    assert [name for name in known if f"`{name}`" not in page] == []


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Debian's tools: one copies instead of downloading, the other extracts the package."""
    tools = tmp_path / "tools"
    tools.mkdir()
    package = tmp_path / "package" / BACKGROUNDS
    package.mkdir(parents=True)
    for name in (*WALLPAPERS, "Bridge_by_Sander_Klootwijk.jpg"):
        (package / name).write_bytes(name.encode())
    scripts = {
        "apt-get": f'test "$1 $2" = "download {PACKAGE}" && touch {PACKAGE}_1_all.deb\n',
        "dpkg": f'test "$1" = --extract && test -f "$2" && cp -r {tmp_path}/package/* "$3"\n',
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return package


def test_photos_are_collected_without_excluded_ones(debian: Path, tmp_path: Path) -> None:
    gather(tmp_path / "photos")
    found = {path.name for path in (tmp_path / "photos").iterdir()}
    assert found == {*PHOTOS, *WALLPAPERS}
    assert found.isdisjoint(HELD_OUT)


def test_an_unavailable_package_ends_the_command(debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PACKAGE", "no-such-package")
    with pytest.raises(subprocess.CalledProcessError):
        gather(tmp_path / "photos")
