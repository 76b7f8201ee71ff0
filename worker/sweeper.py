"""Removes the data of jobs and uploads when it is time, in a thread of its own: a slow storage holds no reaper up."""

import time
from dataclasses import dataclass

from service.store.retention import Retention
from service.store.uploads import Uploads
from worker.elected import Elected


@dataclass(kw_only=True)
class Sweeper(Elected):
    """Removes in each round what is due, for as long as rounds are apart; the election is due again then."""

    retention: Retention
    uploads: Uploads

    def round(self) -> None:
        """Remove what is due."""
        until = time.monotonic() + self.interval_seconds
        more = True
        while more and time.monotonic() < until:
            # One does not wait until there is nothing left of the other.
            more = any([self.retention.round(), self.uploads.sweep()])
