"""A day's jobs in minutes: how much memory Redis, the API and the workers use afterwards."""

import time

import psutil

from service.contract.record import DEFAULT_TENANT
from service.storage import LocalStore
from service.store.connections import section
from service.store.keys import REMOVALS, UNLISTED, index_key
from tests.faults.case import Case, Run
from tests.faults.clients import PHOTO
from tests.faults.orders import INPUT_KEY, Orders
from tests.faults.rig import Rig
from tests.processes import wait_until

CHURNERS = 2
MEBIBYTE = 1024 * 1024
GROWTH_BYTES = {"redis": 4 * MEBIBYTE, "api": 24 * MEBIBYTE, "worker": 24 * MEBIBYTE}
"""What may be added between a tenth of the day and its end: allocators round up, caches fill."""


def a_days_jobs(run: Run) -> str:
    """Most jobs without a model, and every hundredth through the API and a worker."""
    kept_seconds = {"CINEMO_JOB_RETENTION_SECONDS": "60", "CINEMO_OUTPUT_RETENTION_SECONDS": "60"}
    with run.rig(CINEMO_LOG_LEVEL="warning", **kept_seconds) as rig:
        rig.start_api()
        rig.start_workers(1)
        LocalStore(rig.folder / "storage", "http://unused", "unused").put_bytes(INPUT_KEY, PHOTO, "image/jpeg")
        whole = run.count(100_000)
        churn(rig, whole // 10, first=0)
        before = memory(rig)
        began = time.monotonic()
        churn(rig, whole - whole // 10, first=1)
        seconds = time.monotonic() - began
        after = memory(rig)
        grown = {name: after[name] - before[name] for name in before}
        for name, most in GROWTH_BYTES.items():
            assert grown[name] <= most, f"{name} grew by {grown[name] / MEBIBYTE:.1f} MiB: {before} then {after}"
        summary = ", ".join(
            f"{name} {after[name] / MEBIBYTE:.1f} MiB ({grown[name] / MEBIBYTE:+.1f})" for name in before
        )
        return f"{whole} jobs, {whole * 0.9 / seconds:.0f} a second; after retention: {summary}"


def churn(rig: Rig, count: int, first: int) -> None:
    """Create, run and expire so many jobs."""
    through_api = count // 100
    each_makes = str((count - through_api) // CHURNERS)
    churners = [rig.part(f"churn-{first}-{n}", "tests.faults.churn", [each_makes], {}) for n in range(CHURNERS)]
    for each in churners:
        each.start()
    load = rig.load()
    load.send([Orders(number=first * 1_000_000 + number) for number in range(through_api)])
    load.wait()
    wait_until(lambda: not any(each.alive for each in churners), 1800, "the end of the churn")
    for each in churners:
        assert "Traceback" not in each.log.read_text(), each.log.read_text()[-2000:]
    # A job that did not end would stay in these for ever.
    places = (index_key(DEFAULT_TENANT), REMOVALS, UNLISTED)
    wait_until(lambda: not any(rig.client.zcard(place) for place in places), 900, "the last job being forgotten")


def memory(rig: Rig) -> dict[str, int]:
    """Bytes in use: Redis' allocated memory, other processes' resident memory."""
    used = int(section(rig.client, "memory")["used_memory"])
    return {"redis": used, "api": resident(rig.apis[0].pid), "worker": resident(rig.workers[0].pid)}


def resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


CASES = (Case("day", "100 000 jobs, kept for seconds", a_days_jobs),)
