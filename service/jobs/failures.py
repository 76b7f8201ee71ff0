"""Why jobs fail: every code that the error of a job can have, and what whoever sent the job can do about it."""

from dataclasses import dataclass

from service.jobs.model import JobError


@dataclass(frozen=True)
class Failure:
    """`retryable` says whether the same job, sent again, may succeed.

    One that is `lost` says nothing of the job: it is tried again, by whichever worker is next, before it ends so.
    """

    code: str
    meaning: str
    remedy: str
    retryable: bool = False
    lost: bool = False

    def error(self, message: str) -> JobError:
        """The error of one job: what was got, what is allowed."""
        return JobError(code=self.code, message=message, retryable=self.retryable)


SCHEMA_KEY = "x-codes"
"""Where the schema of an error's code says what each of them means, for which OpenAPI has no word."""

AGAIN = "Run the job again."
OUT_OF_MEMORY = Failure(
    "MODEL.OUT_OF_MEMORY",
    "The worker's device has too little memory for it",
    "Ask for less: smaller pictures, fewer frames; in training a smaller batch, or `gradient_checkpointing`.",
)
TRAINING_DIED = Failure(
    "TRAINING.PROCESS_DIED", "The process that trained died, again and again", AGAIN, retryable=True, lost=True
)
WORKER_LOST = Failure("WORKER.LOST", "Each worker that ran it died", AGAIN, retryable=True, lost=True)
WORKER_TIMEOUT = Failure("WORKER.TIMEOUT", "It took longer than an attempt may", "Ask for less.")
WORKER_DISK_FULL = Failure(
    "WORKER.DISK_FULL", "The last worker that tried it had a full disk", AGAIN, retryable=True, lost=True
)
DEADLINE_PASSED = Failure(
    "DEADLINE.PASSED",
    "The time that `Cancel-After` allowed is over",
    "Run it again with more time, or when less waits.",
    retryable=True,
)
INTERNAL = Failure(
    "INTERNAL.ERROR",
    "Something went wrong that nobody foresaw",
    "Run the job again; if it fails again, tell the operator the job's id: the logs have it.",
    retryable=True,
)
FAILURES = {
    each.code: each
    for each in (
        DEADLINE_PASSED,
        Failure("INPUT.DATASET.INVALID", "The dataset holds too little that can be used", "Mend it as `message` says."),
        Failure("INPUT.IMAGE.INVALID", "The photo cannot be used", "Send another one."),
        Failure("INPUT.MODEL.UNKNOWN", "The model is no longer there", "Name one of `GET /models`."),
        Failure("INPUT.PARAMETER.INVALID", "The model cannot do what is asked", "Mend it as `message` says."),
        Failure("INPUT.VIDEO.INVALID", "The video cannot be used", "Send another one."),
        INTERNAL,
        Failure("MODEL.CHECKPOINT.INVALID", "The model's files are incomplete or do not fit", "Name another model."),
        Failure(
            "MODEL.NUMBERS.OVERFLOWED",
            "The model's numbers left the range of its precision",
            "Lower `guidance_scale`, or name another model.",
        ),
        OUT_OF_MEMORY,
        Failure("STORAGE.OBJECT_NOT_FOUND", "Its input is no longer in the storage", "Send the input anew."),
        Failure("STORAGE.UNAVAILABLE", "The storage did not answer for too long", AGAIN, retryable=True),
        Failure("TRAINING.CHECKPOINT_MISMATCH", "Its saved state no longer fits, or cannot be read", "Train it anew."),
        Failure(
            "TRAINING.DIVERGED",
            "The loss is no longer a number",
            "Lower `optimizer.learning_rate`, or take another `precision`.",
        ),
        TRAINING_DIED,
        WORKER_DISK_FULL,
        WORKER_LOST,
        WORKER_TIMEOUT,
    )
}
"""By their codes, which clients may rely on: none is renamed or given another meaning."""
