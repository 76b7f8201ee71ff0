"""Where a pipeline's parts come from: a folder in diffusers' layout, the built-in model, or a hub repository.

Beside the parts may stand `cinemo.json`, which says how the model wants to be used; without it the published model's
habits hold.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, DDIMScheduler
from huggingface_hub import snapshot_download
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.codec import PatchCodec
from cinemo_core.errors import CheckpointError
from cinemo_core.motion import PUBLISHED_SCALE, MotionScale
from cinemo_core.unet import CinemoUNet

BUILT_IN = {"tiny": Path(__file__).parent / "tiny"}
SIDECAR = "cinemo.json"
WEIGHTS = (".safetensors", ".bin")
CODECS = {each.__name__: each for each in (PatchCodec, AutoencoderKL, AutoencoderKLTemporalDecoder)}


@dataclass(frozen=True)
class ModelCard:
    """How a checkpoint wants to be used: clip size in pixels, sampling defaults and motion scale."""

    name: str
    width: int = 512
    height: int = 320
    num_inference_steps: int = 50
    guidance_scale: float = 7.5
    motion_scale: MotionScale = field(default=PUBLISHED_SCALE)

    def write(self, folder: Path) -> None:
        """Write the sidecar."""
        (folder / SIDECAR).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "ModelCard":
        """Read the sidecar; the published model's habits where there is none.

        Raises:
            CheckpointError: the sidecar is no JSON or has wrong fields.
        """
        path = folder / SIDECAR
        if not path.exists():
            return cls(name=folder.name)
        try:
            fields = json.loads(path.read_text())
            return cls(**{**fields, "motion_scale": MotionScale(**fields["motion_scale"])})
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path} is not a model card: {error}") from error


def locate(name_or_path: str | Path) -> Path:
    """The folder of a built-in model, a local checkpoint, or a hub repository fetched into the local cache."""
    name = str(name_or_path)
    if name in BUILT_IN:
        return BUILT_IN[name]
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name.count("/") != 1 or name.startswith(("/", ".")):
        raise CheckpointError(f"{name} is neither a folder, a hub repository nor one of {', '.join(BUILT_IN)}")
    return Path(snapshot_download(name))


def load_parts(folder: Path, torch_dtype: torch.dtype) -> dict[str, Any]:
    """Load `unet`, `vae`, `text_encoder`, `tokenizer` and `scheduler` from a folder's subfolders.

    Raises:
        CheckpointError: a part is missing or does not fit its configuration; the message names it.
    """
    try:
        return {
            "unet": CinemoUNet.from_pretrained(folder / "unet", torch_dtype=torch_dtype),
            "vae": codec_class(folder / "vae").from_pretrained(folder / "vae", torch_dtype=torch_dtype),
            "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch_dtype),
            "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            "scheduler": DDIMScheduler.from_pretrained(folder / "scheduler"),
        }
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is not a complete checkpoint: {error}") from error


def codec_class(folder: Path) -> Any:
    """The class that a `vae` folder's configuration names."""
    name = json.loads((folder / "config.json").read_text())["_class_name"]
    if name not in CODECS:
        raise CheckpointError(f"{folder} holds a {name}; known are {', '.join(CODECS)}")
    return CODECS[name]


def revision(folder: Path) -> str:
    """The first 12 hex digits of the SHA-256 over all weight files, so that equal revisions are equal weights."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in WEIGHTS):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
