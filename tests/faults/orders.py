"""Instructions for the suite's workers, in a job's prompt and in the environment."""

from pydantic import BaseModel

RUNS_FILE = "FAULTS_RUNS_FILE"
"""Where a line is written each time a model runs."""

VISIBILITY_SECONDS = "FAULTS_VISIBILITY_SECONDS"
"""After which the broker delivers a message again that is not acknowledged; the service's own is hours."""

CLOCK = "FAULTS_CLOCK"
"""The time at which a sender's clock began to run fast, and how fast, as JSON."""

INPUT_KEY = "inputs/shared.jpg"
"""Of all jobs that are made without the API; some of them a worker takes that wants to see a photo."""


class Orders(BaseModel):
    """The job's number, how long its model runs, and whether it kills its worker."""

    number: int
    seconds: float = 0
    deadly: bool = False
