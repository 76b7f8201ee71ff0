"""Clocks that tests read or move forward."""

import time
from dataclasses import dataclass

import redis


@dataclass
class Clock:
    """The machine's clock, which a test can move forward."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


def now_ms(client: redis.Redis) -> int:
    """Redis' clock in milliseconds, which job times use."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
