"""Describes the machine and how fast it multiplies, without which times mean nothing."""

import platform
from pathlib import Path

import torch

from cinemo_core.linear import linear
from tests.bench.timing import median_seconds

CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
BFLOAT16_FEATURES = ("avx512_bf16", "amx_bf16")
SIDE = 4096


def describe(device: torch.device) -> str:
    """One line: processor, threads or GPU, versions."""
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {versions}"
    return f"{cpu_name()}, {torch.get_num_threads()} threads, {versions}"


def cpu_name() -> str:
    """Model and vector extensions, if the system reports them."""
    fields = cpu_fields()
    if not fields:
        return platform.processor() or platform.machine()
    features = [name for name in CPU_FEATURES if name in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())} ({', '.join(features) or 'no AVX2'})"


def dtypes(device: torch.device) -> list[torch.dtype]:
    """The number types that the device multiplies itself: a CPU that converts bfloat16 takes minutes for a product."""
    flags = cpu_fields().get("flags", "").split()
    if device.type == "cuda" or any(name in flags for name in BFLOAT16_FEATURES):
        return [torch.float32, torch.bfloat16]
    return [torch.float32]


def cpu_fields() -> dict[str, str]:
    """What the system reports of its first processor, by name."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return {}
    pairs = [line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a square matrix product, on the fastest device."""
    one, other = (torch.randn(SIDE, SIDE).to(device, dtype) for _ in range(2))
    seconds = min(median_seconds(lambda: one @ other), median_seconds(lambda: linear(one, other, None)))
    return 2 * SIDE**3 / seconds
