"""Removes the data of jobs when it is time, in a thread of its own: a slow storage must not hold up the reaper."""

from dataclasses import dataclass

from service.jobs.retention import Retention
from worker.elected import Elected


@dataclass(kw_only=True)
class Sweeper(Elected):
    """Removes some in each round."""

    retention: Retention

    def round(self) -> None:
        """Remove what is due, up to a number."""
        self.retention.round()
