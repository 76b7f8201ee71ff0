"""A step counts once the device has finished it."""

from dataclasses import dataclass

import torch

from worker.finished_steps import FinishedSteps


@dataclass
class Recorded:
    """A CUDA event, without a GPU: passed when the test says so, or when it is waited for."""

    passed: bool = False

    def query(self) -> bool:
        return self.passed

    def synchronize(self) -> None:
        self.passed = True


def test_on_a_cpu_every_step_that_returns_is_finished() -> None:
    finished = FinishedSteps(torch.device("cpu"), 3)
    assert [finished.count(done) for done in (1, 2, 3)] == [1, 2, 3]


def test_on_a_gpu_finished_steps_are_counted_and_only_the_last_is_waited_for() -> None:
    events: list[Recorded] = []

    def record() -> Recorded:
        events.append(Recorded())
        return events[-1]

    finished = FinishedSteps(torch.device("cuda"), 4, record)
    assert finished.count(1) == 0
    events[0].passed = True
    assert finished.count(2) == 1
    assert finished.count(3) == 1
    events[1].passed = events[2].passed = True
    assert finished.count(4) == 4
    assert events[3].passed
