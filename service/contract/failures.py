"""Why jobs fail: all error codes of jobs, with their meaning and what the client can do."""

from dataclasses import dataclass

from service.contract.record import JobError


@dataclass(frozen=True)
class Failure:
    """A reason for a job to fail.

    Attributes:
        code: stable, for programs.
        meaning: one line for people.
        remedy: what the client can do.
        retryable: whether the same job may succeed if sent again.
        lost: whether the worker failed rather than the job, so that other workers retry it first.
    """

    code: str
    meaning: str
    remedy: str
    retryable: bool = False
    lost: bool = False

    def error(self, message: str) -> JobError:
        """Create a job's error; `message` states what was received and what is allowed."""
        return JobError(code=self.code, message=message, retryable=self.retryable)


SCHEMA_KEY = "x-codes"
"""Extension of the OpenAPI schema of error codes that explains each code."""

RERUN = "Rerun the job."
OUT_OF_MEMORY = Failure(
    "MODEL.OUT_OF_MEMORY",
    "The worker's device has too little memory for the job",
    "Request less: smaller pictures or fewer frames; for training, a smaller batch or `gradient_checkpointing`.",
)
TRAINING_DIED = Failure(
    "TRAINING.PROCESS_DIED", "The training process died repeatedly", RERUN, retryable=True, lost=True
)
WORKER_LOST = Failure("WORKER.LOST", "Every worker that ran the job died", RERUN, retryable=True, lost=True)
WORKER_TIMEOUT = Failure("WORKER.TIMEOUT", "The attempt exceeded its time limit", "Request less work.")
WORKER_DISK_FULL = Failure("WORKER.DISK_FULL", "The disk of the last worker was full", RERUN, retryable=True, lost=True)
DEADLINE_PASSED = Failure(
    "DEADLINE.PASSED",
    "The deadline set with `Cancel-After` passed",
    "Rerun it with more time, or when the queue is shorter.",
    retryable=True,
)
INTERNAL = Failure(
    "INTERNAL.ERROR",
    "Unexpected error",
    "Rerun the job. If it fails again, report its ID to the operator, who can find it in the logs.",
    retryable=True,
)
POLICY_REFUSED = Failure(
    "POLICY.REFUSED",
    "The operator's policy refuses the video",
    "Change the photo or the prompt as `message` says.",
)
FAILURES = {
    each.code: each
    for each in (
        DEADLINE_PASSED,
        Failure(
            "INPUT.DATASET.INVALID", "The dataset contains too little usable data", "Fix it as described in `message`."
        ),
        Failure("INPUT.IMAGE.INVALID", "The photo cannot be used", "Send a different file."),
        Failure("INPUT.MODEL.UNKNOWN", "The model no longer exists", "Use a model from `GET /models`."),
        Failure(
            "INPUT.PARAMETER.INVALID",
            "The model doesn't support the requested parameters",
            "Fix it as described in `message`.",
        ),
        Failure("INPUT.VIDEO.INVALID", "The video cannot be used", "Send a different file."),
        INTERNAL,
        Failure(
            "MARKING.UNAVAILABLE",
            "The video could not be signed, and the service doesn't deliver unsigned videos",
            "Rerun the job once the operator has renewed the signing key.",
            retryable=True,
        ),
        Failure("MODEL.CHECKPOINT.INVALID", "The model's files are incomplete or don't match", "Use another model."),
        Failure(
            "MODEL.NUMBERS.OVERFLOWED",
            "The model's values exceeded the range of its precision",
            "Lower `guidance_scale`, or use another model.",
        ),
        OUT_OF_MEMORY,
        POLICY_REFUSED,
        Failure(
            "POLICY.UNAVAILABLE",
            "The operator's policy could not be asked about the video",
            RERUN,
            retryable=True,
        ),
        Failure("STORAGE.OBJECT_NOT_FOUND", "The job's input is no longer in storage", "Send the input again."),
        Failure("STORAGE.UNAVAILABLE", "The storage was unavailable for too long", RERUN, retryable=True),
        Failure(
            "TRAINING.CHECKPOINT_MISMATCH",
            "The saved state no longer matches or cannot be read",
            "Start a new training job.",
        ),
        Failure(
            "TRAINING.DIVERGED",
            "The loss is no longer a number",
            "Lower `optimizer.learning_rate`, or use another `precision`.",
        ),
        Failure(
            "TRAINING.STUDENT_FALLS_SHORT",
            "A distilled model lost more motion or sharpness than is accepted",
            "Rerun the job with more `steps`, or with `distillation.force` to publish the model all the same.",
        ),
        TRAINING_DIED,
        WORKER_DISK_FULL,
        WORKER_LOST,
        WORKER_TIMEOUT,
    )
}
"""All failures by code. Clients rely on the codes: never rename one or change its meaning."""
