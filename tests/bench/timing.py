"""Medians of several runs. Candidates alternate, so that a slow phase of the machine affects them all."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

RUNS = 5


def seconds_of(action: Callable[[], object]) -> float:
    """Duration of one run, to the end of the GPU's work."""
    synchronize()
    started = time.perf_counter()
    action()
    synchronize()
    return time.perf_counter() - started


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def median_seconds(action: Callable[[], object], runs: int = RUNS) -> float:
    """Median of several runs after a warm-up."""
    return medians({"": action}, runs)[""]


def medians(rivals: Mapping[str, Callable[[], object]], runs: int = RUNS, warm_up: bool = True) -> dict[str, float]:
    """Median seconds of each candidate, run alternately."""
    if warm_up:
        for action in rivals.values():
            action()
    rounds = [{name: seconds_of(action) for name, action in rivals.items()} for _ in range(runs)]
    return {name: statistics.median(each[name] for each in rounds) for name in rivals}
