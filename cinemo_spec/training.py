"""The configuration of a training run. Does not need torch, so that the service can read it, too.

Defaults are the paper's settings if it states them (arXiv 2407.15642, section 4.1).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, FiniteFloat, model_validator
from typing_extensions import Self

from cinemo_spec.errors import InvalidParameter
from cinemo_spec.strict import StrictModel

MODEL_NAME = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
"""A model's name is also the name of a folder and part of a URL."""
MAX_NAME = 1024
"""Maximum length of a storage key or path, which is that of an S3 key."""

NUMBERS_UNTOUCHED: dict[str, bool | set[str]] = {
    "name": True,
    "gradient_accumulation_steps": True,
    "gradient_checkpointing": True,
    "log_every_steps": True,
    "checkpoint_every_steps": True,
    "samples": True,
    "distillation": {"force", "checked_prompts"},
    "data": {"workers", "max_broken_share", "preflight_videos", "allow_uncaptioned", "source"},
}
"""Fields that, apart from rounding, do not change what a run computes, only how it runs and is reported. It depends on
the dataset's videos, not on where they are."""

Positive = Annotated[FiniteFloat, Field(gt=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
PixelSize = Annotated[int, Field(ge=16, le=2048, multiple_of=8)]


class FrameSize(StrictModel):
    """Width and height of a frame in pixels."""

    width: PixelSize
    height: PixelSize


class DataConfig(StrictModel):
    """Which videos to train on, and how to cut clips from them."""

    source: str = Field(
        min_length=1,
        max_length=MAX_NAME,
        description="Folder or URI of video files with captions, or of WebDataset shards (.tar).",
        examples=["datasets/waves"],
    )
    kind: Literal["videos", "stills"] = Field(
        "videos", description="`stills`: photos that are set in motion during the run and captioned by their motion."
    )
    frames: int = Field(16, ge=2, le=32, description="Frames per clip.")
    width: PixelSize = Field(512, description="Width in pixels; videos are scaled and center-cropped.")
    height: PixelSize = Field(320, description="Height in pixels.")
    more_sizes: tuple[FrameSize, ...] = Field(
        (), max_length=16, description="Additional sizes, such as portrait ones; each step uses one of all sizes."
    )
    min_interval: int = Field(
        3, ge=1, le=100, description="A clip uses every nth frame, with n drawn from this minimum …"
    )
    max_interval: int = Field(
        10, ge=1, le=100, description="… to this maximum, or as far as the video's length allows."
    )
    strong_score: Annotated[FiniteFloat, Field(ge=0, lt=1)] = Field(
        0.0, description="Mean SSIM at which the strongest motion bucket starts."
    )
    allow_uncaptioned: bool = Field(
        False, description="Accept a manifest without any captions, which is otherwise rejected."
    )
    workers: int = Field(2, ge=0, le=64, description="Number of decoding processes; 0 decodes between steps.")
    cache_latents: bool = Field(False, description="Encode each clip once and cache its latents in float16.")
    variants: int = Field(4, ge=1, le=1000, description="Number of different clips per video when latents are cached.")
    max_broken_share: Share = Field(0.05, description="Highest share of unusable videos before the run stops.")
    preflight_videos: int = Field(64, ge=1, le=10_000, description="Number of videos to check before training starts.")

    @model_validator(mode="after")
    def order_intervals(self) -> Self:
        """Check that the interval range is not empty."""
        if self.min_interval > self.max_interval:
            raise ValueError("min_interval must not be larger than max_interval")
        return self


class OptimizerConfig(StrictModel):
    """Adam (arXiv 1412.6980), with AdamW's decoupled decay (arXiv 1711.05101) if weight decay is set."""

    learning_rate: Positive = 1e-4
    beta1: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.999
    epsilon: Positive = 1e-8
    weight_decay: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0


class ScheduleConfig(StrictModel):
    """Learning rate schedule after the linear warm-up."""

    kind: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = Field(0, ge=0)
    last_share: Share = Field(0.0, description="Share of the learning rate at the end of the cosine.")


class ObjectiveConfig(StrictModel):
    """What the network learns to predict."""

    prediction_type: Literal["epsilon", "v_prediction"] | None = Field(
        None, description="The noise or the velocity (arXiv 2202.00512); defaults to the base model's own."
    )
    min_snr_gamma: Positive | None = Field(
        None, description="Weight timesteps by min(SNR, gamma) (arXiv 2303.09556); null weights all equally."
    )
    flow_smoothness: Annotated[FiniteFloat, Field(ge=0)] = Field(
        0.0,
        description="Weight of errors in the gradient of the predicted flow, for models whose latents contain flow.",
    )


class LoraConfig(StrictModel):
    """Low-rank updates of only the attention layers (arXiv 2106.09685), published alone, as an adapter."""

    rank: int = Field(16, ge=1, le=1024)
    alpha: int = Field(16, ge=1, le=65_536)


class DistillConfig(StrictModel):
    """What a student is to do without, and what it is checked by before it is published."""

    steps: int = Field(4, ge=1, le=16, description="Denoising steps that the student takes, without guidance.")
    solver_steps: int = Field(
        40, ge=2, le=1000, description="Steps into which the teacher's whole way is cut; a multiple of `steps`."
    )
    guidance_scale: Annotated[FiniteFloat, Field(ge=1, le=30)] | None = Field(
        None, description="Guidance that the student learns to do without; defaults to the base model's own value."
    )
    checked_prompts: int = Field(
        15,
        ge=1,
        le=100,
        description="Number of prompts by which student and teacher are compared before publication: the known motions "
        "with `data.kind: stills`, else captions of the dataset.",
    )
    force: bool = Field(False, description="Publish a student that falls short of its teacher, too.")

    @model_validator(mode="after")
    def cut_evenly(self) -> Self:
        """Each phase of the student's has as many of the teacher's steps."""
        if self.solver_steps % self.steps or self.solver_steps == self.steps:
            raise ValueError(f"solver_steps must be a multiple of steps ({self.steps}) and larger")
        return self


class SampleConfig(StrictModel):
    """Sample clips generated during the run from first frames and captions of the training videos."""

    every_steps: int = Field(1000, ge=0, description="0 disables samples.")
    clips: int = Field(2, ge=1, le=16)
    num_inference_steps: int | None = Field(None, ge=1, le=500, description="Defaults to the base model's own value.")


class TrainConfig(StrictModel):
    """A complete training run. The same configuration, data and base model give the same weights on the same
    machine."""

    name: str = Field(pattern=MODEL_NAME, description="Name of the new model.", examples=["waves"])
    base_model: str = Field(
        "tiny",
        min_length=1,
        max_length=MAX_NAME,
        description="`tiny`, a published `name@revision`, a folder or a hub repository.",
    )
    method: Literal["finetune", "distill"] = Field(
        "finetune",
        description="`distill`: train a student that needs no guidance and few steps (see `distillation`).",
    )
    data: DataConfig
    steps: int = Field(ge=1, le=10_000_000, description="Optimizer steps.")
    batch_size: int = Field(
        80, ge=1, le=65_536, description="Clips per step, across all processes and accumulated micro-batches."
    )
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=65_536, description="Number of micro-batches per process and step."
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    distillation: DistillConfig = DistillConfig()
    prompt_dropout: Share = Field(0.5, description="Probability of dropping the caption.")
    ema_decay: Annotated[FiniteFloat, Field(ge=0, lt=1)] = Field(
        0.9999, description="Decay of the averaged weights (EMA), which are the ones published."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="Number type of the computation."
    )
    gradient_checkpointing: bool = Field(False, description="Uses less memory, for a third more work.")
    train_text_encoder: bool = Field(False, description="Train the text encoder along with the UNet.")
    lora: LoraConfig | None = Field(None, description="Train low-rank updates instead of all weights.")
    seed: int = Field(0, ge=0, le=2**32 - 1)
    log_every_steps: int = Field(10, ge=1)
    checkpoint_every_steps: int = Field(500, ge=1)
    samples: SampleConfig = SampleConfig()

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Reject combinations that cannot work."""
        if self.batch_size % self.gradient_accumulation_steps:
            raise ValueError("batch_size must be a multiple of gradient_accumulation_steps")
        if self.schedule.warmup_steps > self.steps:
            raise ValueError("schedule.warmup_steps must not be more than steps")
        if self.method == "distill":
            self.check_distillation()
        elif self.distillation != DistillConfig():
            raise ValueError("distillation is for method: distill")
        if self.lora and self.train_text_encoder:
            raise ValueError("lora trains only the UNet's attention; remove train_text_encoder")
        return self

    def check_distillation(self) -> None:
        """Refuse what a student must have in common with its teacher."""
        if self.train_text_encoder:
            raise ValueError("a student reads the same text states as its teacher; leave train_text_encoder out")
        if self.objective.prediction_type:
            raise ValueError("a student predicts what its teacher does; leave objective.prediction_type out")

    def check_teacher(self, steps: int, guidance_scale: float) -> None:
        """Refuse to distil a model that its card says needs so many steps and so much guidance.

        Raises:
            InvalidParameter: it needs no more steps than the student, or no guidance that the student could learn.
        """
        wanted = self.distillation
        if steps <= wanted.steps:
            raise InvalidParameter(
                f"distillation.steps is {wanted.steps}, and {self.base_model} takes {steps} steps already; name the "
                "model that it was distilled from, or fewer steps"
            )
        if guidance_scale == 1 and wanted.guidance_scale is None:
            raise InvalidParameter(
                f"{self.base_model} works without guidance already; set distillation.guidance_scale, to 1 to distil "
                "its steps alone"
            )

    @classmethod
    def read(cls, path: Path) -> "TrainConfig":
        """Read a YAML file; raises pydantic's `ValidationError` naming each wrong field."""
        return cls.model_validate(yaml.safe_load(path.read_text()))

    def numbers(self) -> dict[str, Any]:
        """The fields that determine what a run computes, such as `data.frames`; they identify the run of a saved state.

        Defaults are omitted, so that states survive a release that adds a field; a default must never change.
        """
        fields = self.model_dump(mode="json", exclude=NUMBERS_UNTOUCHED, exclude_defaults=True)
        # A section that is present matters even if all its fields are defaults, as for `lora`.
        return flattened({name: value for name, value in fields.items() if name not in NUMBERS_UNTOUCHED or value})

    def changes_from(self, earlier: dict[str, Any]) -> list[str]:
        """The differences from another run's `numbers`, except for steps if they do not change the schedule."""
        now = self.numbers()
        names = [name for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
        if self.schedule.kind == "constant":
            names = [name for name in names if name != "steps"]
        return [f"{name}: {value_or_default(earlier, name)} then, {value_or_default(now, name)} now" for name in names]


def flattened(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields by dotted name."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found |= flattened(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return found


def value_or_default(fields: dict[str, Any], name: str) -> str:
    return str(fields[name]) if name in fields else "its default"
