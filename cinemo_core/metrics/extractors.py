"""Loads feature extraction networks from files; none is included."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPModel, CLIPProcessor

from cinemo_core.media import Frames
from cinemo_spec.errors import CheckpointError

Features = NDArray[np.floating]


@dataclass(frozen=True)
class Extractors:
    """The available networks; metrics whose network is missing are not measured.

    Attributes:
        video: a clip `(f, h, w, 3)` to features `(d,)`, for FVD.
        picture: frames `(n, h, w, 3)` to features `(n, d)`, for FID.
        classes: frames `(n, h, w, 3)` to class probabilities `(n, classes)`, for IS.
        similarity: frames `(n, h, w, 3)` and a sentence to cosine similarities `(n,)`, for CLIPSIM.
    """

    video: Callable[[Frames], Features] | None = None
    picture: Callable[[Frames], Features] | None = None
    classes: Callable[[Frames], Features] | None = None
    similarity: Callable[[Frames, str], Features] | None = None


def script(path: Path, device: str) -> Any:
    """A TorchScript file on a device.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not a TorchScript file: {error}") from error


def video_network(path: Path, device: str = "cpu") -> Callable[[Frames], Features]:
    """Load I3D from the TorchScript file commonly used for FVD, `i3d_torchscript.pt`.

    The network takes clips `(b, 3, f, h, w)` of 0..255 with `rescale`, `resize` and `return_features`.
    """
    network = script(path, device)

    @torch.no_grad()
    def features(frames: Frames) -> Features:
        clip = rearrange(torch.from_numpy(frames).to(device).float(), "f h w c -> 1 c f h w")
        return as_array(network(clip, rescale=True, resize=True, return_features=True))[0]

    return features


def picture_network(
    path: Path, device: str = "cpu"
) -> tuple[Callable[[Frames], Features], Callable[[Frames], Features]]:
    """Load Inception from the TorchScript file of 2015 commonly used for FID; returns features and classes.

    The network takes uint8 pictures `(n, 3, h, w)`; with `return_features` it returns features, with `no_output_bias`
    class probabilities as in the original inception score.
    """
    network = script(path, device)

    @torch.no_grad()
    def features(frames: Frames) -> Features:
        return as_array(network(pictures(frames, device), return_features=True))

    @torch.no_grad()
    def classes(frames: Frames) -> Features:
        return as_array(network(pictures(frames, device), no_output_bias=True))

    return features, classes


def clip_similarity(name_or_path: str | Path, device: str = "cpu") -> Callable[[Frames, str], Features]:
    """Cosine similarity of frames and a sentence by CLIP, a folder or a hub repository (arXiv 2104.14806).

    Raises:
        CheckpointError: the model cannot be loaded.
    """
    try:
        model = CLIPModel.from_pretrained(name_or_path).eval().to(device)
        processor = CLIPProcessor.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name_or_path} is not a CLIP model: {error}") from error

    @torch.no_grad()
    def similarity(frames: Frames, sentence: str) -> Features:
        inputs = processor(text=[sentence], images=list(frames), return_tensors="pt", padding=True, truncation=True)
        outputs = model(**inputs.to(device))
        return as_array(torch.cosine_similarity(outputs.image_embeds, outputs.text_embeds))

    return similarity


def pictures(frames: Frames, device: str) -> Tensor:
    return rearrange(torch.from_numpy(frames).to(device), "n h w c -> n c h w")


def as_array(features: Tensor) -> Features:
    array: Features = features.float().cpu().numpy()
    return array
