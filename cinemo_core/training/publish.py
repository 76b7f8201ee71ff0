"""Publishes a run's averaged weights, ready for `CinemoPipeline.from_pretrained`: a full model, or an adapter alone.

Adds the model card, and `README.md` and `training.json`, which document how the model was made.
"""

import json
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cinemo_core.checkpoint import revision
from cinemo_core.training.adapter import stacked, updates_of, write_adapter
from cinemo_core.training.networks import Model
from cinemo_core.training.run import Run
from cinemo_spec import __version__
from cinemo_spec.distillation import Comparison

COMPARED = {
    "recognized_share": "clips that show the requested motion",
    "intensity_correlation": "rank correlation of intensity with motion",
    "flow": "mean flow in pixels of a picture of 192x128",
    "sharpness": "sharpness of the last frames, as a share of the first one's",
    "consistency": "SSIM of consecutive frames",
    "late_ssim": "SSIM of the last frames of pans and zooms with the photo",
}
"""Fields of `ClipFigures` and their descriptions in a model's README."""

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft")


def publish(run: Run, folder: Path, comparison: Comparison | None = None) -> str:
    """Write the run's model to a folder and return its revision. The run's networks cannot be used afterwards.

    `comparison` is what `compare` returned for a distilled model; it becomes part of the description.
    """
    model, config = run.model, run.config
    model.average.copy_to(list(model.trained().values()))
    folder.mkdir(parents=True, exist_ok=True)
    if config.lora:
        base = [adapter.updates for adapter, _ in model.adapters]
        write_adapter(stacked([*base, updates_of(model.networks.unet)]), folder)
    else:
        write_parts(model, folder)
    model.scheduler.save_pretrained(folder / "scheduler")
    scale = model.card.motion_scale
    if config.method == "finetune":
        scale = replace(scale, strong_score=config.data.strong_score)
    replace(
        model.card,
        name=config.name,
        width=config.data.width,
        height=config.data.height,
        motion_scale=scale,
        base=model.base if config.lora else None,
    ).write(folder)
    made = revision(folder)
    origin = describe(run, made, comparison)
    (folder / "training.json").write_text(json.dumps(origin, indent=2) + "\n")
    (folder / "README.md").write_text(readme(origin))
    return made


def write_parts(model: Model, folder: Path) -> None:
    """Write all networks in float16, and the tokenizer."""
    parts = {"unet": model.networks.unet, "text_encoder": model.networks.text_encoder, "vae": model.vae}
    for name, network in parts.items():
        network.to("cpu", torch.float16).save_pretrained(folder / name)
    model.tokenizer.save_pretrained(folder / "tokenizer")


def describe(run: Run, made: str, comparison: Comparison | None = None) -> dict[str, Any]:
    """Everything needed to reproduce the model, and its metrics."""
    metrics = run.progress.metrics
    distilled = {} if comparison is None else {"comparison": comparison.model_dump(mode="json")}
    return {
        "name": run.config.name,
        "revision": made,
        "base_model": {"name": run.config.base_model, "revision": run.model.base_revision},
        "data": {
            "source": run.config.data.source,
            "videos": len(run.clips.listing.videos),
            "captioned": run.clips.captioned,
            "digest": run.clips.listing.digest,
            "broken": run.progress.broken,
        },
        "metrics": {"first_loss": metrics[0]["loss"], "last_loss": metrics[-1]["loss"], "steps": run.progress.step},
        **distilled,
        "loss_curve": metrics,
        "config": run.config.model_dump(mode="json"),
        "commit": commit(),
        "versions": {"cinemo": __version__, **{name: version(name) for name in LIBRARIES}},
    }


def commit() -> str | None:
    """The commit of this code; None outside a checkout."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def readme(origin: dict[str, Any]) -> str:
    """A model card in the Hugging Face Hub's format."""
    base, data, metrics, config = origin["base_model"], origin["data"], origin["metrics"], origin["config"]
    trained = "LoRA weights" if config["lora"] else "all weights of the UNet"
    return f"""---
library_name: cinemo
pipeline_tag: image-to-video
---

# {origin["name"]}

Revision `{origin["revision"]}`, made from `{base["name"]}` (revision `{base["revision"]}`) by training {trained}.

| | |
| --- | --- |
| data | {data["videos"]} videos of `{data["source"]}`, {len(data["broken"])} of them unusable |
| captions | {data["captioned"]} of {data["videos"]} videos captioned |
| data digest | `{data["digest"]}` |
| clips | {config["data"]["frames"]} frames of {config["data"]["width"]}x{config["data"]["height"]} pixels |
| steps | {metrics["steps"]}, {config["batch_size"]} clips each |
| loss | {metrics["first_loss"]:.4f} at first, {metrics["last_loss"]:.4f} at last |
| code | cinemo {origin["versions"]["cinemo"]}, commit `{origin["commit"]}` |

{side_by_side(origin.get("comparison"))}`cinemo.json` contains its defaults and motion scale, \
`training.json` the whole configuration.
"""


def side_by_side(comparison: dict[str, Any] | None) -> str:
    """The table of a distilled model's figures beside its teacher's; empty for other models."""
    if comparison is None:
        return ""
    rows = {"network evaluations per clip": (comparison["teacher_passes"], comparison["passes"])}
    for name, text in COMPARED.items():
        rows[text] = (comparison["teacher"][name], comparison["student"][name])
    lines = [f"| {text} | {figure(one)} | {figure(other)} |" for text, (one, other) in rows.items()]
    lost = "; ".join(comparison["shortfalls"]) or "nothing more than is accepted"
    return "\n".join(
        (
            *("Distilled. On held-out photos:", "", "| | teacher | this model |", "| --- | --- | --- |", *lines),
            *("", f"It loses {lost}.", "", ""),
        )
    )


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
