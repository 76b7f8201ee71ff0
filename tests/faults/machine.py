"""Jobs in a real Redis beside a model that predicts the outcome of every action.

The model knows nothing of the scripts; it says only which of the writes hold, and what a job is after them.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from service.contract.deliveries import Attempt
from service.contract.failures import INTERNAL, WORKER_LOST
from service.contract.record import DEFAULT_TENANT, Job, JobMetrics, JobOutput, Progress, StoredFile, StoredVideo
from service.contract.requests import FINAL_EVENTS, AnimateRequest, JobOptions
from service.contract.states import ENDED, JobStatus
from service.contract.usage import Period
from service.store.keys import (
    DEADLINES,
    EVENTS,
    JOB,
    LEASES,
    NAMESPACE,
    REMOVALS,
    WAKEUPS,
    WEBHOOK_NAMES,
    model_users_key,
    queue_prefix,
    running_prefix,
    tenant_key,
    tenants_key,
)
from service.store.transitions import Change
from service.webhooks.outbox import Outbox, Outcome
from tests.jobs import TIMINGS, JobStore

Write = Literal["progress", "succeed", "fail", "release", "lose"]
HELD = (JobStatus.RUNNING, JobStatus.CANCELING)
AFTER: dict[tuple[JobStatus, Write], JobStatus] = {
    (JobStatus.RUNNING, "progress"): JobStatus.RUNNING,
    (JobStatus.RUNNING, "succeed"): JobStatus.SUCCEEDED,
    (JobStatus.RUNNING, "fail"): JobStatus.FAILED,
    (JobStatus.RUNNING, "release"): JobStatus.QUEUED,
    (JobStatus.RUNNING, "lose"): JobStatus.QUEUED,
    (JobStatus.CANCELING, "succeed"): JobStatus.CANCELED,
    (JobStatus.CANCELING, "fail"): JobStatus.CANCELED,
    (JobStatus.CANCELING, "release"): JobStatus.CANCELED,
    (JobStatus.CANCELING, "lose"): JobStatus.CANCELED,
}
"""What a write by the attempt that holds a job makes of it; any other write changes nothing."""

NARROW = "narrow"
"""A tenant of which one job may run at a time."""
LEFT_OVER = (
    "jobs:index:",
    "jobs:removals",
    "webhooks:tenant:",
    "virtual-time:",
    "tenant:",
    "counters",
    "usage:",
    "used:",
)
"""What stands when all jobs have ended and their records are gone: their places in the index and in what the tenant
is counted for, which the sweeper drops as it removes their data, and what there is by tenant and kind of job."""
OPTIONS = JobOptions(webhook_url="https://example.com/hook", webhook_events=("job.running", *FINAL_EVENTS))
LOST = WORKER_LOST.error("")
LONG_SECONDS = 1_000_000
"""After which every delivery is due again, and whoever claimed one before has given it up."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Expected:
    """The model's view of a job; `record` is its final record."""

    job: Job
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    losses: int = 0
    lapsed: bool = False
    overdue: bool = False
    record: Job | None = None


