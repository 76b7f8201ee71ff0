"""Deletes expired data of jobs and uploads, in a thread of its own, so that slow storage never delays the reaper."""

import time
from dataclasses import dataclass

from service.store.retention import Retention
from service.store.uploads import Uploads
from worker.elected import ElectedThread


@dataclass(kw_only=True)
class Sweeper(ElectedThread):
    """Deletes expired data, as the elected worker; rounds last at most one interval, for the election to be renewed."""

    retention: Retention
    uploads: Uploads

    def round(self) -> None:
        """Delete what is due."""
        until = time.monotonic() + self.interval_seconds
        more = True
        while more and time.monotonic() < until:
            # Alternate, so that neither waits for the other to finish.
            more = any([self.retention.round(), self.uploads.sweep()])
