"""Previews of a clip never take more than a fiftieth of the time of its steps, however few or fast they are."""

import pytest

from worker.preview_budget import FIRST_SECONDS, MAX_SHARE, PreviewBudget


class Clock:
    """Stands still but for what a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def previews(steps: int, step_seconds: float, preview_seconds: float) -> list[int]:
    """After which steps of a clip there is one, if it is affordable after each."""
    clock = Clock()
    budget, made = PreviewBudget(steps, clock), []
    for done in range(1, steps):
        clock.now += step_seconds
        if budget.allows(done):
            with budget.spend():
                clock.now += preview_seconds
            made.append(done)
    return made


@pytest.mark.parametrize("steps", [2, 4, 20, 500])
@pytest.mark.parametrize("step_seconds", [0.001, 0.05, 0.1, 30])
@pytest.mark.parametrize("preview_seconds", [0.001, 0.007, FIRST_SECONDS])
def test_all_previews_together_take_at_most_their_share(
    steps: int, step_seconds: float, preview_seconds: float
) -> None:
    made = previews(steps, step_seconds, preview_seconds)
    assert len(made) * preview_seconds <= MAX_SHARE * steps * step_seconds


def test_four_fast_steps_have_none_and_slow_steps_have_all_that_they_can() -> None:
    assert previews(4, 0.05, 0.007) == []
    assert previews(20, 0.1, 0.007) == [2, 3, 4, 5, 6]
    assert previews(6, 30, 0.007) == [2, 3, 4, 5]


def test_a_preview_that_takes_longer_than_expected_is_the_last() -> None:
    assert previews(20, 0.1, 1.0) == [2]


def test_time_for_previews_does_not_count_as_time_of_steps() -> None:
    assert len(previews(100, 0.1, 0.05)) == 4
