"""What a training run is: read from a TOML recipe, checked before anything is computed."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClipConfig(Part):
    """The pool of training clips; sizes in pixels, speeds in pixels a frame."""

    clips: int = Field(gt=0)
    shards: int = Field(default=16, gt=0)
    processes: int = Field(default=2, gt=0)
    textures: int = Field(default=150, gt=0)
    photo_share: float = Field(default=0.6, ge=0, le=1)
    frames: int = Field(default=16, ge=2)
    height: int = Field(default=96, gt=0)
    width: int = Field(default=144, gt=0)
    top_speed: float = Field(default=2.5, gt=0)
    strong_score: float = Field(default=0.4, ge=0, lt=1)
    seed: int = 0


class Stage(Part):
    """A stretch of training at one size; height and width in latent pixels."""

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    frames: int = Field(ge=2)
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    last_learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(default=0, ge=0)


class UNetConfig(Part):
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    attention_head_dim: int
    norm_num_groups: int


class TextConfig(Part):
    width: int
    layers: int
    heads: int
    tokens: int


class SamplingConfig(Part):
    """What the checkpoint's card recommends."""

    num_inference_steps: int = Field(gt=0)
    guidance_scale: float = Field(ge=1)


class Recipe(Part):
    """A whole run: data, networks, stages and the habits of the loop."""

    name: str
    seed: int = 0
    prompt_dropout: float = Field(default=0.5, ge=0, le=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    prediction_type: str = Field(pattern="^(epsilon|v_prediction)$")
    autocast_bfloat16: bool = True
    log_every_steps: int = Field(default=25, gt=0)
    save_every_steps: int = Field(default=200, gt=0)
    clips: ClipConfig
    unet: UNetConfig
    text: TextConfig
    sampling: SamplingConfig
    stages: tuple[Stage, ...]

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe; raises pydantic's `ValidationError` naming each wrong field."""
        return cls.model_validate(tomllib.loads(path.read_text()))
