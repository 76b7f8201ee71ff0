"""Evaluates a model on a list of cases: animates and measures each, and summarizes the results."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError
from scipy.stats import spearmanr

from cinemo_core.media import Frames
from cinemo_core.metrics.clip import input_consistency, motion_smoothness
from cinemo_core.metrics.distributions import Distribution
from cinemo_core.metrics.extractors import Extractors, Features
from cinemo_core.metrics.frechet import inception_score
from cinemo_core.motion import motion_score
from cinemo_core.pictures import open_picture
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.training.sources import HELD_OUT, photo_path
from cinemo_spec.errors import InvalidParameter
from cinemo_spec.parameters import MAX_INTENSITY
from cinemo_spec.scale import MotionScale
from cinemo_spec.strict import StrictModel
from cinemo_spec.wording import with_place

PROMPTS = ("the camera pans left", "the camera zooms in", "waves")
INTENSITIES = (3, 8, 13, 18)


class Case(StrictModel):
    """One clip to make."""

    image: Path
    prompt: str
    motion_intensity: float = Field(10, ge=0, le=MAX_INTENSITY)
    seed: int = Field(0, ge=0, lt=2**32)


@dataclass(frozen=True)
class Measured:
    """A clip's measurements; shares are 0..1, `motion` is 1 minus the mean SSIM of consecutive frames.

    `bucket` is the intensity, 0..19, that training would assign to the clip.
    """

    image: str
    prompt: str
    motion_intensity: float
    seed: int
    motion: float
    bucket: int
    smoothness: float
    consistency: float
    clipsim: float | None


@dataclass(frozen=True)
class Evaluation:
    """A model's results. None if a network is missing, or if there are too few or too similar cases.

    Attributes:
        motion_spearman: rank correlation of requested intensity and measured motion, -1..1.
        motion_error: mean difference of measured bucket and requested intensity, in buckets.
    """

    model: str
    revision: str
    clips: int
    consistency: float
    smoothness: float
    motion_spearman: float | None
    motion_error: float
    clipsim: float | None
    fvd: float | None
    fid: float | None
    inception_score: float | None
    cases: tuple[Measured, ...]

    def table(self) -> str:
        """The summary as aligned text, one result per line."""
        figures = {name: value for name, value in asdict(self).items() if name != "cases"}
        width = max(map(len, figures))
        return "\n".join(f"{name:{width}}  {shown(value)}" for name, value in figures.items())

    def to_json(self) -> str:
        """All results and cases; null where not measured."""
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def shown(value: object) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def default_cases(seeds: int = 1) -> list[Case]:
    """The photos that the built-in model was not trained on, with three prompts and four intensities each."""
    return [
        Case(image=photo_path(name), prompt=prompt, motion_intensity=intensity, seed=seed)
        for name in HELD_OUT
        for prompt in PROMPTS
        for intensity in INTENSITIES
        for seed in range(seeds)
    ]


def read_cases(path: Path) -> list[Case]:
    """Read cases from JSON lines such as `{"image": "photo.jpg", "prompt": "…"}`, with paths relative to the file.

    Raises:
        InvalidParameter: a line is not a case; the message names line and field.
    """
    cases = []
    # Not `splitlines`: prompts may contain other characters that it splits at.
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            case = Case.model_validate_json(line)
        except ValidationError as error:
            raise InvalidParameter(f"{path.name}:{number}: {with_place(error.errors()[0], 'line')}") from error
        cases.append(case.model_copy(update={"image": path.parent / case.image}))
    if not cases:
        raise InvalidParameter(f"{path.name} contains no case")
    return cases


def evaluate(
    pipe: CinemoPipeline,
    cases: Sequence[Case],
    extractors: Extractors = Extractors(),
    reference: Iterable[Frames] = (),
    num_inference_steps: int | None = None,
    on_case: Callable[[Measured], None] = lambda measured: None,
) -> Evaluation:
    """Animate and measure every case.

    Args:
        pipe: the model.
        cases: at least one.
        extractors: networks for the metrics that need one.
        reference: real clips `(f, h, w, 3)` for FVD and FID, as long as the generated ones; read one by one.
        num_inference_steps: defaults to the model's own number.
        on_case: called after each case.
    """
    real, made = Distribution(extractors), Distribution(extractors)
    if extractors.video or extractors.picture:
        for clip in reference:
            real.add(clip)
    measured, classes = [], []
    for case in cases:
        with open_picture(case.image) as photo:
            frames = pipe(
                photo,
                case.prompt,
                motion_intensity=case.motion_intensity,
                seed=case.seed,
                num_inference_steps=num_inference_steps,
                detail="off",
            )
        measured.append(measure(case, frames, pipe.card.motion_scale, extractors))
        made.add(frames)
        if extractors.classes:
            classes.append(extractors.classes(frames))
        on_case(measured[-1])
    return summarize(pipe, measured, made, real, classes)


def measure(case: Case, frames: Frames, scale: MotionScale, extractors: Extractors) -> Measured:
    """Measure one clip."""
    score = motion_score(frames)
    similarity = extractors.similarity
    return Measured(
        image=case.image.name,
        prompt=case.prompt,
        motion_intensity=case.motion_intensity,
        seed=case.seed,
        motion=1 - score,
        bucket=scale.intensity_of(score),
        smoothness=motion_smoothness(frames),
        consistency=input_consistency(frames),
        clipsim=float(similarity(frames, case.prompt).mean()) if similarity else None,
    )


def summarize(
    pipe: CinemoPipeline,
    measured: Sequence[Measured],
    made: Distribution,
    real: Distribution,
    classes: Sequence[Features],
) -> Evaluation:
    """Average over the cases, and compute the metrics of all clips together."""
    similarities = [each.clipsim for each in measured if each.clipsim is not None]
    intensities = [each.motion_intensity for each in measured]
    motions = [each.motion for each in measured]
    varied = len(set(intensities)) > 1 and len(set(motions)) > 1
    return Evaluation(
        model=pipe.card.name,
        revision=pipe.revision,
        clips=len(measured),
        consistency=float(np.mean([each.consistency for each in measured])),
        smoothness=float(np.mean([each.smoothness for each in measured])),
        motion_spearman=float(spearmanr(intensities, motions).statistic) if varied else None,
        motion_error=float(np.mean([abs(each.bucket - each.motion_intensity) for each in measured])),
        clipsim=float(np.mean(similarities)) if similarities else None,
        fvd=made.fvd(real),
        fid=made.fid(real),
        inception_score=inception_score(np.concatenate(classes)) if classes else None,
        cases=tuple(measured),
    )
