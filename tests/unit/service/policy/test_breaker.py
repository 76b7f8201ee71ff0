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


def test_it_opens_after_failures_in_a_row(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 10, clock)
    fail(breaker)
    fail(breaker)
    with pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("the call was made")


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 10, clock)
    for _ in range(3):
        fail(breaker)
        with breaker.call():
            pass


def test_one_call_probes_after_the_pause_and_closes_it_by_succeeding(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    with breaker.call(), pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("a second call was made during the probe")
    with breaker.call():
        pass


def test_a_probe_that_fails_starts_the_pause_again(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    fail(breaker)
    clock.now += 9
    with pytest.raises(BreakerOpen), breaker.call():
        pytest.fail("the call was made")


def test_a_probe_that_never_returns_gives_way_to_another_after_the_pause(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock)
    fail(breaker)
    clock.now += 10
    with breaker.call():
        clock.now += 10
        with breaker.call():
            pass
