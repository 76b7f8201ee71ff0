"""The learning rate of each step."""

import math

from cinemo_spec.training import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate after `step` steps: a linear warm-up, then constant or a half-cosine decay to the final share."""
    schedule, peak = config.schedule, config.optimizer.learning_rate
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    if schedule.kind == "constant":
        return peak
    share = (step - schedule.warmup_steps) / (config.steps - schedule.warmup_steps)
    cosine = (1 + math.cos(math.pi * share)) / 2
    return peak * (schedule.last_share + cosine * (1 - schedule.last_share))
