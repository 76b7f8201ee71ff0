"""Measures time and memory of swapping adapters of the built-in model. Writes its part of docs/adapters.md."""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from cinemo_core import CinemoPipeline
from deploy.markers import replace_section
from tests.adapters import random_adapter
from tests.bench.machine import cpu_name
from worker.memory import resident_bytes

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
BEGIN, END = "<!-- written by `python -m tests.bench.adapters` -->", "<!-- until here -->"
RANKS = (4, 16)
RUNS, MODELS = 21, 10


def main() -> None:
    """Measure each rank and write the table."""
    torch.set_num_threads(1)
    base = CinemoPipeline.from_pretrained("tiny")
    weights = sum(value.nbytes for value in base.unet.state_dict().values())
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(base, rank, Path(folder)) for rank in RANKS]
        adapters = [random_adapter(Path(folder, str(seed)), seed=seed, r=RANKS[-1]) for seed in range(MODELS)]
        shared = more_memory(lambda: [base.with_adapters([(each, 1.0)]) for each in adapters])
        whole = more_memory(lambda: [CinemoPipeline.from_pretrained(each) for each in adapters])
    summary = (
        f"The built-in model, whose UNet takes {weights / 1e6:.1f} MB in float32. Milliseconds of one core,\n"
        f"{cpu_name()}; medians of {RUNS} rounds in one run."
    )
    names = (
        "adapter",
        "in memory, MB",
        "kept of the base while merged, MB",
        "base to adapter, ms",
        "adapter to adapter, ms",
        "back to base, ms",
        "loading the base instead, ms",
    )
    head = f"| {' | '.join(names)} |\n|{' --- |' * len(names)}"
    memory = (
        f"{MODELS} adapters of rank {RANKS[-1]} over one base added {shared / 1e6:.0f} MB to a process's memory;\n"
        f"as {MODELS} full models, they added {whole / 1e6:.0f} MB."
    )
    PAGE.write_text(
        replace_section(PAGE.read_text(), BEGIN, END, "\n".join(["", summary, "", head, *rows, "", memory, ""]))
    )


def row(base: CinemoPipeline, rank: int, folder: Path) -> str:
    """A line of the table."""
    one, other = (
        base.with_adapters([(random_adapter(folder / f"{rank}-{seed}", seed=seed, r=rank), 1.0)]) for seed in (0, 1)
    )
    rivals: dict[str, Callable[[], object]] = {
        # In this order: each swap starts from what the one before left.
        "base to adapter": one.adapted_unet,
        "adapter to adapter": other.adapted_unet,
        "back to base": base.adapted_unet,
        "load": lambda: CinemoPipeline.from_pretrained("tiny"),
    }
    rounds = [{name: cpu_milliseconds(action) for name, action in rivals.items()} for _ in range(RUNS)]
    times = [statistics.median(each[name] for each in rounds) for name in rivals]
    one.adapted_unet()
    sizes = [one.adapters[0][0].bytes, base.unet.merged.bytes]
    base.adapted_unet()
    cells = [f"rank {rank}", *(f"{size / 1e6:.1f}" for size in sizes)]
    return f"| {' | '.join([*cells, *(f'{each:.0f}' for each in times)])} |"


def more_memory(load: Callable[[], list[CinemoPipeline]]) -> int:
    """Resident bytes that pipelines add once each is ready to run with its weights read."""
    gc.collect()
    before = resident_bytes()
    pipes = load()
    for pipe in pipes:
        for value in pipe.adapted_unet().parameters():
            value.sum()
    gc.collect()
    return resident_bytes() - before


def cpu_milliseconds(action: Callable[[], object]) -> float:
    """CPU time of an action, which other load on the machine affects less than elapsed time."""
    began = time.process_time()
    action()
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    main()
