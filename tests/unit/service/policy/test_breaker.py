"""A policy that keeps failing is left alone for a while."""

import pytest

from service.policy.breaker import BreakerOpen, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(breaker: CircuitBreaker) -> None:
    with pytest.raises(ConnectionError), breaker.call():
        raise ConnectionError


def test_the_breaker_opens_after_consecutive_failures(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 10, clock)
    fail(breaker)
    fail(breaker)
    with pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("the call was made")


def test_a_success_resets_the_count_of_failures(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 10, clock)
    for _ in range(3):
        fail(breaker)
        with breaker.call():
            pass


def test_after_the_pause_one_call_probes_and_its_success_closes_the_breaker(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    with breaker.call(), pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("a second call was made during the probe")
    with breaker.call():
        pass


def test_a_failed_probe_restarts_the_pause(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    fail(breaker)
    clock.now += 9
    with pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("the call was made")


def test_after_another_pause_a_hanging_probe_is_superseded(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    with breaker.call():
        clock.now += 10
        with breaker.call():
            pass
