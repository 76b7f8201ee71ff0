"""Half precision, offloading, and running out of memory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core import CinemoPipeline
from cinemo_core.training.sources import photo_path
from tests.systems import need_linux

STARVED = f"""
import resource
from PIL import Image
from cinemo_core import CinemoPipeline, OutOfMemory

pipe = CinemoPipeline.from_pretrained("tiny")
photo = Image.open({str(photo_path("coffee.png"))!r})
pipe(photo, "pan left", num_inference_steps=1, detail="off")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    pipe(photo, "pan left", num_inference_steps=1, detail="off", width=2048, height=2048)
except OutOfMemory as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_frames(
    tiny: CinemoPipeline, coffee: Image.Image, dtype: torch.dtype
) -> None:
    half = CinemoPipeline.from_pretrained("tiny", torch_dtype=dtype)
    half.set_progress_bar_config(disable=True)
    assert half.unet.dtype == half.vae.dtype == half.text_encoder.dtype == dtype
    exact, close = (
        pipe(coffee, "pan left", num_inference_steps=4, width=72, height=48, detail="off") for pipe in (tiny, half)
    )
    assert peak_signal_noise_ratio(exact, close) > 30


@pytest.fixture
def offloaded() -> Iterator[CinemoPipeline]:
    """Components take turns on an accelerator; without one, the CPU stands in."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)
    pipe.enable_model_cpu_offload(device="cuda" if torch.cuda.is_available() else "cpu")
    yield pipe
    pipe.remove_all_hooks()


def test_with_offloading_only_one_part_is_on_the_device_and_the_frames_are_the_same(
    tiny: CinemoPipeline, offloaded: CinemoPipeline, coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: set[str] = set()
    worked: list[str] = []

    def noted(name: str, bring: Callable[..., Any]) -> Callable[..., Any]:
        def brought(*arguments: Any, **named: Any) -> Any:
            given = bring(*arguments, **named)
            there.add(name)
            worked.append(name)
            assert there == {name}, "the others were sent away"
            return given

        return brought

    def leaving(name: str, send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(*arguments: Any) -> Any:
            there.discard(name)
            return send(*arguments)

        return sent

    for name in ("text_encoder", "unet", "vae"):
        hook = getattr(offloaded, name)._hf_hook
        monkeypatch.setattr(hook, "pre_forward", noted(name, hook.pre_forward))
        monkeypatch.setattr(hook, "init_hook", leaving(name, hook.init_hook))
    small: dict[str, Any] = {"num_inference_steps": 2, "detail": "off", "width": 96, "height": 64}
    frames, expected = (pipe(coffee, "pan left", **small).astype(int) for pipe in (offloaded, tiny))
    assert np.abs(frames - expected).max() <= 1
    assert [name for name, _ in groupby(worked)] == ["text_encoder", "vae", "unet", "vae"]


def test_an_interrupted_run_offloads_its_parts(
    offloaded: CinemoPipeline, coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(offloaded, "maybe_free_model_hooks", lambda: ended.append(True))

    def stop(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        offloaded(coffee, "pan left", num_inference_steps=2, detail="off", callback_on_step_end=stop)
    assert ended == [True]


def test_an_out_of_memory_error_says_what_to_reduce() -> None:
    need_linux("limits a process's memory")
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("MODEL.OUT_OF_MEMORY out of memory: lower width, height"), done.stderr
