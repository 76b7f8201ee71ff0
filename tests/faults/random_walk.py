"""Random sequences of actions on some jobs, by hypothesis, which shrinks one that fails."""

import sys
from typing import TypeVar

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.contract.record import DEFAULT_TENANT
from service.webhooks.outbox import Outcome
from tests.faults.machine import NARROW, World, Write

T = TypeVar("T")
MAX_JOBS = 6
NUMBERS = st.integers(0, 5)
WORKERS = st.sampled_from(["worker-1", "worker-2", "worker-3"])


def machine(client: redis.Redis) -> type[RuleBasedStateMachine]:
    """The random walks, on a Redis of their own."""

    class Walk(RuleBasedStateMachine):
        """Jobs, workers, reapers and clients that act at any time; dead ones don't."""

        @initialize()
        def begin(self) -> None:
            self.world = World(client)
            self.world.begin()

        @precondition(lambda self: len(self.world.expected) < MAX_JOBS)
        @rule(tenant=st.sampled_from([DEFAULT_TENANT, NARROW]), seconds_ago=st.integers(0, 3))
        def create(self, tenant: str, seconds_ago: int) -> None:
            self.world.create(tenant, seconds_ago)

        @rule(worker=WORKERS)
        def take(self, worker: str) -> None:
            self.world.take(worker)

        @precondition(lambda self: self.world.attempts)
        @rule(number=NUMBERS, what=st.sampled_from(["progress", "succeed", "fail", "release", "lose"]))
        def write(self, number: int, what: Write) -> None:
            self.world.write(self.some(self.world.attempts, number), what)

        @precondition(lambda self: self.world.attempts)
        @rule(number=NUMBERS)
        def renew(self, number: int) -> None:
            self.world.renew(self.some(self.world.attempts, number))

        @precondition(lambda self: self.world.attempts)
        @rule(number=NUMBERS)
        def leave_device(self, number: int) -> None:
            self.world.leave_device(self.some(self.world.attempts, number))

        @precondition(lambda self: self.world.attempts)
        @rule(number=NUMBERS)
        def return_to_device(self, number: int) -> None:
            self.world.return_to_device(self.some(self.world.attempts, number))

        @precondition(lambda self: self.world.expected)
        @rule(number=NUMBERS, what=st.sampled_from(["lapse", "cancel", "create_again", "reap", "miss_deadline"]))
        def change(self, number: int, what: str) -> None:
            getattr(self.world, what)(self.some(list(self.world.expected), number))

        @rule()
        def reap_all(self) -> None:
            self.world.expire_all()
            self.world.reap_all()

        @staticmethod
        def some(those: list[T], number: int) -> T:
            """The newest are 0, 1, 2, as they are the most interesting."""
            return those[-1 - number % len(those)]

        @rule()
        def remind(self) -> None:
            self.world.remind()

        @rule(outcome=st.sampled_from([Outcome.DELIVERED, Outcome.RETRY, None]))
        def deliver(self, outcome: Outcome | None) -> None:
            self.world.deliver(outcome)

        @invariant()
        def holds(self) -> None:
            self.world.check()

        def teardown(self) -> None:
            if sys.exception() is None:
                self.world.end()

    return Walk