@dataclass
class World:
    """Some jobs, their attempts, and the store that holds them."""

    client: Any
    """Of Redis; its types would say that any answer may be any."""
    max_losses: int = 3
    expected: dict[str, Expected] = field(default_factory=dict)
    attempts: list[Job] = field(default_factory=list)
    delivered: dict[str, list[str]] = field(default_factory=dict)
    """What a receiver has confirmed of a job, in the order in which it heard of it."""

    def __post_init__(self) -> None:
        # Leases and hints lapse only where an action says so.
        self.store = JobStore(self.client, replace(TIMINGS, lease=3600, wakeup=3600), self.max_losses)
        self.seconds_on = 0
        self.outbox = Outbox(self.client, lambda: float(self.client.time()[0]) + self.seconds_on)

    def begin(self) -> None:
        """Empty Redis and create the tenants."""
        self.client.flushall()
        self.client.hset(tenant_key(NARROW), mapping={"name": NARROW, "weight": 1, "max_running": 1})

    def create(self, tenant: str = DEFAULT_TENANT, seconds_ago: int = 0) -> None:
        number = len(self.expected)
        request = AnimateRequest(prompt="p", seed=number, num_inference_steps=1, guidance_scale=1, model="tiny")
        # No two jobs of one instant, whose order would be open.
        created_at = EPOCH - timedelta(seconds=seconds_ago) + timedelta(milliseconds=number)
        about: Any = {"created_at": created_at, "input_key": "i", "request": request, "options": OPTIONS}
        job = Job(id=f"job_{number}", tenant=tenant, **about)
        self.store.submissions.create(job)
        self.expected[job.id] = Expected(job)

    def create_again(self, job_id: str) -> None:
        """A request whose response was lost is repeated."""
        self.store.submissions.create(self.expected[job_id].job)

    def take(self, worker: str) -> Job | None:
        """A message arrives, the first, a duplicate or a stale one: all have the same effect."""
        job = self.store.attempts.dequeue("animate", worker)
        self.expire_passed_over()
        if job is None:
            waiting = {each.job.tenant for each in self.those(JobStatus.QUEUED)}
            assert waiting <= {NARROW}, "a job waits and was not given out"
            assert not waiting or self.running(NARROW) == 1
            return None
        known = self.expected[job.id]
        assert known.job == self.line(known.job.tenant)[0], "not the first of its line"
        assert known.job.tenant != NARROW or self.running(NARROW) == 0
        assert not known.overdue, "its deadline has passed"
        assert (job.status, job.attempt) == (JobStatus.RUNNING, known.attempt + 1)
        self.expected[job.id] = replace(known, status=JobStatus.RUNNING, attempt=job.attempt, lapsed=False)
        self.attempts.append(job)
        return job

    def expire_passed_over(self) -> None:
        """Whoever dequeues a job expires those before it whose deadline has passed."""
        for known in self.those(JobStatus.QUEUED):
            record = self.store.queries.get(known.job.id)
            if known.overdue and record and record.status is JobStatus.EXPIRED:
                self.expected[known.job.id] = replace(known, status=JobStatus.EXPIRED)

    def write(self, attempt: Job, what: Write) -> None:
        """An attempt reports progress or its outcome, whether or not it still holds the job."""
        known = self.expected[attempt.id]
        after = AFTER.get((known.status, what)) if attempt.attempt == known.attempt else None
        lost = what == "lose" and after is JobStatus.QUEUED
        losses = known.losses + lost
        if lost and losses == self.max_losses:
            after = JobStatus.FAILED
        change = self.carry_out(attempt, what)
        assert change == Change(after is not None, after or known.status), f"{what} of attempt {attempt.attempt}"
        if after:
            lapsed = known.lapsed and after in HELD and after is not JobStatus.RUNNING
            self.expected[attempt.id] = replace(known, status=after, lapsed=lapsed, losses=losses)

    def carry_out(self, attempt: Job, what: Write) -> Change:
        match what:
            case "progress":
                return self.store.attempts.report_progress(attempt, Progress(step=1, steps=1, fraction=1, message=""))
            case "succeed":
                return self.store.attempts.succeed(attempt, output_of(attempt), JobMetrics())
            case "fail":
                return self.store.attempts.fail(attempt, INTERNAL.error(""))
            case "release":
                return self.store.attempts.release(attempt)
            case "lose":
                return self.store.attempts.lose(attempt, LOST)

    def renew(self, attempt: Job) -> None:
        known = self.expected[attempt.id]
        held = attempt.attempt == known.attempt and known.status in HELD
        assert self.store.attempts.renew(attempt) == (known.status if held else None)
        if held:
            self.expected[attempt.id] = replace(known, lapsed=False)

    def leave_device(self, attempt: Job) -> None:
        """An attempt has no more use for its device, and may have said so before."""
        known = self.expected[attempt.id]
        held = attempt.attempt == known.attempt and known.status in HELD
        assert self.store.attempts.leave_device(attempt) == (known.status if held else None)

    def return_to_device(self, attempt: Job) -> None:
        """An attempt uses its device again, and may never have left it."""
        known = self.expected[attempt.id]
        held = attempt.attempt == known.attempt and known.status in HELD
        assert self.store.attempts.return_to_device(attempt) == (known.status if held else None)

    def cancel(self, job_id: str) -> None:
        known = self.expected[job_id]
        after = {JobStatus.QUEUED: JobStatus.CANCELED, JobStatus.RUNNING: JobStatus.CANCELING}
        happens = known.status not in ENDED
        status = after.get(known.status, known.status)
        assert self.store.cancel(known.job) == Change(happens, status)
        self.expected[job_id] = replace(known, status=status)

    def lapse(self, job_id: str) -> None:
        """Enough time passes for the lease to lapse."""
        if self.expected[job_id].status in HELD:
            self.client.zadd(LEASES, {job_id: 1})
            self.expected[job_id] = replace(self.expected[job_id], lapsed=True)

    def miss_deadline(self, job_id: str) -> None:
        """Enough time passes for a job's deadline to pass."""
        if self.expected[job_id].status in (JobStatus.QUEUED, JobStatus.RUNNING):
            self.client.hset(JOB + job_id, "deadline_ms", 1)
            self.client.zadd(DEADLINES, {job_id: 1})
            self.expected[job_id] = replace(self.expected[job_id], overdue=True)

    def expire_all(self) -> None:
        """The elected reaper handles passed deadlines."""
        open_jobs = self.those(JobStatus.QUEUED, JobStatus.RUNNING)
        assert set(self.store.recovery.past_deadline()) == {each.job.id for each in open_jobs if each.overdue}
        for known in [each for each in open_jobs if each.overdue]:
            waits = known.status is JobStatus.QUEUED
            after = JobStatus.EXPIRED if waits else JobStatus.CANCELING
            assert self.store.recovery.expire(known.job.id) == Change(True, after)
            self.expected[known.job.id] = replace(known, status=after)

    def reap(self, job_id: str) -> None:
        """A reaper handles a job, rightly or by mistake."""
        known = self.expected[job_id]
        change = self.store.recovery.reap(job_id)
        if known.status in ENDED:
            assert change is None
        elif not known.lapsed:
            assert change == Change(False, known.status), "nothing was to be reaped"
        else:
            after = JobStatus.QUEUED if known.losses + 1 < self.max_losses else JobStatus.FAILED
            after = JobStatus.CANCELED if known.status is JobStatus.CANCELING else after
            # A job that was canceled keeps no count of what went wrong.
            losses = known.losses + (after is not JobStatus.CANCELED)
            assert change == Change(True, after)
            self.expected[job_id] = replace(known, status=after, losses=losses, lapsed=False)

    def reap_all(self) -> None:
        """The elected reaper's round."""
        lapsed = self.store.recovery.lapsed()
        assert set(lapsed) == {each.job.id for each in self.expected.values() if each.lapsed}
        for job_id in lapsed:
            self.reap(job_id)

    def remind(self) -> None:
        """Enough time passes for workers to be notified again of exactly the queued jobs."""
        for job_id in self.client.zrange(WAKEUPS, 0, -1):
            self.client.zadd(WAKEUPS, {job_id: 1})
        notified = [job_id for job_id, _ in self.store.recovery.due_wakeups()]
        assert sorted(notified) == sorted(each.job.id for each in self.those(JobStatus.QUEUED))
        assert self.store.recovery.due_wakeups() == []

    def deliver(self, outcome: Outcome | None) -> None:
        """Enough time passes for all webhooks to be due; a sender claims some and records results, or dies."""
        self.seconds_on += LONG_SECONDS
        for delivery in self.outbox.claim(4):
            known = self.delivered.setdefault(delivery.job, [])
            assert delivery.type not in known, "told of again though it was confirmed"
            assert delivery.type == "job.running" or known or not self.notified(delivery.job)[1:], (
                "told of in another order"
            )
            if outcome:
                at = datetime.fromtimestamp(self.outbox.now(), UTC)
                error = None if outcome is Outcome.DELIVERED else "answered 500"
                attempt = Attempt(at=at, status=None, latency_ms=1, error=error)
                self.outbox.record(delivery, attempt, outcome, retry_seconds=5)
            if outcome is Outcome.DELIVERED:
                known.append(delivery.type)

    def notified(self, job_id: str) -> list[str]:
        """The states of a job for which a webhook was written."""
        ids = [delivery_id.decode() for delivery_id in self.client.lrange(WEBHOOK_NAMES["of_job"] + job_id, 0, -1)]
        return [self.client.hget(WEBHOOK_NAMES["delivery"] + delivery_id, "type").decode() for delivery_id in ids]

    def those(self, *states: JobStatus) -> list[Expected]:
        return [each for each in self.expected.values() if each.status in states]

    def running(self, tenant: str) -> int:
        return sum(each.job.tenant == tenant for each in self.those(*HELD))

    def line(self, tenant: str) -> list[Job]:
        waiting = [each.job for each in self.those(JobStatus.QUEUED) if each.job.tenant == tenant]
        return sorted(waiting, key=lambda job: job.created_at)

    def check(self) -> None:
        """Every job is in exactly the state that the model predicts, and ended ones never change."""
        held = {each.job.id for each in self.those(*HELD)}
        assert self.members(LEASES) == held
        assert self.members(WAKEUPS) == {each.job.id for each in self.those(JobStatus.QUEUED)}
        tenants = {each.job.tenant for each in self.expected.values()}
        for tenant in tenants:
            line = [job.id for job in self.line(tenant)]
            assert [job_id.decode() for job_id in self.client.zrange(queue_prefix("animate") + tenant, 0, -1)] == line
            running = {job_id.decode() for job_id in self.client.smembers(running_prefix("animate") + tenant)}
            assert running == {job_id for job_id in held if self.expected[job_id].job.tenant == tenant}
            assert not line or tenant in self.members(tenants_key("animate")), "a line that nobody looks at"
            users = {job_id.decode() for job_id in self.client.smembers(model_users_key(tenant, "tiny"))}
            open_jobs = {each.job.id for each in self.expected.values() if each.status not in ENDED}
            assert users == {job_id for job_id in open_jobs if self.expected[job_id].job.tenant == tenant}
        for job_id in self.expected:
            self.check_record(job_id)
        self.check_usage()

    def check_usage(self) -> None:
        """The usage is the sum of all attempts that ended, and of all jobs."""
        counted, notified = Counter[str](), Counter[str]()
        today = self.store.usage.today()
        for used in self.store.usage.of(Period(today - timedelta(days=1), today, today)):
            counted += used.amounts
        for job_id, known in self.expected.items():
            record = self.store.queries.get(job_id)
            assert record is not None
            notified["attempts"] += known.attempt - (known.status in HELD)
            notified["device_ms"] += record.device_ms
            notified[known.status] += known.status in ENDED
            if isinstance(record.output, JobOutput):
                notified["output_ms"] += 125
                notified["output_bytes"] += 3
        assert counted == +notified, "the usage is not what was used"

    def check_record(self, job_id: str) -> None:
        known, record = self.expected[job_id], self.store.queries.get(job_id)
        assert record is not None, f"{job_id} is lost"
        assert (record.status, record.attempt, record.losses) == (known.status, known.attempt, known.losses)
        made = output_of(record) if known.status is JobStatus.SUCCEEDED else None
        assert record.output == made, "the output is not of the attempt that succeeded"
        ends = [
            event.type for event in self.store.queries.events(job_id) if event.type in {f"job.{end}" for end in ENDED}
        ]
        assert ends == ([f"job.{known.status}"] if known.status in ENDED else [])
        begun = ["job.running"] if known.attempt else []
        assert self.notified(job_id) == begun + ends, "one webhook for each state, however often it was come to"
        kept = {self.client.ttl(prefix + job_id) > 0 for prefix in (JOB, EVENTS)}
        assert kept == {known.status in ENDED}, "a record goes after its job has ended, and no sooner"
        if known.record is not None:
            assert record == known.record, "a final state has changed"
        elif known.status in ENDED:
            self.expected[job_id] = replace(known, record=record)

    def end(self) -> None:
        """Let every job end and every record expire, and check that nothing is left."""
        for job_id in self.expected:
            self.cancel(job_id)
            self.lapse(job_id)
        self.reap_all()
        self.check()
        assert not [each for each in self.expected.values() if each.status not in ENDED]
        assert self.take("the last one") is None
        assert self.members(REMOVALS) == {f"{each.job.tenant}:{each.job.id}" for each in self.expected.values()}
        while sum(map(len, self.delivered.values())) < sum(len(self.notified(job_id)) for job_id in self.expected):
            self.deliver(Outcome.DELIVERED)
        assert self.outbox.claim(4) == []
        for key in all_keys(self.client):
            if self.client.ttl(key) > 0:
                self.client.delete(key)
        left = {key.decode().removeprefix(NAMESPACE) for key in all_keys(self.client)}
        assert not [key for key in left if not key.startswith(LEFT_OVER)]

    def members(self, key: str) -> set[str]:
        return {member.decode() for member in self.client.zrange(key, 0, -1)}


def all_keys(client: Any) -> list[bytes]:
    """Names of all keys in Redis."""
    return cast(list[bytes], client.keys("*"))


def output_of(attempt: Job) -> JobOutput:
    """The output of an attempt, different for each."""
    file = StoredFile(key=f"jobs/{attempt.id}/{attempt.attempt}/f", content_type="x/y", bytes=1, sha256="0")
    video = StoredVideo(**file.model_dump(), width=2, height=2, frames=1, fps=8, seconds=0.125)
    return JobOutput(video=video, poster=file, manifest=file)
