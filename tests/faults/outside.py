"""Cases in which the service's surroundings fail: the storage, and receivers of webhooks."""

import json
import time
from contextlib import ExitStack

from service.webhooks.endpoints import EndpointStore
from tests.conftest import s3_running, s3_variables
from tests.faults.case import Case, Run
from tests.faults.killings import EVENTS, LOOPBACK, heard
from tests.faults.orders import CLOCK, Orders
from tests.faults.promises import all_end
from tests.faults.receiver import open_receiver
from tests.faults.rig import Rig
from tests.faults.storms import every
from tests.processes import wait_until
from tests.proxy import HttpProxy, http_proxy

DOWN_SECONDS = 600
SPEED = 20


def storage_fails(run: Run) -> str:
    """A bucket that answers a third of all requests with an error and a tenth never; then none at all."""
    with ExitStack() as stack:
        run.folder.mkdir(parents=True, exist_ok=True)
        proxy = stack.enter_context(http_proxy(stack.enter_context(s3_running(run.folder)), run.seed))
        settings = {"CINEMO_STORAGE_TIMEOUT_SECONDS": "1", "CINEMO_REQUEST_STORAGE_SECONDS": "4"}
        rig = stack.enter_context(run.rig(**s3_variables(proxy.url), **settings))
        rig.start_api()
        rig.start_workers(3, CINEMO_STORAGE_RETRY_SECONDS="120")
        proxy.rates = {"error": 0.3, "hang": 0.1}
        load = rig.load()
        load.send([Orders(number=number) for number in range(run.count(60))])
        kept = all_end(rig, load.wait(), 400)
        assert set(kept.outcomes) <= {"succeeded", "STORAGE.UNAVAILABLE"}, kept.outcomes
        assert kept.repeats == 0, "a model ran again though only its upload had failed"
        failed = sum(each.fault is not None for each in proxy.seen)
        summary = f"{failed} of {len(proxy.seen)} requests failed; {kept}"
        return f"{summary}; {storage_gone(rig, proxy)}"


def storage_gone(rig: Rig, proxy: HttpProxy) -> str:
    """Jobs accepted before a storage outage: each fails within a stated time, with the reason."""
    for worker in rig.workers:
        worker.stop()
    proxy.heal()
    load, numbers = rig.load(), range(1000, 1003)
    load.send([Orders(number=number) for number in numbers])
    gone = load.wait()
    proxy.rates = {"error": 1.0}
    rig.start_workers(1, CINEMO_STORAGE_RETRY_SECONDS="3")
    taken = [seconds_to_unavailable(rig, job_id) for job_id in gone.ids.values()]
    assert len(taken) == len(numbers)
    summary = f"{len(taken)} of {len(numbers)} ended as STORAGE.UNAVAILABLE, {min(taken):.1f} to {max(taken):.1f} s"
    return f"with the bucket gone for good, {summary} after they were begun"


def seconds_to_unavailable(rig: Rig, job_id: str) -> float:
    """How long a job ran until it failed because of the storage, and for no other reason."""

    def ended() -> bool:
        job = rig.jobs.queries.get(job_id)
        return job is not None and job.ended

    wait_until(ended, 120, f"{job_id}'s end")
    job = rig.jobs.queries.get(job_id)
    assert job is not None
    assert job.error is not None, job.status
    assert job.error.code == "STORAGE.UNAVAILABLE", job.error
    assert job.started_at is not None
    assert job.finished_at is not None
    return (job.finished_at - job.started_at).total_seconds()


def receiver_down(run: Run) -> str:
    """A receiver that is down for ten minutes of the schedule, while the sender is sometimes killed."""
    with ExitStack() as stack:
        rig = stack.enter_context(run.rig(CINEMO_OUTBOUND_ALLOWED_NETWORKS=LOOPBACK))
        receiver = stack.enter_context(open_receiver())
        EndpointStore(rig.client).add("default", receiver.url, EVENTS)
        rig.start_api()
        rig.start_workers(2)
        sender = rig.part("sender", "tests.faults.sender", [], {CLOCK: json.dumps([time.time(), SPEED])})
        sender.start()
        sender.kept = True
        receiver.down = True
        down_until = time.monotonic() + DOWN_SECONDS / SPEED
        load = rig.load()
        load.send([Orders(number=number) for number in range(run.count(40))])
        with every(7, sender.kill, 4) as kills:
            kept = all_end(rig, load.wait(), 200)
            time.sleep(max(0, down_until - time.monotonic()))
            receiver.down = False
            ids = [job.id for job in kept.jobs.values()]
            wait_until(lambda: all(heard(receiver, job_id) for job_id in ids), 200, "the last webhook")
        for job in kept.jobs.values():
            receiver.check(job.id, ["job.running", f"job.{job.status}"])
        assert receiver.turned_away, "it was to be down"
        away = f"{receiver.turned_away} attempts turned away, the sender killed {len(kills)} times"
        return (
            f"{away}; then {len(receiver.received)} webhooks of {len(ids)} jobs, in order, {receiver.repeats} repeated"
        )


CASES = (
    Case("storage", "60 jobs, the storage answering 30 % with errors and 10 % not at all", storage_fails),
    Case("receiver", "a receiver down for 10 minutes of its schedule, at 20 times the speed", receiver_down),
)
