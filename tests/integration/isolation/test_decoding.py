"""Pictures that are small as files and large or slow to decode: measured first, and decoded within a budget."""

import asyncio
import io
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.api.fair_semaphore import FairSemaphore
from service.contract.problems import ImageAnimated, ImageTooComplex, ServiceBusy
from service.contract.settings import MEBIBYTE, Settings
from service.media.containers import MAX_CHUNKS
from service.media.images import decode, inspect
from service.media.jpeg import MAX_SEGMENTS
from tests.colours import P3, profile
from tests.conftest import Api, api_running
from tests.heif import heic
from tests.integration.isolation.wire import health_seconds, peak_mebibytes
from tests.integration.refusal import assert_refused
from tests.pictures import encoded, png_chunk, small_png
from tests.systems import need_linux

SETTINGS = Settings(storage_url="s3://videos")


@cache
def deep_png(width: int, height: int) -> bytes:
    """16 bits of red, green, blue and alpha, all zero: a thousandth of its size in memory."""
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + width * 8)) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def scans(count: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last, nearly empty scan is repeated so many times."""
    given = encoded(Image.new("RGB", (side, side), "teal"), "JPEG", progressive=True)
    last = given.rindex(b"\xff\xda")
    return given[:last] + given[last:-2] * count + b"\xff\xd9"


SIDE = 3000
KINDS: dict[str, tuple[str, Any, str, dict[str, Any]]] = {
    "PNG RGB": ("RGB", "teal", "PNG", {}),
    "PNG RGBA": ("RGBA", (9, 9, 9, 9), "PNG", {}),
    "PNG LA": ("LA", (9, 9), "PNG", {}),
    "PNG P": ("P", 3, "PNG", {"transparency": 3}),
    "PNG 16-bit grey": ("I;16", 3, "PNG", {}),
    "PNG bits": ("1", 0, "PNG", {}),
    "JPEG": ("RGB", "teal", "JPEG", {}),
    "JPEG CMYK": ("CMYK", 0, "JPEG", {}),
    "JPEG progressive": ("RGB", "teal", "JPEG", {"progressive": True, "subsampling": 0}),
    "JPEG progressive CMYK": ("CMYK", 0, "JPEG", {"progressive": True}),
    "WebP": ("RGB", "teal", "WEBP", {}),
    "WebP RGBA": ("RGBA", (9, 9, 9, 9), "WEBP", {}),
    "AVIF": ("RGB", "teal", "AVIF", {"speed": 10}),
    "AVIF RGBA": ("RGBA", (9, 9, 9, 9), "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
    "HEIC": ("RGB", "teal", "HEIC", {}),
    "JPEG with a profile": ("RGB", "teal", "JPEG", {"icc_profile": profile(P3)}),
    "PNG with a profile": ("RGBA", (9, 9, 9, 9), "PNG", {"icc_profile": profile(P3)}),
    "WebP lossless": ("RGBA", (9, 9, 9, 9), "WEBP", {"lossless": True}),
}
"""Mode, colour, format and options."""
MEASURE = """
import resource, sys
from service.media.images import decode, inspect
from service.contract.settings import Settings
settings = Settings(storage_url="s3://videos")
data = sys.stdin.buffer.read()
inspected = inspect(data, settings)
decode(inspect(open("small", "rb").read(), settings), settings)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode(inspected, settings)
print(inspected.decoding_bytes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("kind", [*KINDS, "PNG RGBA16"])
def test_decoding_takes_no_more_memory_than_is_reserved(kind: str, tmp_path: Any) -> None:
    need_linux("counts the most memory held in KiB")
    if kind == "PNG RGBA16":
        data = deep_png(SIDE, SIDE)
    else:
        mode, color, name, options = KINDS[kind]
        image = Image.new(mode, (SIDE, SIDE), color)
        data = heic(image) if name == "HEIC" else encoded(image, name, **options)
    (tmp_path / "small").write_bytes(small_png())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=data, capture_output=True, cwd=tmp_path, check=True, timeout=120
    )
    counted, taken = map(int, done.stdout.split())
    assert taken <= counted + 8 * MEBIBYTE


@pytest.fixture(scope="module")
def tight_api(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with memory to decode one large picture at a time."""
    changes = {"CINEMO_MAX_DECODING_BYTES": str(256 * MEBIBYTE), "CINEMO_MAX_SLOT_WAIT_SECONDS": "240"}
    with api_running(tmp_path_factory.mktemp("tight"), redis_port, changes) as api:
        yield api


def test_pictures_that_are_large_in_memory_are_decoded_one_after_another(tight_api: Api) -> None:
    bomb = deep_png(5000, 5000)
    assert len(bomb) < MEBIBYTE
    httpx.post(f"{tight_api.url}/animate", data={"prompt": "waves"}, files={"image": small_png()})
    before = peak_mebibytes(tight_api)

    def post(_: int) -> int:
        form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": bomb}}
        return httpx.post(f"{tight_api.url}/animate", timeout=280, **form).status_code

    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(post, number) for number in range(6)]
        slowest = max(health_seconds(tight_api) for _ in range(20))
        assert [each.result() for each in sent] == [202] * 6
    assert peak_mebibytes(tight_api) - before < 350
    assert slowest < 3


def test_a_request_that_waits_too_long_for_memory_gets_a_retry_after(
    redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changes = {"CINEMO_MAX_DECODING_BYTES": "1", "CINEMO_MAX_SLOT_WAIT_SECONDS": "0.01"}
    with api_running(tmp_path_factory.mktemp("short"), redis_port, changes) as api, ThreadPoolExecutor(6) as pool:
        bomb = deep_png(5000, 5000)

        def post(_: int) -> httpx.Response:
            form: dict[str, Any] = {"data": {"prompt": "waves"}, "files": {"image": bomb}}
            return httpx.post(f"{api.url}/animate", timeout=120, **form)

        answers = list(pool.map(post, range(6)))
        refused = [each for each in answers if each.status_code != 202]
        assert 1 <= len(refused) < 6
        assert {(each.status_code, each.json()["code"]) for each in refused} == {(503, "SERVICE.BUSY")}
        assert all(each.headers["retry-after"] for each in refused)


@pytest.mark.parametrize("count", [51, 1500])
@pytest.mark.parametrize("way", ["form", "upload"])
def test_a_jpeg_with_too_many_scans_is_rejected_before_decoding(api: Api, count: int, way: str) -> None:
    if way == "form":
        answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": scans(count)}, timeout=60)
        assert_refused(api, answer, 422, "#/image", "scans")
        return
    upload = httpx.post(f"{api.url}/uploads", content=scans(count)).json()["id"]
    answer = httpx.post(f"{api.url}/animate", json={"prompt": "waves", "upload_id": upload}, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (422, "INPUT.IMAGE.TOO_COMPLEX")
    assert answer.json()["errors"][0]["pointer"] == "#/upload_id"


def test_an_ordinary_progressive_jpeg_is_accepted(api: Api, photo: bytes) -> None:
    for image in (scans(1), encoded(Image.new("CMYK", (64, 64)), "JPEG", progressive=True)):
        answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": image})
        assert answer.status_code == 202, answer.text


def segments(count: int, kind: bytes = b"\xff\xfe") -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)), "JPEG")
    return plain[:2] + (kind + b"\x00\x02") * count + plain[2:]


def with_chunks(*chunks: bytes) -> bytes:
    plain = small_png()
    return plain[:33] + b"".join(chunks) + plain[33:]


def with_webp_chunks(count: int) -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)), "WEBP")
    return plain + b"JUNK\x00\x00\x00\x00" * count


COMPLEX = {
    "comments of a JPEG": segments(MAX_SEGMENTS + 1),
    "metadata of a JPEG": segments(100_000, b"\xff\xe1"),
    "profiles of a JPEG": segments(100_000, b"\xff\xe2"),
    "restart intervals": segments(100_000, b"\xff\xdd"),
    "chunks of a PNG": with_chunks(*[png_chunk(b"tEXt", b"")] * (MAX_CHUNKS + 1)),
    "empty data of a PNG": with_chunks(*[png_chunk(b"IDAT", b"")] * 100_000),
    "chunks of a WebP": with_webp_chunks(MAX_CHUNKS + 1),
}


@pytest.mark.parametrize("what", COMPLEX)
def test_files_with_too_many_parts_are_rejected_before_they_are_parsed(api: Api, what: str) -> None:
    began = time.monotonic()
    answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": COMPLEX[what]}, timeout=60)
    assert_refused(api, answer, 422, "#/image", "INPUT.IMAGE.TOO_COMPLEX")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_decompression_bombs_in_texts_and_profiles_take_no_memory(name: bytes) -> None:
    need_linux("counts the most memory held in KiB")
    body = zlib.compress(bytes(MEBIBYTE), 9)
    heads = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}
    given = with_chunks(*[png_chunk(name, heads[name] + body)] * 500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = decode(inspect(given, SETTINGS), SETTINGS)
    assert kept.data == decode(inspect(small_png(), SETTINGS), SETTINGS).data
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_frames_are_counted_without_decoding_them() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    for kind in ("WEBP", "PNG"):
        with pytest.raises(ImageAnimated):
            inspect(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), SETTINGS)


def test_a_jpeg_within_the_limits_of_scans_is_accepted() -> None:
    inspect(scans(40), SETTINGS)
    with pytest.raises(ImageTooComplex):
        inspect(scans(60), SETTINGS)


def test_tenants_share_the_semaphore_and_no_tenant_starves_another() -> None:
    async def play() -> list[str]:
        semaphore, order = FairSemaphore(4, 2, 5), []
        release = asyncio.Event()

        async def hold(name: str, tenant: str, size: int = 1) -> None:
            async with semaphore.acquire(tenant, size):
                order.append(name)
                await release.wait()

        tasks = [asyncio.ensure_future(hold(f"a{number}", "a")) for number in range(6)]
        tasks += [asyncio.ensure_future(hold(f"b{number}", "b")) for number in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held = list(order)
        release.set()
        await asyncio.gather(*tasks)
        assert (semaphore.held, dict(semaphore.held_by), semaphore.queues) == (0, {}, {})
        return held

    assert sorted(asyncio.run(play())) == ["a0", "a1", "b0", "b1"]


def test_many_small_requests_do_not_starve_a_large_one() -> None:
    async def play() -> list[str]:
        semaphore, order = FairSemaphore(4, 4, 5), []

        async def hold(name: str, tenant: str, size: int) -> None:
            async with semaphore.acquire(tenant, size):
                order.append(name)
                await asyncio.sleep(0)

        small = [hold(f"small{number}", "a", 1) for number in range(8)]
        await asyncio.gather(*small[:3], hold("large", "b", 100), *small[3:])
        return order

    assert "large" in asyncio.run(play())[:6]


def test_a_wait_that_times_out_or_is_canceled_holds_nothing() -> None:
    async def play() -> FairSemaphore:
        semaphore = FairSemaphore(1, 1, 0.01)
        async with semaphore.acquire("a"):
            for tenant in ("a", "b"):
                with pytest.raises(ServiceBusy):
                    async with semaphore.acquire(tenant):
                        raise AssertionError("it is held by another")
            waiting = asyncio.ensure_future(semaphore.acquire("b").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        return semaphore

    semaphore = asyncio.run(play())
    assert (semaphore.held, dict(semaphore.held_by), semaphore.queues) == (0, {}, {})


def test_decoding_in_bands_gives_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 40, 4), np.uint8)
    given = Image.fromarray(pixels)
    kept = Image.open(io.BytesIO(decode(inspect(encoded(given), SETTINGS), SETTINGS).data))
    expected = Image.alpha_composite(Image.new("RGBA", given.size, "white"), given).convert("RGB")
    assert np.array_equal(np.asarray(kept), np.asarray(expected))
