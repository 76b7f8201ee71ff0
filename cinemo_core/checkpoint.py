"""Locates and loads a pipeline's parts: from a folder in diffusers layout, the built-in model, or a hub repository.

A model card (`card.py`) beside the parts holds the recommended settings.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypedDict

import torch
from huggingface_hub import snapshot_download
from typing_extensions import Unpack

from cinemo_core.adapters import CONFIG, WEIGHTS, read_adapter
from cinemo_core.checksums import sha256_of
from cinemo_core.merging import Adapter
from cinemo_core.parts import Files, load_codec, load_scheduler, load_text_encoder, load_tokenizer, load_unet
from cinemo_core.weight_files import patterns, variants, weight_files
from cinemo_spec.card import BASE_FOLDER, SIDECAR, Base, ModelCard
from cinemo_spec.errors import CheckpointError

Codec = Literal["auto", "vae", "vae_temporal_decoder"]

BUILT_IN = {"tiny": Path(__file__).parent / "tiny", "tiny-turbo": Path(__file__).parent / "tiny_turbo"}
NETWORKS = ("unet", "vae_temporal_decoder", "vae", "text_encoder")


class HubOptions(TypedDict, total=False):
    """Download options for a hub repository, as for `huggingface_hub.snapshot_download`."""

    revision: str
    token: str
    cache_dir: str | Path
    local_files_only: bool


def hub_files(variant: str | None = None) -> list[str]:
    """Files to download from a hub repository: no other precisions, demos or training states."""
    weights = [pattern for network in NETWORKS for pattern in (f"{network}/config.json", *patterns(network, variant))]
    others = ("tokenizer/*.json", "tokenizer/*.txt", "scheduler/scheduler_config.json", CONFIG, WEIGHTS)
    return [SIDECAR, *weights, *others]


def locate(name_or_path: str | Path, variant: str | None = None, **hub: Unpack[HubOptions]) -> Path:
    """The folder of a built-in model, a local checkpoint, or a hub repository downloaded into the local cache.

    If a repository has only variants, all of them are downloaded unless one is named.

    Raises:
        CheckpointError: it is none of these, or the download fails.
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
        folder = Path(snapshot_download(name, allow_patterns=hub_files(variant), **hub))
        if variant is None and any(lacks_weights(folder / network) for network in NETWORKS):
            return Path(snapshot_download(name, allow_patterns=hub_files("*"), **hub))
    except Exception as error:
        # The hub's client raises its own errors, those of two HTTP libraries, and file system errors.
        raise CheckpointError(f"{name} cannot be downloaded from the hub: {error}") from error
    return folder


def lacks_weights(folder: Path) -> bool:
    """Whether a network's folder holds only its configuration."""
    return (folder / "config.json").is_file() and not any(
        path.suffix in (".safetensors", ".bin") for path in folder.iterdir()
    )


def load_parts(
    folder: Path,
    torch_dtype: torch.dtype | None,
    codec: Codec = "auto",
    unet_weights: str | Path | None = None,
    variant: str | None = None,
    base: str | Path | None = None,
    **hub: Unpack[HubOptions],
) -> dict[str, Any]:
    """Load `unet`, `vae`, `text_encoder`, `tokenizer` and `scheduler` from a folder's subfolders.

    An adapter's are those of its base, with the adapter merged into the UNet (`unet.merged`), and its own schedule.

    Args:
        folder: as returned by `locate`.
        torch_dtype: of all weights; None keeps each as stored.
        codec: subfolder of the image codec; `auto` prefers the one with a temporal decoder.
        unet_weights: a bare weight file that replaces the folder's own for the UNet.
        variant: of the weights, such as `fp16`, for parts that have it; by default the plain ones, or the only variant.
        base: of an adapter, in place of the one on its card: a folder, a hub repository or a built-in model.
        hub: with which the adapter was downloaded, for a base in a hub repository; see `locate_base`.

    Raises:
        CheckpointError: a part is missing, corrupt, or incompatible with its configuration or the others; the base is
            not the one that the adapter was trained on.
    """
    if base_of(folder):
        found = locate_base(folder, base, variant, **hub)
        adapter = load_adapter(folder)
        require_base(adapter, pin(found, unet_weights, variant))
        parts = load_parts(found, torch_dtype, codec, unet_weights, variant)
        parts["unet"].merged.swap(parts["unet"], ((adapter, 1.0),))
        return {**parts, "scheduler": adapter.scheduler or parts["scheduler"]}
    if base is not None:
        raise CheckpointError(f"{folder} is a full model, which has no base")
    picture_codec = codec_folder(folder, codec)
    places = [folder / "unet", folder / "text_encoder", picture_codec]
    if variant is not None and not any(variant in variants(place) for place in places):
        raise CheckpointError(f"no part has a variant {variant} of its weights in {folder}")
    parts = {
        "unet": load_unet(folder / "unet", unet_weight_files(folder, unet_weights, variant), torch_dtype),
        "vae": load_codec(picture_codec, torch_dtype, variant),
        "text_encoder": load_text_encoder(folder / "text_encoder", torch_dtype, variant),
        "tokenizer": load_tokenizer(folder / "tokenizer"),
        # Folders without a card are of the published layout, whose code sets the betas itself.
        "scheduler": load_scheduler(folder / "scheduler", as_published=not (folder / SIDECAR).is_file()),
    }
    check_fit(parts)
    return parts


