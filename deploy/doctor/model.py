"""The service's model, seen where its library is: whether its parts are whole and fit each other."""

import time
from pathlib import Path

from deploy.doctor.context import Context
from deploy.doctor.device import NOT_HERE, has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning


def parts(context: Context) -> CheckResult:
    """Map the weights into memory, where they are; nothing of them is read."""
    if not has_torch():
        return NOT_HERE
    from cinemo_core.checkpoint import load_parts
    from cinemo_spec.card import SIDECAR, ModelCard
    from cinemo_spec.errors import CheckpointError

    name = context.settings.model
    try:
        folder = found(name)
        if folder is None:
            return warning(
                f"{name} has not been fetched into this machine's cache",
                "let a worker fetch it at its start; without a way out fill HF_HOME, or let CINEMO_MODEL be a folder",
            )
        card = ModelCard.read(folder)
        load_parts(folder, None, context.settings.codec)
    except CheckpointError as error:
        return failure(str(error), "let CINEMO_MODEL name a whole checkpoint, or fetch it anew: docs/model.md")
    habits = f"{card.width}x{card.height}, motion scale from {card.motion_scale.at_zero:g}"
    if not (folder / SIDECAR).exists():
        habits += f", taken from the published model as there is no {SIDECAR}"
    return ok(f"{name} in {folder}: all parts are there and fit ({habits})")


def found(name: str) -> Path | None:
    """The model's folder; None for one of the hub that is not in this machine's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from cinemo_core.checkpoint import BUILT_IN, hub_files, locate

    if name in BUILT_IN or Path(name).is_dir() or name.count("/") != 1 or name.startswith(("/", ".")):
        return locate(name)
    try:
        return Path(snapshot_download(name, allow_patterns=hub_files(), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def running(context: Context) -> CheckResult:
    """Read all weights, check them against each other by a sum, put them on the device and make a step."""
    if not has_torch():
        return NOT_HERE
    if not context.loads_model:
        return skipped("`cinemo doctor --load-model` reads the weights and runs them, which takes their memory")
    from PIL import Image

    from cinemo_core import CinemoPipeline
    from cinemo_core.devices import device_of, dtype_of
    from cinemo_spec.errors import CheckpointError

    settings, began = context.settings, time.monotonic()
    try:
        place = device_of(settings.device)
        dtype = dtype_of(settings.torch_dtype, place)
        pipe = CinemoPipeline.from_pretrained(settings.model, dtype, place, settings.codec)
        loaded = time.monotonic()
        pipe.set_progress_bar_config(disable=True)
        pipe(
            Image.new("RGB", (pipe.card.width, pipe.card.height)), "nothing moves", num_inference_steps=1, detail="off"
        )
    except (CheckpointError, RuntimeError) as error:
        return failure(f"{settings.model} does not run: {error}", "see the line of its parts and of the device")
    took = f"loaded in {loaded - began:.1f} s, a step in {time.monotonic() - loaded:.1f} s"
    return ok(f"{settings.model}, revision {pipe.revision}: {took}")
