"""Errors of training, named by what the caller can do about them."""

from cinemo_spec.errors import CinemoError


class DatasetError(CinemoError):
    """The dataset does not exist, has no videos, or too many of them are unusable."""

    code = "INPUT.DATASET.INVALID"


class TrainingDiverged(CinemoError):
    """The loss is no longer finite: lower the learning rate, or use float32 or bfloat16."""

    code = "TRAINING.DIVERGED"


class CheckpointMismatch(CinemoError):
    """A saved state belongs to another configuration, dataset or base model."""

    code = "TRAINING.CHECKPOINT_MISMATCH"


class TrainingInterrupted(CinemoError):
    """The run was asked to stop; its state is saved, and it can be resumed."""

    code = "TRAINING.INTERRUPTED"


class StudentFallsShort(CinemoError):
    """A distilled model loses more of its teacher's motion or sharpness than is accepted."""

    code = "TRAINING.STUDENT_FALLS_SHORT"
