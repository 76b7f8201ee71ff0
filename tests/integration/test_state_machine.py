"""No order of what clients, workers, reapers and crashes do loses a job, or shows two results of it."""

import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.random_walk import machine

WALKS = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_random_walks_keep_every_job_in_one_place_with_one_result(redis_client: redis.Redis) -> None:
    run_state_machine_as_test(machine(redis_client), settings=WALKS)
