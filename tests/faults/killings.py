"""Cases that kill processes: workers, Redis, the API."""

import os
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from service.contract.states import JobStatus
from service.storage import LocalStore
from service.webhooks.endpoints import EndpointStore
from tests.faults.case import Case, Run
from tests.faults.orders import Orders
from tests.faults.parts import ManagedProcess
from tests.faults.promises import all_end, results_can_be_had
from tests.faults.receiver import Receiver, open_receiver
from tests.faults.rig import Rig
from tests.faults.storms import every
from tests.processes import wait_until

LOOPBACK = '["127.0.0.0/8"]'
API_BACK_SECONDS = 5
EVENTS = ("job.running", "job.succeeded", "job.failed")


def workers_killed(run: Run) -> str:
    """Jobs, webhooks, and a worker killed every two seconds."""
    return jobs_under_fire(run, redis_kills=0)


def redis_killed_too(run: Run) -> str:
    """The same, with Redis also killed and restarted on its append-only file."""
    return jobs_under_fire(run, redis_kills=run.count(5))


def jobs_under_fire(run: Run, redis_kills: int) -> str:
    with ExitStack() as stack:
        rig = stack.enter_context(run.rig(CINEMO_OUTBOUND_ALLOWED_NETWORKS=LOOPBACK))
        receiver = stack.enter_context(open_receiver())
        EndpointStore(rig.client).add("default", receiver.url, EVENTS)
        rig.start_api()
        rig.start_workers(3)
        rig.start_sender()
        load = rig.load()
        load.send([Orders(number=number, seconds=0.4) for number in range(run.count(300))])
        slowest: list[float] = []
        kills = stack.enter_context(every(2, lambda: rig.chance.choice(rig.workers).kill()))
        stack.enter_context(every(6, lambda: slowest.append(restart_redis(rig)), redis_kills))
        accepted = load.wait()
        wait_until(lambda: len(slowest) == redis_kills, 120, "the last kill of Redis")
        kept = all_end(rig, accepted, 600)
        assert set(kept.outcomes) <= {"succeeded", "WORKER.LOST"}, kept.outcomes
        results_can_be_had(rig, accepted, list(accepted.ids)[:5])
        wait_until(lambda: all(heard(receiver, job_id) for job_id in accepted.ids.values()), 120, "the last webhook")
        for job in kept.jobs.values():
            receiver.check(job.id, ["job.running", f"job.{job.status}"])
        webhooks = f"{len(receiver.received)} webhooks, {receiver.repeats} of them a second time by the same id"
        summary = f"{len(kills)} kills; {kept}; {webhooks}"
        return f"{summary}; API back after at most {max(slowest):.1f} s" if slowest else summary


def heard(receiver: Receiver, job_id: str) -> bool:
    return len({each.type for each in receiver.of_job(job_id)}) == 2


def restart_redis(rig: Rig) -> float:
    """Kill Redis and restart it; returns the seconds until the API serves."""
    rig.kill_redis()
    rig.start_redis()
    began = time.monotonic()
    rig.wait_for_api(rig.api_ports[0])
    seconds = time.monotonic() - began
    assert seconds <= API_BACK_SECONDS, f"the API came back after {seconds:.1f} s"
    return seconds


def api_killed(run: Run) -> str:
    """The API killed at any moment of a request, which clients retry with its key."""
    with run.rig() as rig:
        api = rig.start_api()
        api.kept = True
        rig.start_workers(2)
        load = rig.load()
        load.send([Orders(number=number) for number in range(run.count(60))])
        with every(1.5, lambda: kill_soon(rig, api), run.count(10)) as kills:
            accepted = load.wait()
        kept = all_end(rig, accepted, 300)
        assert kept.outcomes == Counter(succeeded=len(accepted.ids)), kept.outcomes
        storage = LocalStore(rig.folder / "storage", "http://unused", "unused")
        orphans = {Path(key).parent.name for key in storage.list("inputs/")} - set(accepted.ids.values())
        summary = f"{len(kills)} kills, {accepted.broken} requests cut off or not let in; {kept}"
        return f"{summary}; {len(orphans)} photos stored of which no job came"


def kill_soon(rig: Rig, part: ManagedProcess) -> None:
    """Kill at a moment chosen by the seed."""
    time.sleep(rig.chance.random())
    part.kill()