def base_of(folder: Path) -> Base | None:
    """The base of an adapter's folder; None for a full model."""
    return ModelCard.read(folder).base


def locate_base(
    folder: Path, base: str | Path | None = None, variant: str | None = None, **hub: Unpack[HubOptions]
) -> Path:
    """The folder of an adapter's base: as given, `base` in the adapter's folder, or the one on its card.

    A hub repository is downloaded with the adapter's options but for `revision`, which is of the adapter's repository.

    Raises:
        CheckpointError: there is none, or it is an adapter, too.
    """
    pinned = base_of(folder)
    assert pinned is not None
    beside = folder / BASE_FOLDER
    hub.pop("revision", None)
    found = locate(base or (beside if beside.is_dir() else pinned.model), variant, **hub)
    if base_of(found):
        raise CheckpointError(f"{found} is an adapter, and cannot be the base of {folder}; convert merges it first")
    return found


def load_adapter(adapter: Adapter | str | Path, **hub: Unpack[HubOptions]) -> Adapter:
    """The adapter in a folder or a hub repository; one that is loaded already is returned.

    Raises:
        CheckpointError: it is no adapter, or it is damaged.
    """
    if isinstance(adapter, Adapter):
        return adapter
    folder = locate(adapter, **hub)
    if base_of(folder) is None:
        raise CheckpointError(f"{folder} is not an adapter: its card names no base")
    return read_adapter(folder, revision(folder))


def pin(folder: Path, unet_weights: str | Path | None = None, variant: str | None = None) -> str:
    """The revision by which adapters know their base, whichever of its image codecs is used."""
    return revision(folder, unet_weights, variant=variant)


def require_base(adapter: Adapter, found: str) -> None:
    """Raise `CheckpointError` unless `found` is the revision of the adapter's base."""
    base = adapter.card.base
    assert base is not None
    if base.revision != found:
        raise CheckpointError(
            f"adapter {adapter.card.name} was trained on {base.model}, revision {base.revision}, and this base has "
            f"revision {found}: results would differ from what was trained"
        )


def check_fit(parts: dict[str, Any]) -> None:
    """Raise `CheckpointError` if one part's output does not match the next one's input."""
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


def unet_weight_files(folder: Path, unet_weights: str | Path | None, variant: str | None = None) -> Files:
    """The bare weight file if given, else the weights beside the UNet's configuration."""
    return weight_files(folder / "unet", variant) if unet_weights is None else (Path(unet_weights),)


def codec_folder(folder: Path, codec: Codec) -> Path:
    """Subfolder of the image codec."""
    if codec != "auto":
        return folder / codec
    temporal = folder / "vae_temporal_decoder"
    return temporal if temporal.is_dir() else folder / "vae"


def revision(
    folder: Path, unet_weights: str | Path | None = None, codec: Codec = "auto", variant: str | None = None
) -> str:
    """The first 12 hex digits of the SHA-256 over all files that determine a model's output.

    These are its weights, the configurations of its parts, its tokenizer, its noise schedule and its card: models with
    equal revisions are equal. An adapter's card names the revision of its base.

    Raises:
        CheckpointError: one of the weight files is missing.
    """
    digest = hashlib.sha256(weights_revision(folder, unet_weights, codec, variant).encode())
    for name, path in described_by(folder, codec_folder(folder, codec)).items():
        digest.update(json.dumps([name, hashlib.sha256(path.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()[:12]


def described_by(folder: Path, codec: Path) -> dict[str, Path]:
    """The existing files, other than weights, that determine the output, by names relative to the folder."""
    paths = {name: folder / name for name in (SIDECAR, CONFIG, "unet/config.json", "text_encoder/config.json")}
    paths |= {"codec/config.json": codec / "config.json"}
    for part in ("tokenizer", "scheduler"):
        paths |= {f"{part}/{path.name}": path for path in sorted((folder / part).glob("*"))}
    return {name: path for name, path in paths.items() if path.is_file()}


def weights_revision(
    folder: Path, unet_weights: str | Path | None = None, codec: Codec = "auto", variant: str | None = None
) -> str:
    """Like `revision`, but over the weight files only; for an adapter, over its own and its base's revision."""
    digest = hashlib.sha256()
    base = base_of(folder)
    if base:
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(f"{folder / WEIGHTS} does not exist")
        digest.update(base.revision.encode() + sha256_of(folder / WEIGHTS))
        return digest.hexdigest()[:12]
    for path in (
        *weight_files(folder / "text_encoder", variant),
        *unet_weight_files(folder, unet_weights, variant),
        *weight_files(codec_folder(folder, codec), variant),
    ):
        digest.update(sha256_of(path))
    return digest.hexdigest()[:12]
