"""Sample clips that show a run's progress: first frames of training videos, animated with their captions."""

from pathlib import Path

from diffusers import DDIMScheduler
from PIL import Image

from cinemo_core.encoding import write_poster, write_video
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.training.loader import Clips
from cinemo_core.training.networks import Model, Networks
from cinemo_spec.card import ModelCard
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.marking.statement import SourceType
from cinemo_spec.training import TrainConfig


def make_samples(model: Model, clips: Clips, config: TrainConfig, folder: Path) -> None:
    """Animate the first usable videos, always the same ones with the same noise: `0.mp4`, `0.jpg`, `1.mp4`, …"""
    folder.mkdir(parents=True, exist_ok=True)
    pipe = pipeline_of(model.networks, model, model.card, model.scheduler)
    for index, (photo, caption) in enumerate(first_frames(clips, config.samples.clips)):
        frames = pipe(
            photo,
            caption,
            seed=index,
            num_inference_steps=config.samples.num_inference_steps,
            detail="off",
            width=config.data.width,
            height=config.data.height,
            num_frames=max(config.data.frames, 8),
        )
        write_video(folder / f"{index}.mp4", frames, source=SourceType.CREATED)
        write_poster(folder / f"{index}.jpg", frames[len(frames) // 2], SourceType.CREATED)


def pipeline_of(networks: Networks, model: Model, card: ModelCard, scheduler: DDIMScheduler) -> CinemoPipeline:
    """A pipeline of networks in training, with a model's other parts."""
    pipe = CinemoPipeline(
        networks.unet.eval(), model.vae, networks.text_encoder.eval(), model.tokenizer, scheduler, card
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def first_frames(clips: Clips, count: int) -> list[tuple[Image.Image, str]]:
    """First frames and captions of the first usable videos."""
    found: list[tuple[Image.Image, str]] = []
    for index in range(len(clips.listing.videos)):
        if len(found) == count:
            break
        try:
            frame, caption = clips.example(index)
        except InvalidVideo:
            continue
        found.append((Image.fromarray(frame), caption))
    return found
