"""Describes the machine and how fast it multiplies, without which times mean nothing."""

import platform
from pathlib import Path

import torch

from cinemo_core.linear import linear
from tests.bench.timing import median_seconds

CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
SIDE = 4096


def describe(device: torch.device) -> str:
    """One line: processor, threads or GPU, versions."""
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {versions}"
    return f"{cpu_name()}, {torch.get_num_threads()} threads, {versions}"


def cpu_name() -> str:
    """Model and vector extensions, if the system reports them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = fields.get("flags", "").split()
    return f"{fields.get('model name', platform.machine())} ({', '.join(set(CPU_FEATURES) & set(flags)) or 'no AVX2'})"


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a square matrix product, on the fastest device."""
    one, other = (torch.randn(SIDE, SIDE).to(device, dtype) for _ in range(2))
    seconds = min(median_seconds(lambda: one @ other), median_seconds(lambda: linear(one, other, None)))
    return 2 * SIDE**3 / seconds
