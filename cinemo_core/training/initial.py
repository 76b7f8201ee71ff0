"""Creates an untrained model: a UNet and text encoder of any size, and a codec that needs no training.

The codec is either fitted to patches of the data (`codec.py`) or consists of thumbnails and flow (`motion_codec.py`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import yaml
from diffusers import DDIMScheduler
from einops import rearrange
from pydantic import Field, model_validator
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from typing_extensions import Self

from cinemo_core.codec import PatchCodec
from cinemo_core.latents import encode_frames
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.residual import split_residual
from cinemo_core.temporal import ROTARY_FEATURES
from cinemo_core.training.files import Files, FsspecFiles
from cinemo_core.training.kinds import CLIPS, captions, list_source
from cinemo_core.training.listing import Listing
from cinemo_core.training.loader import Clip, Clips, load_clips
from cinemo_core.unet import CinemoUNet
from cinemo_spec.card import ModelCard
from cinemo_spec.scale import TRAINED_SCALE
from cinemo_spec.strict import StrictModel
from cinemo_spec.training import DataConfig

START, END = "<|startoftext|>", "<|endoftext|>"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789,.!?'-"
LARGEST_VOCABULARY = 1000


class UNetConfig(StrictModel):
    """See `CinemoUNet`."""

    block_out_channels: tuple[int, ...]
    layers_per_block: int = Field(ge=1)
    attention_head_dim: int = Field(ge=1)
    norm_num_groups: int = Field(ge=1)

    @model_validator(mode="after")
    def check_heads(self) -> Self:
        """Each head must hold the features that rotary embeddings rotate in pairs."""
        heads = self.attention_head_dim
        for width in self.block_out_channels:
            if width % (2 * heads) or width // heads < ROTARY_FEATURES:
                raise ValueError(
                    f"{width} channels do not divide into {heads} heads (attention_head_dim) of an even number of "
                    f"channels, {ROTARY_FEATURES} or more"
                )
        return self


class TextConfig(StrictModel):
    """A small CLIP text model."""

    width: int = Field(ge=1)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    tokens: int = Field(ge=2)


class InitialConfig(StrictModel):
    """A new model: its networks, defaults and codec, and the data that codec and tokenizer are fitted to."""

    name: str
    prediction_type: str = Field("v_prediction", pattern="^(epsilon|v_prediction)$")
    unet: UNetConfig
    text: TextConfig
    num_inference_steps: int = Field(50, ge=1)
    guidance_scale: float = Field(7.5, ge=1)
    codec: Literal["patch", "motion"] = Field(
        "patch", description="How the model represents clips: as pictures or as motion."
    )
    cell: int = Field(16, ge=8, le=64, description="Side length of the motion codec's cells in pixels.")
    latent_channels: int = Field(16, ge=1, le=192, description="Number of principal components kept of a patch's 192.")
    fitted_clips: int = Field(512, ge=1, description="Number of clips to fit the patch codec to.")
    data: DataConfig
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> "InitialConfig":
        """Read a YAML file; raises pydantic's `ValidationError` naming each wrong field."""
        return cls.model_validate(yaml.safe_load(path.read_text()))


def make_initial(config: InitialConfig, folder: Path) -> None:
    """Write a new model in the official layout; its UNet's first prediction is zero.

    Raises:
        DatasetError: the dataset is empty, or too much of it is broken.
    """
    files = FsspecFiles(config.data.source)
    listing = list_source(files, config.data)
    codec = make_codec(config, files, listing)
    tokenizer = learn_tokenizer(captions(listing, config.data.kind, config.seed), config.text.tokens)
    torch.manual_seed(config.seed)
    channels = codec.config.latent_channels
    unet = CinemoUNet(
        in_channels=channels, out_channels=channels, cross_attention_dim=config.text.width, **config.unet.model_dump()
    )
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    unet.save_pretrained(folder / "unet")
    make_text_encoder(config.text, tokenizer).save_pretrained(folder / "text_encoder")
    codec.save_pretrained(folder / "vae")
    tokenizer.save_pretrained(folder / "tokenizer")
    make_scheduler(config.prediction_type).save_pretrained(folder / "scheduler")
    ModelCard(
        name=config.name,
        width=config.data.width,
        height=config.data.height,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        motion_scale=TRAINED_SCALE,
    ).write(folder)


def make_codec(config: InitialConfig, files: Files, listing: Listing) -> PatchCodec | MotionCodec:
    """Make the codec; only a patch codec reads clips, to be fitted to them."""
    if config.codec == "motion":
        return MotionCodec(cell=config.cell)
    clips = CLIPS[config.data.kind](files, listing, config.data, config.seed)
    return fit_codec(clips, min(config.fitted_clips, len(listing.videos)), config.latent_channels)


@torch.no_grad()
def fit_codec(clips: Clips, count: int, latent_channels: int) -> PatchCodec:
    """Fit the codec to stills of the first clips; its scale gives residuals the unit variance of the noise."""
    batches = load_clips(clips, iter([[number] for number in range(count)]), clips.config.workers)
    frames = [pixels(clip) for batch in batches for clip in batch]
    stills = torch.cat([encode_pixels(each[:: max(len(each) // 2, 1)]) for each in frames])
    codec = PatchCodec.fit(stills, latent_channels)
    device = torch.device("cpu")
    latents = torch.cat([encode_frames(codec, each, device, len(each)) for each in frames])
    codec.scale.mul_(split_residual(latents)[1].std())
    return codec


def pixels(clip: Clip) -> np.ndarray:
    assert clip.frames is not None
    return clip.frames.numpy()


def encode_pixels(frames: np.ndarray) -> Tensor:
    """uint8 `(f, h, w, 3)` to floats `(f, 3, h, w)` in -1..1."""
    return rearrange(torch.from_numpy(frames.copy()).float() / 127.5 - 1, "f h w c -> f c h w")


def learn_tokenizer(captions: Sequence[str], tokens: int) -> CLIPTokenizer:
    """Byte pairs of the captions; other words fall apart into known pieces and letters."""
    learner = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    letters = list(ALPHABET) + [letter + "</w>" for letter in ALPHABET]
    trainer = trainers.BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        special_tokens=[START, END, *letters],
        initial_alphabet=list(ALPHABET),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(sorted(set(captions)), trainer)
    learned = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in learned["merges"]]
    return CLIPTokenizer(
        vocab=learned["vocab"],
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=tokens,
    )


def make_text_encoder(config: TextConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A CLIP text model with random weights."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            projection_dim=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_scheduler(prediction_type: str) -> DDIMScheduler:
    """The method's noise schedule: linear betas from 1e-4 to 2e-2 over 1000 timesteps."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
