"""A model's evaluation on cases: its figures, and those that are omitted."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.stream import VideoStream
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from cinemo_core import CheckpointError, CinemoPipeline, InvalidParameter, InvalidVideo, motion_bucket, write_video
from cinemo_core.media import Frames
from cinemo_core.metrics import (
    Case,
    Extractors,
    clip_similarity,
    default_cases,
    evaluate,
    picture_network,
    read_cases,
    reference_clips,
    video_network,
)
from cinemo_core.training.sources import photo_path


class VideoNetwork(nn.Module):
    """The interface of the I3D file: mean colour of each quarter of the time."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        return x.unflatten(2, (4, -1)).mean(dim=(3, 4, 5)).flatten(1) / 255


class PictureNetwork(nn.Module):
    """The interface of the Inception file: mean colours as features, their shares as classes."""

    def forward(self, x: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        means = x.float().mean(dim=(2, 3)) + 1
        if return_features:
            return means
        return means / means.sum(dim=1, keepdim=True)


@pytest.fixture
def scripts(tmp_path: Path) -> tuple[Path, Path]:
    """Real TorchScript files."""
    paths = tmp_path / "video.pt", tmp_path / "picture.pt"
    for path, network in zip(paths, (VideoNetwork(), PictureNetwork()), strict=True):
        torch.jit.script(network).save(str(path))
    return paths


@pytest.fixture
def clip_folder(tmp_path: Path, tiny: CinemoPipeline) -> Path:
    """A real CLIP model with random weights and the built-in tokenizer."""
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(tiny.tokenizer), "max_position_embeddings": 32},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(tmp_path / "clip")
    sizes: dict[str, Any] = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**sizes), tiny.tokenizer).save_pretrained(tmp_path / "clip")
    return tmp_path / "clip"


def cases(*intensities: float) -> list[Case]:
    return [
        Case(image=photo_path("coffee.png"), prompt="pan left", motion_intensity=intensity) for intensity in intensities
    ]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_without_networks_only_figures_from_pixels_are_measured(tiny: CinemoPipeline) -> None:
    evaluation = evaluate(tiny, cases(0, 19), num_inference_steps=4)
    figures = json.loads(evaluation.to_json(), parse_constant=refuse)
    assert figures["motion_spearman"] == pytest.approx(1)
    assert figures["revision"] == tiny.revision
    assert [figures[name] for name in ("clipsim", "fvd", "fid", "inception_score")] == [None] * 4
    assert len(figures["cases"]) == 2
    assert figures["cases"][0]["motion"] < figures["cases"][1]["motion"]
    assert figures["cases"][1]["bucket"] == motion_bucket(
        1 - figures["cases"][1]["motion"], tiny.card.motion_scale.strong_score
    )
    assert 0 < figures["smoothness"] <= 1
    assert "fvd              not measured" in evaluation.table()


def test_one_case_has_no_correlation(tiny: CinemoPipeline) -> None:
    evaluation = evaluate(tiny, cases(5), num_inference_steps=1)
    assert evaluation.motion_spearman is None
    json.loads(evaluation.to_json(), parse_constant=refuse)


def test_with_networks_every_figure_is_measured(
    tiny: CinemoPipeline, scripts: tuple[Path, Path], clip_folder: Path
) -> None:
    video, picture = scripts
    features, classes = picture_network(picture)
    networks = Extractors(video_network(video), features, classes, clip_similarity(clip_folder))
    reference = [np.full((16, 32, 32, 3), shade, np.uint8) for shade in (0, 10, 20)]
    evaluation = evaluate(tiny, cases(3, 10), networks, reference, num_inference_steps=1)
    assert evaluation.fvd is not None
    assert evaluation.fvd > 0
    assert evaluation.fid is not None
    assert evaluation.fid > 0
    assert evaluation.inception_score is not None
    assert 1 <= evaluation.inception_score <= 3
    assert evaluation.clipsim is not None
    assert -1 <= evaluation.clipsim <= 1


