"""Cases without processes: states of jobs with the real scripts, in random and in exhaustive orders."""

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.case import Case, Run
from tests.faults.exhaustive import explore
from tests.faults.random_walk import machine

STEPS = 60


def random_walks(run: Run) -> str:
    """Random walks from the run's seed."""
    walks = run.count(300)
    rules = settings(
        max_examples=walks,
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with run.rig() as rig:
        run_state_machine_as_test(seed(run.seed)(machine(rig.client)), settings=rules)
    return f"{walks} walks of up to {STEPS} steps among 6 jobs, 2 tenants, 3 workers; no state that should not be"


def all_orders(run: Run) -> str:
    """Every interleaving for one job, and the first ones for two."""
    with run.rig() as rig:
        one = explore(rig.client, jobs=1, max_attempts=2, max_depth=50, deadlines=True)
        two = explore(rig.client, jobs=2, max_attempts=2, max_depth=5 if run.scale >= 1 else 3)
    assert one.complete, "one job has more states than were gone into"
    alone = f"one job, two workers, two attempts: all {one.states} states by {one.steps} steps"
    return f"{alone}; two jobs, to a depth of 5: {two.states} states by {two.steps} steps; none that should not be"


CASES = (
    Case("walks", "clients, workers, reapers and senders doing anything in any order", random_walks),
    Case("orders", "all orders of takes, writes, lapses, deadlines, cancels and deaths", all_orders),
)
