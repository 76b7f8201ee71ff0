"""The guarantees that must hold after any fault."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import cast

import httpx

from service.contract.problems import QueueUnavailable
from service.contract.record import DEFAULT_TENANT, Event, Job, JobOutput
from service.contract.states import ENDED, JobStatus
from service.contract.usage import Period
from service.store.keys import LEASES, WAKEUPS, index_key, job_key, queue_prefix, running_prefix
from tests.faults.clients import Accepted
from tests.faults.rig import LEASE_SECONDS, Rig
from tests.processes import wait_until

FINAL = {f"job.{status}" for status in ENDED}


@dataclass(frozen=True)
class Kept:
    """The results of a case's jobs."""

    jobs: dict[int, Job]
    runs: dict[int, int]

    @property
    def outcomes(self) -> Counter[str]:
        """Jobs by final status, failures by code."""
        return Counter(job.error.code if job.error else str(job.status) for job in self.jobs.values())

    @property
    def repeats(self) -> int:
        """Runs of the model beyond the first of each job."""
        return sum(self.runs.values()) - len(self.runs)

    def __str__(self) -> str:
        summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return f"{summary}; 0 lost, 0 second results; {self.repeats} model runs repeated"


@dataclass(frozen=True)
class Span:
    """An attempt: its start and end in milliseconds on Redis' clock, and how long it used its device."""

    began: int
    ended: int
    device_ms: int


def all_end(rig: Rig, accepted: Accepted, seconds: float, strangers: bool = False) -> Kept:
    """Wait until every accepted job has ended, then check all guarantees.

    `strangers` are jobs that no client was told of, as those that send no key leave behind when Redis is away.

    Raises:
        AssertionError: one was not.
    """
    left = set(accepted.ids.values())

    def ended() -> bool:
        try:
            left.difference_update({job_id for job_id in left if require(rig, job_id).ended})
        except QueueUnavailable:
            return False
        return not left

    wait_until(ended, seconds, f"the end of {len(left)} jobs")
    jobs = {number: require(rig, job_id) for number, job_id in accepted.ids.items()}
    assert len(set(accepted.ids.values())) == len(accepted.ids), "two requests were given one job"
    # Only bytes are ever in it.
    known = {each.decode() for each in cast(list[bytes], rig.client.zrange(index_key(DEFAULT_TENANT), 0, -1))}
    assert known >= set(accepted.ids.values()), "a job was accepted that is not in the list of jobs"
    assert strangers or len(known) == len(accepted.ids), "there are jobs that no client was told of"
    for job in jobs.values():
        check_job(rig, job)
    nothing_is_left(rig)
    usage_adds_up(rig, [require(rig, job_id) for job_id in known])
    return Kept(jobs, rig.runs())


def require(rig: Rig, job_id: str) -> Job:
    job = rig.jobs.queries.get(job_id)
    assert job is not None, f"{job_id} was accepted, and is lost"
    return job


def check_job(rig: Rig, job: Job) -> None:
    """One final state, reported once; one existing result, of the attempt that held the job."""
    said = [event.type for event in rig.jobs.queries.events(job.id) if event.type in FINAL]
    assert said == [f"job.{job.status}"], f"{job.id} has ended as {said}"
    assert (job.output is not None) == (job.status is JobStatus.SUCCEEDED)
    assert (job.error is not None) == (job.status is JobStatus.FAILED)
    if isinstance(job.output, JobOutput):
        for file in (job.output.video, job.output.poster, job.output.manifest):
            assert file.key.startswith(f"jobs/{job.id}/{job.attempt}/")


def nothing_is_left(rig: Rig) -> None:
    """All queues and leases are empty, once the processes have noticed."""

    def places() -> dict[str, int]:
        names = [LEASES, WAKEUPS, queue_prefix("animate") + DEFAULT_TENANT]
        taken = {name: int(rig.client.zcard(name)) for name in names}
        running = running_prefix("animate") + DEFAULT_TENANT
        return {**taken, running: int(rig.client.scard(running))}

    wait_until(lambda: not any(places().values()), 30, f"no place being taken any more, but {places()}")


def usage_adds_up(rig: Rig, jobs: list[Job]) -> None:
    """The usage is the sum over all attempts, and no two jobs pay for the same moment of a worker's device."""
    used = [device_ms for job in jobs for device_ms in attempts_of(rig, job)]
    today = rig.jobs.usage.today()
    period = Period(today - timedelta(days=1), today, today)
    counted = sum((each.amounts for each in rig.jobs.usage.of(period)), Counter[str]())
    assert (counted["attempts"], counted["device_ms"]) == (len(used), sum(used))
    assert counted["device_ms"] == sum(job.device_ms for job in jobs)
    ends = {status: counted[status] for status in ENDED if counted[status]}
    assert ends == Counter(job.status for job in jobs)
    devices_are_paid_once(rig, jobs)


def attempts_of(rig: Rig, job: Job) -> list[int]:
    """Milliseconds of each attempt, by its last event: until it left its device, ended, or last renewed its lease."""
    spans = spans_of(rig, job)
    assert len(spans) == job.attempt
    for span in spans:
        assert -1 <= span.device_ms <= span.ended - span.began + 1, "more than the whole attempt"
    last = spans[-1]
    # It may have begun to count only after waiting for another job.
    taken, left = cast(list[bytes | None], rig.client.hmget(job_key(job.id), "taken_ms", "left_ms"))
    missing = (int(left) if left else last.ended) - int(taken or 0) - last.device_ms
    assert abs(missing) <= 1 or (not left and missing >= LEASE_SECONDS * 1000), "neither whole nor up to a heartbeat"
    return [span.device_ms for span in spans]


def spans_of(rig: Rig, job: Job) -> list[Span]:
    """A job's attempts, in order."""
    events = rig.jobs.queries.events(job.id)
    begun = [milliseconds_of(event) for event in events if event.type == "job.running"]
    ended = [event for event in events if "device_ms" in event.data]
    return [
        Span(began, milliseconds_of(event), cast(int, event.data["device_ms"]))
        for began, event in zip(begun, ended, strict=True)
    ]


def devices_are_paid_once(rig: Rig, jobs: list[Job]) -> None:
    """The last attempts of jobs, whose workers are known, had their devices one after the other."""
    by_worker = defaultdict[str | None, list[Span]](list)
    for job in jobs:
        by_worker[job.worker] += spans_of(rig, job)[-1:]
    for spans in by_worker.values():
        spans.sort(key=lambda span: span.began)
        for one, other in pairwise(spans):
            assert one.began + one.device_ms <= other.began + 1, "two jobs pay for the same moment"


def milliseconds_of(event: Event) -> int:
    return int(event.id.partition("-")[0])


def results_can_be_had(rig: Rig, accepted: Accepted, numbers: list[int]) -> None:
    """The API delivers these jobs' videos intact."""
    for number in numbers:
        view = httpx.get(f"{rig.urls[0]}/jobs/{accepted.ids[number]}", timeout=30).raise_for_status().json()
        if view["status"] == "succeeded":
            video = view["output"]["video"]
            assert len(httpx.get(video["url"], timeout=30).raise_for_status().content) == video["bytes"]
