"""Who may request which transition of a job."""

import pytest
import redis

from service.contract.states import WRITERS, JobEvent, Writer
from service.store.scripts import RedisScripts
from service.store.transitions import JobTransitions
from tests.jobs import TIMINGS, new_job

NOT_THEIRS = [(event, writer) for event in JobEvent for writer in Writer if writer not in WRITERS[event]]


@pytest.mark.parametrize(("event", "writer"), NOT_THEIRS)
def test_a_writer_that_may_not_request_an_event_is_rejected(event: JobEvent, writer: Writer) -> None:
    transitions = JobTransitions(RedisScripts(redis.Redis(port=1)), TIMINGS)

    with pytest.raises(ValueError, match=f"{writer} may not request {event}"):
        transitions.change(new_job(), event, writer)