def test_a_models_clips_have_no_distance_from_themselves(tiny: CinemoPipeline, scripts: tuple[Path, Path]) -> None:
    clips: list[Frames] = [
        tiny(
            Image.open(each.image),
            each.prompt,
            motion_intensity=each.motion_intensity,
            num_inference_steps=1,
            detail="off",
        )
        for each in cases(3, 10)
    ]
    networks = Extractors(video=video_network(scripts[0]), picture=picture_network(scripts[1])[0])
    evaluation = evaluate(tiny, cases(3, 10), networks, clips, num_inference_steps=1)
    assert evaluation.fvd == pytest.approx(0, abs=1e-6)
    assert evaluation.fid == pytest.approx(0, abs=1e-3)


def test_references_are_cut_to_the_clips_length_and_other_files_ignored(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 48, 3), 10 * number, np.uint8) for number in range(20)])
    for name in ("a.mp4", "b.webp"):
        write_video(tmp_path / name, frames)
    (tmp_path / "a.txt").write_text("a caption")
    clips = list(reference_clips(tmp_path, 8, 2))
    assert [clip.shape for clip in clips] == [(8, 32, 48, 3)] * 2
    assert np.abs(clips[1].mean((1, 2, 3)) - frames[:15:2].mean((1, 2, 3))).max() < 4


def test_references_are_found_in_class_folders_and_one_too_short_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("ApplyEyeMakeup/v_01.avi", "Archery/v_02.AVI", "Zumba/v_03.avi")):
        write_avi(tmp_path / "UCF-101" / name, frames=20 if number < 2 else 9)
    (tmp_path / "UCF-101" / "Archery" / "._v_02.avi").write_bytes(b"no video")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "classes").symlink_to(tmp_path / "UCF-101", target_is_directory=True)
    assert len(list(reference_clips(tmp_path / "UCF-101", 8))) == 3
    assert len(list(reference_clips(tmp_path / "linked", 8))) == 3
    clips = reference_clips(tmp_path / "UCF-101", 16)
    assert [next(clips).shape for _ in range(2)] == [(16, 32, 48, 3)] * 2
    with pytest.raises(InvalidVideo, match=r"Zumba/v_03\.avi: 16 frames.* this one gave 9"):
        next(clips)


def write_avi(path: Path, frames: int) -> None:
    """MPEG-4 in AVI, as the clips of UCF-101 are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(frames):
            picture = np.full((32, 48, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_a_folder_without_a_video_gets_a_list_of_supported_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a caption")
    with pytest.raises(InvalidParameter, match=r"no video; supported are \.mp4"):
        next(reference_clips(tmp_path, 8))


@pytest.mark.parametrize("load", [video_network, picture_network, clip_similarity])
def test_a_file_that_is_not_a_network_is_named(tmp_path: Path, load: Any) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(b"not a network")
    with pytest.raises(CheckpointError, match=r"network\.pt"):
        load(path)


def test_the_default_cases_are_photos_that_the_built_in_model_never_saw() -> None:
    chosen = default_cases(seeds=2)
    assert len(chosen) == 2 * 3 * 4 * 2
    assert {case.image.name for case in chosen} == {"astronaut.png", "coffee.png"}


def test_cases_are_read_from_lines_beside_their_pictures(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"image": "a.jpg", "prompt": "x", "seed": 3}\n{"image": "b.jpg", "prompt": "y"}\n')
    first, second = read_cases(path)
    assert (first.image, first.seed) == (tmp_path / "a.jpg", 3)
    assert (second.prompt, second.motion_intensity) == ("y", 10)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_unicode_line_separators_are_part_of_a_prompt(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(f'\ufeff{{"image": "a.jpg", "prompt": "x{separator}y"}}\n\n', "utf-8")
    (case,) = read_cases(path)
    assert case.prompt == f"x{separator}y"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "cases.jsonl:2: line"),
        ('{"image": "a.jpg"}', "cases.jsonl:2: prompt"),
        ('{"image": "a.jpg", "prompt": "x", "motion_intensity": 20}', "motion_intensity"),
        ('{"image": "a.jpg", "prompt": "x", "speed": 1}', "speed"),
    ],
)
def test_an_invalid_case_is_reported_by_line_and_field(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"image": "a.jpg", "prompt": "x"}\n' + line + "\n")
    with pytest.raises(InvalidParameter, match=message):
        read_cases(path)


def test_an_empty_list_of_cases_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text("")
    with pytest.raises(InvalidParameter, match="no case"):
        read_cases(tmp_path / "cases.jsonl")
