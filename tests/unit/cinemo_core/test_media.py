"""Pictures in, videos out: what browsers need of an MP4, and which photos are accepted."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core import (
    InvalidImage,
    InvalidParameter,
    InvalidVideo,
    load_clip,
    read_video,
    sample_frames,
    write_poster,
    write_video,
)
from cinemo_core.clips import read_clip
from cinemo_core.encoding import FORMATS, frame_rate, frames_written
from cinemo_core.media import Frames, prepare_image
from cinemo_core.sandbox.limits import MediaLimits

ORIENTATION = 0x0112


def moving_gradient(frames: int = 16, height: int = 96, width: int = 144) -> Frames:
    y, x = np.mgrid[:height, :width]
    colours = [np.stack([x + 4 * f, y + 4 * f, x + y], -1) for f in range(frames)]
    return (127 + 100 * np.sin(np.stack(colours) / 25)).astype(np.uint8)


def test_a_video_plays_in_every_browser(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, moving_gradient(), fps=8)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height, stream.frames) == (144, 96, 16)
        assert stream.average_rate == 8
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat"), "the index must come first, so that playing starts at once"


@pytest.mark.parametrize(
    ("suffix", "min_psnr"), [(".mp4", 32), (".webm", 32), (".gif", 28), (".webp", 32), (".MP4", 32)]
)
def test_frames_keep_their_colours_and_timing(tmp_path: Path, suffix: str, min_psnr: float) -> None:
    path, frames = tmp_path / f"clip{suffix}", moving_gradient()
    write_video(path, frames, fps=10)
    back, rate = read_video(path)
    assert rate == 10
    assert back.shape == frames.shape
    assert min(peak_signal_noise_ratio(one, other) for one, other in zip(frames, back, strict=True)) > min_psnr


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "vp9"), (".gif", "gif")])
def test_other_formats_match_their_suffixes(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write_video(path, moving_gradient())
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == codec


def test_animated_pictures_loop_forever(tmp_path: Path) -> None:
    for suffix in (".gif", ".webp"):
        write_video(tmp_path / f"clip{suffix}", moving_gradient())
        with Image.open(tmp_path / f"clip{suffix}") as picture:
            assert picture.info["loop"] == 0


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
def test_frames_can_be_generated_while_they_are_written_and_must_have_one_size(tmp_path: Path, suffix: str) -> None:
    frames, path = moving_gradient(9), tmp_path / f"clip{suffix}"
    write_video(path, iter(frames))
    assert read_video(path)[0].shape == frames.shape
    with pytest.raises(InvalidVideo, match="one size"):
        write_video(path, [frames[0], frames[1][:48]])


def test_an_unknown_suffix_is_rejected_with_a_list_of_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidVideo, match=r"\.mp4, \.webm, \.gif, \.webp"):
        write_video(tmp_path / "clip.avi", moving_gradient())


def test_frames_are_sampled_at_an_interval_and_a_short_video_is_rejected() -> None:
    frames = moving_gradient(31, 16, 16)
    assert np.array_equal(sample_frames(frames, 16, 2), frames[::2])
    assert np.array_equal(sample_frames(frames, 16, 1), frames[:16])
    with pytest.raises(InvalidVideo, match="need a video of 46, got 31"):
        sample_frames(frames, 16, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
def test_equal_frames_give_equal_files(tmp_path: Path, suffix: str) -> None:
    path, frames, files = tmp_path / f"clip{suffix}", moving_gradient(), set()
    for _ in range(5):
        write_video(path, frames)
        files.add(path.read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 7, 8, 3), np.uint8), np.zeros((0, 8, 8, 3))],
    ids=["no colours", "floats", "odd height", "no frames"],
)
def test_invalid_frames_are_rejected_before_a_file_is_created(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(InvalidVideo):
        write_video(tmp_path / "clip.mp4", frames)
    assert not (tmp_path / "clip.mp4").exists()


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00\x00\x00\x18ftypmp42"])
def test_a_file_that_is_not_a_video_is_named(tmp_path: Path, content: bytes) -> None:
    for suffix in (".mp4", ".webp"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(content)
        with pytest.raises(InvalidVideo, match="broken"):
            read_video(path)


def test_the_poster_is_a_jpeg_of_the_frame(tmp_path: Path) -> None:
    frame = moving_gradient(1)[0]
    write_poster(tmp_path / "poster.jpg", frame)
    with Image.open(tmp_path / "poster.jpg") as poster:
        assert poster.format == "JPEG"
        assert peak_signal_noise_ratio(frame, np.asarray(poster)) > 32


def test_a_photo_is_cropped_around_its_centre_and_never_distorted() -> None:
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, 125:275] = 255
    prepared = prepare_image(Image.fromarray(wide), 150, 100)
    assert prepared.size == (150, 100)
    assert np.asarray(prepared).mean() > 250


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    upright = Image.fromarray(moving_gradient(1)[0])
    sideways = upright.transpose(Image.Transpose.ROTATE_90)
    sideways.getexif()[ORIENTATION] = 6
    assert np.array_equal(np.asarray(prepare_image(sideways, 144, 96)), np.asarray(upright))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_converted_to_rgb(mode: str) -> None:
    prepared = prepare_image(Image.new(mode, (30, 20)), 12, 8)
    assert (prepared.mode, prepared.size) == ("RGB", (12, 8))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_a_16_bit_grey_keeps_its_shade(mode: str) -> None:
    grey = Image.new(mode, (30, 20), 128 * 256)
    assert np.unique(np.asarray(prepare_image(grey, 12, 8))).tolist() == [128]


def test_a_truncated_photo_is_rejected(tmp_path: Path) -> None:
    Image.fromarray(moving_gradient(1)[0]).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-500])
    with Image.open(tmp_path / "half.jpg") as photo, pytest.raises(InvalidImage, match="truncated"):
        prepare_image(photo, 144, 96)


def test_transparency_becomes_white() -> None:
    assert np.asarray(prepare_image(Image.new("RGBA", (12, 8), (0, 0, 0, 0)), 12, 8)).min() == 255


NAMES = ["source.mp4", "source.webm", "source.gif"]


def numbered(count: int) -> Frames:
    """Frames that get lighter one by one."""
    return np.stack([np.full((32, 48, 3), 10 + 8 * number, np.uint8) for number in range(count)])


@pytest.mark.parametrize("name", NAMES)
def test_only_the_requested_frames_of_a_clip_are_read(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, numbered(20))
    clip = np.stack(list(read_clip(tmp_path / name, 8, 2)))
    assert clip.shape == (8, 32, 48, 3)
    assert np.abs(clip.mean((1, 2, 3)) - numbered(20)[:15:2].mean((1, 2, 3))).max() < 4


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_too_large_or_too_short_is_rejected(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, numbered(6))
    with pytest.raises(InvalidVideo, match="48x32"):
        next(read_clip(tmp_path / name, 6, 1, MediaLimits(max_pixels=32 * 48 - 1)))
    with pytest.raises(InvalidVideo, match="need a video of 8"):
        list(read_clip(tmp_path / name, 8, 1, MediaLimits(max_pixels=32 * 48)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.mp4", b"\0\0\0\x18ftypmp42" + b"\xff" * 500),
        ("a.mp4", b""),
        ("a.webm", b"\x1aE\xdf\xa3" + b"\0" * 500),
        ("a.gif", b"GIF89a" + b"\0" * 40),
        ("a.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("a.gif", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ],
)
def test_invalid_clips_are_rejected(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidVideo):
        list(read_clip(tmp_path / name, 8, 1))


def test_a_truncated_clip_is_rejected(tmp_path: Path) -> None:
    write_video(tmp_path / "whole.webm", numbered(20))
    (tmp_path / "half.webm").write_bytes((tmp_path / "whole.webm").read_bytes()[:400])
    with pytest.raises(InvalidVideo):
        list(read_clip(tmp_path / "half.webm", 20, 1))


@pytest.mark.parametrize("suffix", [*FORMATS, ".mov", ".mkv"])
def test_a_clip_is_loaded_from_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    written = tmp_path / f"a{ {'.mov': '.mp4', '.mkv': '.webm'}.get(suffix, suffix) }"
    write_video(written, numbered(20))
    path = written.rename(tmp_path / f"b{suffix}")
    clip = load_clip(path, 8, 2)
    assert np.abs(clip.mean((1, 2, 3)) - numbered(20)[:15:2].mean((1, 2, 3))).max() < 4
    with pytest.raises(InvalidVideo, match="need a video of 21"):
        load_clip(path, 21)
    with pytest.raises(InvalidParameter, match="frame_interval"):
        load_clip(path, 8, 0)


@pytest.mark.parametrize("fps", [0, -1, 101, float("nan")])
def test_an_impossible_frame_rate_is_rejected(tmp_path: Path, fps: float) -> None:
    with pytest.raises(InvalidParameter, match="fps"):
        write_video(tmp_path / "a.mp4", numbered(2), fps)
    assert not (tmp_path / "a.mp4").exists()


def test_a_frame_rate_that_was_read_can_be_written(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", numbered(8), 30_000 / 1001)
    frames, rate = read_video(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4", frames, rate)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(30_000, 1001)


@pytest.mark.parametrize("fps", [1, 7, 8, 30, 60])
@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_the_frame_rate_is_that_of_the_file(tmp_path: Path, suffix: str, fps: int) -> None:
    path = tmp_path / f"a.{suffix}"
    # Long enough that the hundredths of a second, of which the delays of a GIF are made, hardly count.
    write_video(path, numbered(31), fps)
    assert read_video(path)[1] == pytest.approx(frame_rate(path, fps), rel=0.02)


@pytest.mark.parametrize("fps", [8, 12.5, 15, 24, 30, 50, 55, 60, 100])
@pytest.mark.parametrize(("suffix", "least"), [("gif", 20), ("webp", 11)])
def test_animated_pictures_play_in_browsers_at_the_reported_rate(
    tmp_path: Path, suffix: str, least: int, fps: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    write_video(path, numbered(31), fps)
    with Image.open(path) as picture:
        delays = [int(frame.info["duration"]) for frame in ImageSequence.Iterator(picture) if frame.load()]
    assert min(delays) >= least
    assert max(delays) - min(delays) <= (10 if suffix == "gif" else 1)
    assert len(delays) == frames_written(path, 31, fps)
    assert sum(delays) / 1000 == pytest.approx(len(delays) / frame_rate(path, fps), abs=0.01)
    assert len(delays) / frame_rate(path, fps) == pytest.approx(31 / fps, abs=1.01 / fps)
