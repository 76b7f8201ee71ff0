"""Checks of the service's model, in images with its library: whether its files are complete and compatible."""

import time
from pathlib import Path

from deploy.doctor.context import Context
from deploy.doctor.device import NO_TORCH, has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning


def files(context: Context) -> CheckResult:
    """Whether all files exist and match; maps the weights into memory without reading them."""
    if not has_torch():
        return NO_TORCH
    from cinemo_core.checkpoint import load_parts
    from cinemo_spec.card import SIDECAR, ModelCard
    from cinemo_spec.errors import CheckpointError

    name = context.settings.model
    try:
        folder = find(name)
        if folder is None:
            return not_cached(name)
        base = base_on_card(folder)
        if base is not None and find(base) is None:
            return not_cached(base)
        card = ModelCard.read(folder)
        load_parts(folder, None, context.settings.codec)
    except CheckpointError as error:
        return failure(str(error), "set CINEMO_MODEL to a complete checkpoint, or download it again: docs/model.md")
    defaults = f"{card.width}x{card.height}, motion scale from {card.motion_scale.at_zero:g}"
    if not (folder / SIDECAR).exists():
        defaults += f", as for the published model, because there is no {SIDECAR}"
    return ok(f"{name} in {folder}: all files exist and match ({defaults})")


def not_cached(name: str) -> CheckResult:
    return warning(
        f"{name} is not in this machine's cache",
        "a worker downloads it at startup; if it is offline, fill HF_HOME or set CINEMO_MODEL to a folder",
    )


def base_on_card(folder: Path) -> str | None:
    """The base that an adapter's card names, unless it is in the adapter's folder; None for a full model."""
    from cinemo_core.checkpoint import base_of
    from cinemo_spec.card import BASE_FOLDER

    base = base_of(folder)
    return None if base is None or (folder / BASE_FOLDER).is_dir() else base.model


def find(name: str) -> Path | None:
    """The model's folder; None if it is on the hub and not in this machine's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from cinemo_core.checkpoint import BUILT_IN, hub_files, locate

    if name in BUILT_IN or Path(name).is_dir() or name.count("/") != 1 or name.startswith(("/", ".")):
        return locate(name)
    try:
        return Path(snapshot_download(name, allow_patterns=hub_files(), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def run(context: Context) -> CheckResult:
    """Load the model onto the device and make one denoising step."""
    if not has_torch():
        return NO_TORCH
    if not context.loads_model:
        return skipped("`cinemo doctor --load-model` loads and runs the model, which takes its memory")
    from PIL import Image

    from cinemo_core import CinemoPipeline
    from cinemo_core.devices import device_of, dtype_of
    from cinemo_spec.errors import CheckpointError

    settings, started = context.settings, time.monotonic()
    try:
        device = device_of(settings.device)
        dtype = dtype_of(settings.torch_dtype, device)
        pipe = CinemoPipeline.from_pretrained(settings.model, dtype, device, settings.codec)
        loaded = time.monotonic()
        pipe.set_progress_bar_config(disable=True)
        pipe(
            Image.new("RGB", (pipe.card.width, pipe.card.height)), "nothing moves", num_inference_steps=1, detail="off"
        )
    except (CheckpointError, RuntimeError) as error:
        return failure(f"{settings.model} does not run: {error}", "see the checks `model` and `device`")
    times = f"loaded in {loaded - started:.1f} s, one step in {time.monotonic() - loaded:.1f} s"
    return ok(f"{settings.model}, revision {pipe.revision}: {times}")
