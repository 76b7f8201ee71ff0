"""Jobs with webhooks, and a sender that tests run step by step."""

from dataclasses import dataclass
from typing import Any

from service.contract.record import Job, JobMetrics, new_job_id
from service.contract.requests import JobOptions
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import Outbox
from tests.clocks import Clock
from tests.jobs import OUTPUT, JobStore, new_job
from tests.receiver import ALL_EVENTS
from worker.deliver import Deliverer


@dataclass(frozen=True)
class Post:
    """Jobs, and a sender of their webhooks that tests run step by step."""

    jobs: JobStore
    endpoints: EndpointStore
    outbox: Outbox
    deliverer: Deliverer
    clock: Clock

    def begun(self, url: str, **about: Any) -> Job:
        """A running job that notifies a URL of all events."""
        self.jobs.submissions.create(job_for(url, **about))
        taken = self.jobs.attempts.dequeue("animate", "worker")
        assert taken is not None
        return taken

    def ended(self, url: str, **about: Any) -> Job:
        """A succeeded job that notifies a URL of that."""
        options = JobOptions(webhook_url=url)
        job = self.begun(url, options=options, **about)
        assert self.jobs.attempts.succeed(job, OUTPUT, JobMetrics()).happened
        return job

    def deliver(self) -> None:
        """Send until nothing is due."""
        while deliver_due(self.deliverer):
            pass

    def wait(self, seconds: float) -> None:
        """Let time pass, and deliver what is due then."""
        self.clock.ahead += seconds
        self.deliver()


def deliver_due(deliverer: Deliverer) -> int:
    """Make one attempt at each due delivery, one after another; returns their number."""
    claimed = deliverer.outbox.claim(deliverer.max_concurrent)
    for delivery in claimed:
        deliverer.deliver(delivery)
    return len(claimed)


def job_for(url: str, **about: Any) -> Job:
    options = JobOptions(webhook_url=url, webhook_events=ALL_EVENTS)
    return new_job(new_job_id()).model_copy(update={"options": options, **about})
