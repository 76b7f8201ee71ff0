"""Clocks that tests read or move forward."""

import time
from dataclasses import dataclass

import redis


@dataclass
class Clock:
    """The machine's, which a test may put forward."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


def now_ms(client: redis.Redis) -> int:
    """Redis' own, which jobs' times are taken from, in milliseconds."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
