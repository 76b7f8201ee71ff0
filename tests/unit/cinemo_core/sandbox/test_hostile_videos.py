"""A malicious video stays within the limits, reads only itself, and is rejected with a typed error."""

import os
import resource
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from cinemo_core import InvalidVideo, load_clip, write_video
from cinemo_core.clips import read_clip
from cinemo_core.sandbox.decoder import Decoder, DecoderUnavailable, decoder_of
from cinemo_core.sandbox.limits import MEBIBYTE, MediaLimits
from cinemo_core.sandbox.reading import Cut, Fitted
from tests.systems import need_linux
from tests.unit.cinemo_core.sandbox import hostile

SMALL = MediaLimits(memory_bytes=128 * MEBIBYTE, seconds=5, max_pixels=1_000_000)
WANTED = Fitted(count=2, width=32, height=32)
LARGE = 12_000
SUFFIXES = [".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".webp"]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(SMALL) as decoder:
        yield decoder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the processes that decode instead of forking them."""
    monkeypatch.setattr("cinemo_core.sandbox.decoder.subprocess", subprocess)


def cut(decoder: Decoder, data: bytes) -> np.ndarray:
    return decoder.cut(data, WANTED, lambda available: Cut(0, 1))


def clip(data: bytes, folder: Path, limits: MediaLimits = SMALL) -> list[np.ndarray]:
    path = folder / "clip.mp4"
    path.write_bytes(data)
    return list(read_clip(path, 2, 1, limits))


def most_held() -> int:
    """This process's peak memory in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def limits_of(process: int) -> dict[str, str]:
    """A process's resource limits, by name."""
    need_linux("tells the limits of another process")
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[1] for line in lines}


GIANTS = {
    "a sample table of 40 million": lambda: hostile.quicktime(b"jpeg", [b""], claimed=40_000_000),
    "a sample table of 2 billion": lambda: hostile.quicktime(b"jpeg", [b""], claimed=2**31 - 1),
    "PNG in QuickTime": lambda: hostile.quicktime(b"png ", [hostile.png(LARGE, LARGE)] * 2),
    "JPEG in QuickTime": lambda: hostile.quicktime(b"jpeg", [hostile.encoded("JPEG", 8000, 200)] * 2),
    "TIFF in QuickTime": lambda: hostile.quicktime(b"tiff", [hostile.encoded("TIFF", 4000, 400)] * 2),
    "GIF": lambda: hostile.gif(65_535, 65_535),
    "WebP": lambda: hostile.webp(16_383, 16_383),
    "AVI": lambda: hostile.muxed("avi", "png", (2000, 800), 2, "rgb24"),
    "WebM": lambda: hostile.muxed("webm", "libvpx-vp9", (2000, 800), 2, **{"cpu-used": "8", "deadline": "realtime"}),
    "Matroska": lambda: hostile.muxed("matroska", "mjpeg", (2000, 800), 2, "yuvj420p"),
}


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("kind", GIANTS)
def test_decompression_bombs_cost_no_more_than_the_limits(kind: str, decoder: Decoder, tmp_path: Path) -> None:
    need_linux("limits a process's memory")
    data = GIANTS[kind]()
    before = most_held()
    for read in (lambda: cut(decoder, data), lambda: clip(data, tmp_path)):
        with pytest.raises(InvalidVideo):
            read()
    assert most_held() - before < 32 * MEBIBYTE
    assert len(cut(decoder, hostile.muxed("mp4", "libx264", (48, 32), 4))) == 2, "the next video is read as ever"
    assert decoder.process is not None
    assert int(limits_of(decoder.process.pid)["Max address space"]) < SMALL.memory_bytes + 512 * MEBIBYTE


@pytest.mark.usefixtures("started")
def test_decoding_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(hostile.quicktime(b"jpeg", [hostile.encoded("JPEG", 1500, 1500)] * 1000))
    with pytest.raises(InvalidVideo, match="seconds of CPU time"):
        list(read_clip(path, 20, 100, MediaLimits(seconds=0.01)))


# Each kind by one name and each name with some kind: the process that reads the file is not told its name.
@pytest.mark.parametrize(("kind", "suffix"), zip(hostile.PLAYLISTS, cycle(SUFFIXES), strict=False))
def test_a_playlist_is_rejected_whatever_its_name(kind: str, suffix: str, tmp_path: Path) -> None:
    other = tmp_path / "other0.mp4"
    other.write_bytes(b"never opened")
    path = tmp_path / f"clip{suffix}"
    path.write_text(hostile.PLAYLISTS[kind](str(other)))
    with pytest.raises(InvalidVideo, match="going by its first bytes"):
        load_clip(path, 2)


