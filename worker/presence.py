"""Says that this worker lives, so that others can tell how fast a line moves."""

from dataclasses import dataclass

from service.jobs.model import JobKind
from service.jobs.store import JobStore
from worker.elected import Periodic

LAPSES_AFTER = 3


@dataclass(kw_only=True)
class Presence(Periodic):
    """Says so again and again; a worker that has missed some times counts as gone."""

    jobs: JobStore
    name: str
    kinds: tuple[JobKind, ...]

    def turn(self) -> None:
        """Be there for a while."""
        for kind in self.kinds:
            self.jobs.greet(kind, self.name, LAPSES_AFTER * self.interval_seconds)
