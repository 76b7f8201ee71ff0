"""What can go wrong in training, named by what the caller can do about it."""

from cinemo_core.errors import CinemoError


class DatasetError(CinemoError):
    """The dataset is not there, holds no video, or too many of its videos cannot be used."""

    code = "INPUT.DATASET.INVALID"


class TrainingDiverged(CinemoError):
    """The loss is no longer a number: lower the learning rate, or compute in float32 or bfloat16."""

    code = "TRAINING.DIVERGED"


class CheckpointMismatch(CinemoError):
    """A saved state belongs to another configuration, dataset or base model."""

    code = "TRAINING.CHECKPOINT_MISMATCH"


class TrainingInterrupted(CinemoError):
    """The run was asked to stop; its state is saved and goes on where it stopped."""

    code = "TRAINING.INTERRUPTED"
