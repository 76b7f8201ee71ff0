"""A checkpoint's card, `cinemo.json`: recommended settings, by default those of the published model.

Contains no tensors, so that the service can read it, too.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cinemo_spec.errors import CheckpointError, InvalidParameter
from cinemo_spec.ranges import MODEL_SIDE, check_range, check_ranges
from cinemo_spec.scale import PUBLISHED_SCALE, MotionScale

SIDECAR = "cinemo.json"
BASE_FOLDER = "base"
"""Where an adapter's folder may contain its base."""


@dataclass(frozen=True)
class Base:
    """The only model that an adapter can be merged into: its name, and the revision that the adapter was trained on."""

    model: str
    revision: str


@dataclass(frozen=True)
class ModelCard:
    """How a checkpoint wants to be used: clip size in pixels, sampling defaults and motion scale.

    An adapter's card has a `base`; without it, the checkpoint is a full model.

    Raises:
        InvalidParameter: a number is out of the range that the parameter has.
    """

    name: str
    width: int = 512
    height: int = 320
    num_inference_steps: int = 50
    guidance_scale: float = 7.5
    motion_scale: MotionScale = field(default=PUBLISHED_SCALE)
    base: Base | None = None

    def __post_init__(self) -> None:
        check_range("width", self.width, MODEL_SIDE)
        check_range("height", self.height, MODEL_SIDE)
        check_ranges(num_inference_steps=self.num_inference_steps, guidance_scale=self.guidance_scale)

    def write(self, folder: Path) -> None:
        """Write the sidecar."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        (folder / SIDECAR).write_text(json.dumps(fields, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "ModelCard":
        """Read the sidecar; defaults to the published model's settings if there is none.

        Raises:
            CheckpointError: the sidecar is not JSON or has invalid fields or numbers.
        """
        path = folder / SIDECAR
        if not path.exists():
            return cls(name=model_name(folder))
        try:
            fields = dict(json.loads(path.read_text()))
            base = Base(**fields["base"]) if fields.get("base") else None
            return cls(**{**fields, "motion_scale": MotionScale(**fields["motion_scale"]), "base": base})
        except (ValueError, TypeError, KeyError, InvalidParameter) as error:
            raise CheckpointError(f"{path} is not a model card: {error}") from error


TINY_SCALE = MotionScale(0.0, 1.0, 0.65)
BUILT_IN_CARDS = {
    "tiny": ModelCard("tiny", 192, 128, 20, 1.3, TINY_SCALE),
    "tiny-turbo": ModelCard("tiny-turbo", 192, 128, 4, 1.0, TINY_SCALE, Base("tiny", "cd2248903dac")),
}
"""Cards of the models included in `cinemo_core`, for processes without it."""


def model_name(folder: Path) -> str:
    """`owner/name` for `models--owner--name/snapshots/<commit>` in the hub's cache, otherwise the folder's name."""
    snapshots = folder.absolute().parent
    if snapshots.name != "snapshots":
        return folder.absolute().name
    return snapshots.parent.name.removeprefix("models--").replace("--", "/")
