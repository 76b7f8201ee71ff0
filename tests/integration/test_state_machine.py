"""No interleaving of clients, workers, reapers and crashes loses a job or gives it two results."""

import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.exhaustive import explore
from tests.faults.random_walk import machine

WALKS = settings(
    max_examples=25,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_random_operations_keep_every_job_in_one_state_with_one_result(redis_client: redis.Redis) -> None:
    run_state_machine_as_test(machine(redis_client), settings=WALKS)


def test_no_interleaving_of_two_attempts_and_a_crash_reaches_an_invalid_state(redis_client: redis.Redis) -> None:
    explored = explore(redis_client, jobs=1, max_attempts=2, max_depth=50)
    assert explored.complete, "every state that one job and two workers can reach was gone into"
    assert explored.states > 250
