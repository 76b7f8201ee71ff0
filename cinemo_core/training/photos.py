"""Downloads the photos that the built-in model is trained on, none of which come with this package.

Some ship with scikit-image; the others are Debian wallpapers, whose package is downloaded and unpacked without being
installed. Only photos under CC0 or CC BY are used; docs/licences.md credits them.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cinemo_core.training.sources import copy_photos

PACKAGE = "lomiri-wallpapers-16.04"
BACKGROUNDS = Path("usr", "share", "backgrounds")
WALLPAPERS = (
    "aitzgorri_by_Aitzol_Berasategi.jpg",
    "friends_by_Aitzol_Berasategi.jpg",
    "life_by_Aitzol_Berasategi.jpg",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "Picture_0B_by_freespace.jpg",
    "Picture_1A_by_freespace.jpg",
    "seeding_by_Clements_Engelhardt.jpg",
    "sunset_by_Aitzol_Berasategi.jpg",
    "umang_by_Abhishek_Mudgal.jpg",
    "Wine_by_Jakkub_Mede.jpg",
)
"""The package's other wallpapers are under CC BY-SA and not used."""


def gather(folder: Path) -> None:
    """Copy all photos into a folder.

    Raises:
        subprocess.CalledProcessError: Debian's tools cannot find or unpack the package.
        FileNotFoundError: the tools are not installed, or the package lacks a photo.
    """
    copy_photos(folder)
    with tempfile.TemporaryDirectory(prefix="cinemo-") as scratch:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, check=True)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg", "--extract", package, scratch], check=True)
        for name in WALLPAPERS:
            shutil.copyfile(scratch / BACKGROUNDS / name, folder / name)


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
