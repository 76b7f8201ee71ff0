"""Measures a distilled student beside its teacher, on photos that neither was trained on."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from cinemo_core.media import LUMINANCE, Frames
from cinemo_core.memory import raises_out_of_memory
from cinemo_core.motion import motion_score
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.training.errors import StudentFallsShort, TrainingInterrupted
from cinemo_core.training.loader import Clips
from cinemo_core.training.motion_fidelity import PURE, flow_length, flow_of, intensity_correlation, late_ssim
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.recognize import recognize
from cinemo_core.training.run import Run
from cinemo_core.training.samples import pipeline_of
from cinemo_core.training.sources import held_out
from cinemo_spec.card import ModelCard
from cinemo_spec.distillation import ClipFigures, Comparison, shortfalls

WITH_DETAIL: dict[str, Any] = {"width": 384, "height": 256, "frame_rate_factor": 1}
"""Of models whose flow moves a photo."""

LATE_SHARE = 0.5
"""Of a clip's frames, the first of which are nearly the photo, whatever the model does."""

INTENSITIES = (0, 5, 10, 15, 19)


def compare(run: Run) -> Comparison:
    """Compare a run's averaged weights with its teacher.

    Raises:
        StudentFallsShort: the student loses more than is accepted, unless `distillation.force` is set; the message has
            the figures.
        TrainingInterrupted: the observer asked to stop; the run's last state is saved.
    """
    model, config = run.model, run.config.distillation
    assert model.teacher is not None
    prompts = checked_prompts(run.clips, config.checked_prompts)

    def stop_if_asked() -> None:
        if not run.observer.on_step(run.progress.step):
            raise TrainingInterrupted("asked to stop while the student was compared with its teacher")

    with model.as_teacher() as networks, run.accelerator.autocast():
        pipe = pipeline_of(networks, model, sized(model.teacher.card, run), model.teacher.scheduler)
        teacher = measure(pipe, prompts, stop_if_asked)
    with model.averaged(), run.accelerator.autocast():
        pipe = pipeline_of(model.networks, model, sized(model.card, run), model.scheduler)
        student = measure(pipe, prompts, stop_if_asked)
    guided = model.teacher.card.guidance_scale != 1
    comparison = Comparison(
        teacher=teacher,
        student=student,
        passes=config.steps,
        teacher_passes=model.teacher.card.num_inference_steps * (2 if guided else 1),
        shortfalls=shortfalls(teacher, student),
    )
    run.observer.on_comparison(comparison)
    if comparison.shortfalls and not config.force:
        raise StudentFallsShort(
            f"the student falls short of its teacher: {'; '.join(comparison.shortfalls)}; train it for more steps, or "
            "set distillation.force to publish it all the same"
        )
    return comparison


def sized(card: ModelCard, run: Run) -> ModelCard:
    """The card with the size that the student is trained at."""
    return replace(card, width=run.config.data.width, height=run.config.data.height)


def checked_prompts(clips: Clips, count: int) -> dict[str, str]:
    """Prompts by the names of the motions that they ask for; of videos' captions, by themselves.

    Phrases are those that people would say first.
    """
    if clips.config.kind == "stills":
        return {name: motion.phrases[0] for name, motion in list(MOTIONS.items())[:count]}
    captions = list(dict.fromkeys(video.caption for video in clips.listing.videos))
    return {caption: caption for caption in captions[:count]}


@dataclass(frozen=True)
class Seen:
    """What was measured of one clip; see `ClipFigures`."""

    flow: float
    sharpness: float
    consistency: float
    recognized: bool | None
    late_ssim: float | None


@raises_out_of_memory
def measure(
    pipe: CinemoPipeline, prompts: dict[str, str], before_clip: Callable[[], None] = lambda: None
) -> ClipFigures:
    """Animate each held-out photo with each prompt, and one with several intensities."""
    photos = held_out()
    seen: dict[str, list[Seen]] = {name: [] for name in prompts}
    for (name, prompt), photo in product(prompts.items(), photos.values()):
        before_clip()
        seen[name].append(look_at(pipe, photo, name, prompt))
    clips = [clip for each in seen.values() for clip in each]
    flows = {name: statistics.fmean(clip.flow for clip in each) for name, each in seen.items()}
    return ClipFigures(
        recognized_share=mean_of(clip.recognized for clip in clips),
        intensity_correlation=intensity_correlation(
            pipe, *next(zip(photos.values(), prompts.values(), strict=False)), INTENSITIES
        ),
        flow=statistics.fmean(flows.values()),
        flow_by_prompt=flows,
        sharpness=statistics.fmean(clip.sharpness for clip in clips),
        consistency=statistics.fmean(clip.consistency for clip in clips),
        late_ssim=mean_of(clip.late_ssim for clip in clips),
    )


def look_at(pipe: CinemoPipeline, photo: Image.Image, name: str, prompt: str) -> Seen:
    """Animate a photo with a prompt, and measure what is seen; `name` may be that of a known motion."""
    moves_photo = isinstance(pipe.vae, MotionCodec)
    film = pipe.film(photo, prompt, seed=0, **(WITH_DETAIL if moves_photo else {"detail": "off"}))
    frames, flow = film.frames(), flow_of(film)
    first = int(LATE_SHARE * len(frames))
    return Seen(
        flow=flow_length(flow),
        sharpness=gradient(frames[first:]) / gradient(frames[:1]),
        consistency=motion_score(frames),
        recognized=recognize(frames) == name if name in MOTIONS else None,
        late_ssim=late_ssim(frames, frames[0], flow, PURE[name], first) if name in PURE else None,
    )


def gradient(frames: Frames) -> float:
    """Mean absolute difference of neighbouring pixels in luminance."""
    luminance = frames.astype(np.float32) @ LUMINANCE
    return float(sum(np.abs(np.diff(luminance, axis=axis)).mean() for axis in (1, 2)))


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
