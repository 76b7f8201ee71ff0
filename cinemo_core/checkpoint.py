"""Where a pipeline's parts come from: a folder in diffusers' layout, the built-in model, or a hub repository.

Beside the parts may stand `cinemo.json`, which says how the model wants to be used; without it the published model's
habits hold.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import torch
from huggingface_hub import snapshot_download

from cinemo_core.errors import CheckpointError
from cinemo_core.motion import PUBLISHED_SCALE, MotionScale
from cinemo_core.parts import (
    WEIGHT_FILES,
    load_codec,
    load_scheduler,
    load_text_encoder,
    load_tokenizer,
    load_unet,
    weight_file,
)

Codec = Literal["auto", "vae", "vae_temporal_decoder"]

BUILT_IN = {"tiny": Path(__file__).parent / "tiny"}
SIDECAR = "cinemo.json"
NETWORKS = ("unet", "vae_temporal_decoder", "vae", "text_encoder")
HUB_FILES = (
    SIDECAR,
    *(f"{network}/{name}" for network in NETWORKS for name in ("config.json", *WEIGHT_FILES)),
    "tokenizer/*.json",
    "tokenizer/*.txt",
    "scheduler/scheduler_config.json",
)
"""What is fetched of a hub repository: other precisions, demos and whole training states stay there."""


class HubOptions(TypedDict, total=False):
    """How a hub repository is fetched, as `huggingface_hub.snapshot_download` understands it."""

    revision: str
    token: str
    cache_dir: str | Path
    local_files_only: bool


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
            return cls(name=model_name(folder))
        try:
            fields = json.loads(path.read_text())
            return cls(**{**fields, "motion_scale": MotionScale(**fields["motion_scale"])})
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path} is not a model card: {error}") from error


def model_name(folder: Path) -> str:
    """`owner/name` of `models--owner--name/snapshots/<commit>` in the hub's cache; of others the folder's own."""
    snapshots = folder.absolute().parent
    if snapshots.name != "snapshots":
        return folder.absolute().name
    return snapshots.parent.name.removeprefix("models--").replace("--", "/")


def locate(name_or_path: str | Path, **hub: Unpack[HubOptions]) -> Path:
    """The folder of a built-in model, a local checkpoint, or a hub repository fetched into the local cache.

    Raises:
        CheckpointError: it is none of these, or the hub does not give it.
    """
    name = str(name_or_path)
    if name in BUILT_IN:
        return BUILT_IN[name]
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name.count("/") != 1 or name.startswith(("/", ".")):
        raise CheckpointError(f"{name} is neither a folder, a hub repository nor one of {', '.join(BUILT_IN)}")
    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES), **hub))
    except Exception as error:
        # The hub's client raises errors of its own, of two HTTP libraries and of the file system.
        raise CheckpointError(f"{name} cannot be had from the hub: {error}") from error


def load_parts(
    folder: Path, torch_dtype: torch.dtype | None, codec: Codec = "auto", unet_weights: str | Path | None = None
) -> dict[str, Any]:
    """Load `unet`, `vae`, `text_encoder`, `tokenizer` and `scheduler` from a folder's subfolders.

    Args:
        folder: one that `locate` gives.
        torch_dtype: of all weights; None leaves each as it was stored.
        codec: the subfolder of the image codec; `auto` takes the temporal decoder where there is one.
        unet_weights: a bare weight file in place of the folder's own for the UNet.

    Raises:
        CheckpointError: a part is missing or corrupt, or does not fit its configuration or the others.
    """
    parts = {
        "unet": load_unet(folder / "unet", unet_weight_file(folder, unet_weights), torch_dtype),
        "vae": load_codec(codec_folder(folder, codec), torch_dtype),
        "text_encoder": load_text_encoder(folder / "text_encoder", torch_dtype),
        "tokenizer": load_tokenizer(folder / "tokenizer"),
        "scheduler": load_scheduler(folder / "scheduler"),
    }
    check_fit(parts)
    return parts


def check_fit(parts: dict[str, Any]) -> None:
    """Raise `CheckpointError` where one part's output is not what the next one takes."""
    unet, vae, text_encoder = (parts[name].config for name in ("unet", "vae", "text_encoder"))
    joints = {
        "latent channels of vae and unet": (vae.latent_channels, unet.in_channels),
        "widths of text_encoder and unet": (text_encoder.hidden_size, unet.cross_attention_dim),
    }
    for joint, (given, taken) in joints.items():
        if given != taken:
            raise CheckpointError(f"the {joint} differ: {given} and {taken}")
    words = len(parts["tokenizer"])
    if words > text_encoder.vocab_size:
        raise CheckpointError(f"the tokenizer has {words} words, the text_encoder knows {text_encoder.vocab_size}")


def unet_weight_file(folder: Path, unet_weights: str | Path | None) -> Path:
    """The bare file where there is one, else what lies beside the UNet's configuration."""
    return weight_file(folder / "unet") if unet_weights is None else Path(unet_weights)


def codec_folder(folder: Path, codec: Codec) -> Path:
    """The image codec's subfolder."""
    if codec != "auto":
        return folder / codec
    temporal = folder / "vae_temporal_decoder"
    return temporal if temporal.is_dir() else folder / "vae"


def revision(folder: Path, unet_weights: str | Path | None = None, codec: Codec = "auto") -> str:
    """The first 12 hex digits of the SHA-256 over all files that a model's frames follow from.

    Those are its weights, the configurations of its parts, its tokenizer, its noise schedule and its card: equal
    revisions are equal models.

    Raises:
        CheckpointError: one of the weight files is missing.
    """
    digest = hashlib.sha256(weights_revision(folder, unet_weights, codec).encode())
    for name, path in described_by(folder, codec_folder(folder, codec)).items():
        digest.update(json.dumps([name, hashlib.sha256(path.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()[:12]


def described_by(folder: Path, codec: Path) -> dict[str, Path]:
    """What says how weights are used, by names that do not depend on where the folder is; as far as it is there."""
    paths = {name: folder / name for name in (SIDECAR, "unet/config.json", "text_encoder/config.json")}
    paths |= {"codec/config.json": codec / "config.json"}
    for part in ("tokenizer", "scheduler"):
        paths |= {f"{part}/{path.name}": path for path in sorted((folder / part).glob("*"))}
    return {name: path for name, path in paths.items() if path.is_file()}


def weights_revision(folder: Path, unet_weights: str | Path | None = None, codec: Codec = "auto") -> str:
    """As `revision`, over the weight files alone: equal ones are equal weights, however they are used."""
    digest = hashlib.sha256()
    for path in (
        weight_file(folder / "text_encoder"),
        unet_weight_file(folder, unet_weights),
        weight_file(codec_folder(folder, codec)),
    ):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
