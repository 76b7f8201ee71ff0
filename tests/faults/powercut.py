"""A power cut that loses Redis' last second of appends: what it costs, and what it doesn't."""

import os
import time
from itertools import count
from pathlib import Path

from tests.faults.case import Case, Run
from tests.faults.clients import Accepted
from tests.faults.orders import Orders
from tests.faults.promises import check_job, nothing_is_left
from tests.faults.rig import Rig
from tests.faults.storms import every
from tests.processes import wait_until

LOST_SECONDS = 1.0
CUTS = 3
PACE_SECONDS = 0.15


def last_second_lost(run: Run) -> str:
    """Redis killed and restarted on its file of a second ago, as `appendfsync everysec` may leave it."""
    with run.rig() as rig:
        rig.start_api()
        rig.start_workers(3)
        sizes: list[tuple[float, int]] = []
        load = rig.load()
        watch = every(0.1, lambda: sizes.append((time.monotonic(), append_only_file(rig).stat().st_size)))
        with watch, every(4, lambda: cut_power(rig, sizes), CUTS) as cuts:
            for number in count():
                load.send([Orders(number=number, seconds=0.2)])
                if len(cuts) == CUTS:
                    break
                time.sleep(PACE_SECONDS)
            accepted = load.wait()
        known = {number: job_id for number, job_id in accepted.ids.items() if rig.jobs.queries.get(job_id)}
        wait_for_all(rig, known)
        nothing_is_left(rig)
        lost = set(accepted.ids) - set(known)
        again = Accepted()
        resend = rig.load()
        resend.accepted = again
        resend.send([Orders(number=number, seconds=0.2) for number in sorted(lost)])
        resend.wait()
        wait_for_all(rig, again.ids)
        summary = f"{len(known)} jobs ended once, {len(lost)} of {len(accepted.ids)} accepted ones were unknown"
        return f"{summary} and got a job by their key when they were sent again"


def cut_power(rig: Rig, sizes: list[tuple[float, int]]) -> None:
    """Kill Redis, and truncate its file by what was appended in the last second."""
    rig.kill_redis()
    before = time.monotonic() - LOST_SECONDS
    os.truncate(append_only_file(rig), max((size for at, size in sizes if at <= before), default=0))
    sizes.clear()
    rig.start_redis()


def append_only_file(rig: Rig) -> Path:
    """The file that grows; newer Redis have it in a folder beside one that doesn't."""
    return max((rig.folder / "redis").rglob("*.aof"), key=lambda path: path.stat().st_mtime)


def wait_for_all(rig: Rig, ids: dict[int, str]) -> None:
    wait_until(
        lambda: all((job := rig.jobs.queries.get(each)) and job.ended for each in ids.values()), 200, "the last end"
    )
    for job_id in ids.values():
        job = rig.jobs.queries.get(job_id)
        assert job
        check_job(rig, job)


CASES = (Case("second", "Redis loses its last second, 3 times, while jobs come", last_second_lost),)
