"""Only a clip's frames are decoded of a video, and they are the right ones."""

from pathlib import Path

import av
import numpy as np
import pytest

from cinemo_core import InvalidVideo, read_video, write_video
from cinemo_core.media import Frames
from cinemo_core.sandbox.decoder import Decoder
from cinemo_core.sandbox.reading import Cut, Fitted
from cinemo_core.training import decode
from cinemo_core.training.decode import choose_cut
from cinemo_core.training.render import RenderConfig, encode
from cinemo_spec.training import DataConfig
from tests.datasets import clips

DECODER = Decoder()


def decode_clip(data: bytes, config: DataConfig, rng: np.random.Generator) -> Frames:
    return decode.decode_clip(DECODER, data, config, rng)


def data_config(**changes: int) -> DataConfig:
    return DataConfig.model_validate({"source": "x", "width": 48, "height": 32, "frames": 8, **changes})


def long_video(folder: Path) -> tuple[bytes, Frames]:
    """A video of 90 frames with a keyframe every twelve, each in its own grey; its bytes and frames."""
    path = folder / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(90):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 + 2 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes(), read_video(path)[0]


@pytest.mark.parametrize("seed", range(6))
def test_a_clip_contains_every_nth_frame_from_its_start(tmp_path: Path, seed: int) -> None:
    data, frames = long_video(tmp_path)
    config = data_config()
    cut = choose_cut(len(frames), config, np.random.default_rng(seed))
    clip = decode_clip(data, config, np.random.default_rng(seed))
    assert 3 <= cut.interval <= 10
    expected = frames[cut.start :: cut.interval][:8]
    assert np.abs(clip.astype(int) - expected).max() <= 2, "scaling may round"


def test_intervals_and_starts_cover_their_whole_range() -> None:
    config = data_config()
    cuts = [choose_cut(90, config, np.random.default_rng(seed)) for seed in range(500)]
    assert {cut.interval for cut in cuts} == set(range(3, 11))
    assert {cut.start + 7 * cut.interval for cut in cuts} >= {89, 88}
    assert min(cut.start for cut in cuts) == 0


def test_a_short_video_gets_shorter_intervals_and_one_too_short_is_rejected() -> None:
    config = data_config()
    assert {choose_cut(30, config, np.random.default_rng(seed)).interval for seed in range(50)} == {3, 4}
    with pytest.raises(InvalidVideo, match="need 22"):
        choose_cut(21, config, np.random.default_rng(0))


def test_frames_are_scaled_to_cover_and_cropped_to_the_centre() -> None:
    wide = np.zeros((8, 32, 96, 3), np.uint8)
    wide[:, :, 24:72] = 200
    clip = decode_clip(encode(wide), data_config(width=32, height=32, min_interval=1), np.random.default_rng(0))
    assert clip.shape == (8, 32, 32, 3)
    assert np.abs(clip[:, 4:-4, 4:-4].astype(int) - 200).max() < 8


@pytest.mark.parametrize("damage", ["empty", "noise", "header", "middle"])
def test_damaged_bytes_are_an_invalid_video(damage: str) -> None:
    data = clips()["000000"][0]
    damaged = {
        "empty": b"",
        "noise": bytes(range(256)) * 8,
        "header": data[100:],
        "middle": data[: len(data) // 3],
    }[damage]
    with pytest.raises(InvalidVideo):
        decode_clip(damaged, data_config(min_interval=1), np.random.default_rng(0))


def test_gifs_are_videos_too(tmp_path: Path) -> None:
    frames = np.repeat(np.arange(0, 240, 20, dtype=np.uint8), 32 * 48 * 3).reshape(12, 32, 48, 3)
    write_video(tmp_path / "clip.gif", frames)
    clip = decode_clip((tmp_path / "clip.gif").read_bytes(), data_config(min_interval=1), np.random.default_rng(0))
    assert clip.shape == (8, 32, 48, 3)


def test_rendered_clips_do_not_depend_on_their_distribution_over_processes(tmp_path: Path) -> None:
    from cinemo_core.training.render import render_dataset

    config = RenderConfig(clips=4, frames=8, width=32, height=32, textures=4, clips_per_shard=2)
    render_dataset(config, tmp_path / "one", processes=1)
    render_dataset(config, tmp_path / "two", processes=2)
    shards = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert shards == ["clips-00000.tar", "clips-00001.tar"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in shards)


@pytest.mark.parametrize(("codec", "container"), [("mpeg1video", "mpeg"), ("mpeg2video", "vob")])
def test_a_clip_of_an_mpeg_program_stream_has_the_requested_frames(tmp_path: Path, codec: str, container: str) -> None:
    path = tmp_path / "a.mpg"
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.max_b_frames = 2
        for number in range(40):
            picture = np.full((32, 48, 3), 6 * number, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode())
    with Decoder() as decoder:
        frames = decoder.cut(path.read_bytes(), Fitted(8, 48, 32), lambda available: Cut(available - 20, 2))
    assert frames.mean((1, 2, 3)) == pytest.approx([6 * number for number in range(20, 36, 2)], abs=8)