def test_a_track_in_another_file_is_not_opened(tmp_path: Path) -> None:
    packets = [hostile.encoded("JPEG", 64, 64)] * 2
    (tmp_path / "other").write_bytes(b"".join(packets))
    honest = hostile.quicktime(b"jpeg", packets)
    assert len(clip(honest, tmp_path)) == 2
    elsewhere = f"file://{tmp_path}/other\0".encode()
    own = hostile.references(b"")
    led = honest.replace(own, hostile.references(elsewhere))
    grown = len(hostile.references(elsewhere)) - len(own)
    for name in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = led.index(name) - 4
        led = led[:at] + struct.pack(">I", struct.unpack(">I", led[at : at + 4])[0] + grown) + led[at + 4 :]
    (tmp_path / "other").unlink()
    os.mkfifo(tmp_path / "other")
    began = time.monotonic()
    # Read from itself or refused; whoever opened the pipe would wait for a writer.
    with suppress(InvalidVideo):
        clip(led, tmp_path)
    assert time.monotonic() - began < 30


def test_decoding_opens_no_port_and_makes_no_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        place = f"http://127.0.0.1:{server.getsockname()[1]}/x.mp4"
        for number, write in enumerate(hostile.PLAYLISTS.values()):
            path = tmp_path / f"{number}.mp4"
            path.write_text(write(place))
            with pytest.raises(InvalidVideo):
                load_clip(path, 2)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif"])
def test_pipes_and_devices_are_rejected_without_waiting(name: str, tmp_path: Path) -> None:
    folder, pipe, loop, gone = (tmp_path / each / name for each in ("folder", "pipe", "loop", "gone"))
    folder.mkdir(parents=True)
    for each in (pipe, loop):
        each.parent.mkdir()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path in (folder, pipe, loop, gone, Path("/dev/zero")):
        with pytest.raises(InvalidVideo, match="not a readable video"):
            load_clip(path, 2)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
def test_a_files_contents_determine_its_type_not_its_name(suffix: str, tmp_path: Path) -> None:
    frames = np.repeat(np.arange(0, 240, 20, dtype=np.uint8), 32 * 48 * 3).reshape(12, 32, 48, 3)
    write_video(tmp_path / f"a{suffix}", frames)
    for other in (".mp4", ".gif", ".avi", ".txt"):
        path = (tmp_path / f"a{suffix}").rename(tmp_path / f"b{other}")
        assert load_clip(path, 4, 2).shape == (4, 32, 48, 3)
        path.rename(tmp_path / f"a{suffix}")


def test_decoding_can_be_stopped_between_frames_and_within_one(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    asked = []

    def check() -> None:
        asked.append(time.monotonic())
        if len(asked) > 3:
            raise Stopped

    path = tmp_path / "a.mp4"
    path.write_bytes(hostile.muxed("mp4", "libx264", (480, 320), 100, preset="ultrafast"))
    frames = iter(read_clip(path, 100, 1, check=check))
    with pytest.raises(Stopped):
        list(frames)
    assert len(asked) == 4, "of a hundred frames"


@pytest.mark.usefixtures("started")
def test_the_decoding_process_has_no_secrets_and_can_open_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CINEMO_S3_SECRET_ACCESS_KEY", "not to be seen")
    path = tmp_path / "a.mp4"
    path.write_bytes(hostile.muxed("mp4", "libx264", (48, 32), 8))
    with decoder_of(path) as decoder:
        frames = decoder.first(8)
        next(frames)
        assert decoder.process is not None
        limits = limits_of(decoder.process.pid)
        about = Path(f"/proc/{decoder.process.pid}")
        assert b"not to be seen" not in (about / "environ").read_bytes()
        assert {limits[f"Max {each}"] for each in ("open files", "file size", "processes", "core file size")} == {"0"}
        # Newer versions of libffi, which ctypes loads, keep their own library open.
        opened = {each.name for each in (about / "fd").iterdir() if "libffi.so" not in each.readlink().name}
        assert opened == {"0", "1", "2", str(decoder.source)}
    assert not about.exists()


def test_a_process_that_dies_is_restarted_and_no_clip_is_lost(decoder: Decoder) -> None:
    data = hostile.muxed("mp4", "libx264", (48, 32), 4)
    before = cut(decoder, data)
    assert decoder.process is not None
    decoder.process.kill()
    decoder.process.wait()
    assert np.array_equal(cut(decoder, data), before)


def test_a_process_that_does_not_start_is_not_blamed_on_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(DecoderUnavailable):
        cut(Decoder(SMALL), b"whatever")