def longer_than_all_patience(run: Run) -> str:
    """A job that takes longer than its lease and the broker's redelivery time."""
    with run.rig() as rig:
        rig.start_api()
        rig.start_workers(2, FAULTS_VISIBILITY_SECONDS="3")
        load = rig.load()
        load.send([Orders(number=0, seconds=15)])
        accepted = load.wait()
        kept = all_end(rig, accepted, 120)
        assert (kept.runs, kept.jobs[0].attempt) == ({0: 1}, 1), "it ran more than once"
        again = sum(worker.log.read_text().count("stale message dropped") for worker in rig.workers)
        assert again, "the broker was to deliver the message again"
        return f"ran once, in one attempt; the broker delivered its message {again} times more"


def frozen_worker(run: Run) -> str:
    """A worker that is frozen past its lease, and continues when another has its job."""
    with run.rig() as rig:
        rig.start_api()
        rig.start_workers(2)
        load, rounds = rig.load(), run.count(3)
        for number in range(rounds):
            load.send([Orders(number=number, seconds=2)])
            wait_until(lambda number=number: number in load.accepted.ids, 60, "its acceptance")  # type: ignore[misc]
            freeze(rig, load.accepted.ids[number])
        kept = all_end(rig, load.wait(), 60)
        assert kept.outcomes == Counter(succeeded=rounds)
        assert all(job.attempt == 2 and job.losses == 1 for job in kept.jobs.values())
        return f"{rounds} late results refused, the second attempts' stand; {kept.repeats} model runs repeated"


def freeze(rig: Rig, job_id: str) -> None:
    """Freeze a job's worker until another has finished it; then check what becomes of the late result."""

    def holder() -> int:
        job = rig.jobs.queries.get(job_id)
        running = job and job.status is JobStatus.RUNNING
        return int(job.worker.rpartition("-")[2]) if job and running and job.worker else 0

    wait_until(lambda: bool(holder()), 60, "its start")
    worker = next(each for each in rig.workers if each.pid == holder())
    time.sleep(rig.chance.uniform(0, 1))
    os.kill(worker.pid, 19)
    wait_until(lambda: (job := rig.jobs.queries.get(job_id)) is not None and job.ended, 60, "the other attempt's end")
    before = rig.jobs.queries.get(job_id)
    summary = worker.log.read_text().count("lease lost")
    os.kill(worker.pid, 18)
    wait_until(lambda: worker.log.read_text().count("lease lost") > summary, 60, "the late result's refusal")
    assert rig.jobs.queries.get(job_id) == before, "the late result has changed the job"


def poison(run: Run) -> str:
    """A job that kills every worker that runs it, among good ones."""
    with run.rig() as rig:
        rig.start_api()
        rig.start_workers(3)
        many = [Orders(number=number, seconds=0.2) for number in range(run.count(50))]
        bad = Orders(number=len(many), deadly=True)
        many.insert(rig.chance.randrange(len(many)), bad)
        load = rig.load()
        load.send(many)
        kept = all_end(rig, load.wait(), 300)
        assert kept.outcomes == {"succeeded": len(many) - 1, "WORKER.LOST": 1}, kept.outcomes
        job = kept.jobs[bad.number]
        assert (job.losses, kept.runs[bad.number]) == (3, 3)
        taken_along = [number for number, runs in kept.runs.items() if runs > 1 and number != bad.number]
        assert len(taken_along) <= 1, "only its first attempt may be beside another job"
        assert all(kept.jobs[number].losses <= 1 for number in taken_along)
        return f"{kept}; the bad one ended as WORKER.LOST after 3 attempts, the last two of them alone"


CASES = (
    Case("workers", "300 jobs, 3 workers, one killed every 2 s", workers_killed),
    Case("redis", "the same, and Redis killed and restarted 5 times", redis_killed_too),
    Case("api", "the API killed at any moment of 60 requests, which are sent again", api_killed),
    Case("long", "a job of 15 s under a lease of 4 s, its message delivered again after 3 s", longer_than_all_patience),
    Case("frozen", "a worker stopped past its lease, then woken", frozen_worker),
    Case("poison", "a job that kills its worker, among 50 good ones", poison),
)
