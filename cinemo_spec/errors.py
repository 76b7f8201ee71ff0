"""What can go wrong in the model library, named by what the caller can do about it."""


class CinemoError(Exception):
    """Base of all errors raised on purpose; `code` is stable and dotted."""

    code = "MODEL.ERROR"


class InvalidImage(CinemoError):
    """The picture cannot be used: give another one."""

    code = "INPUT.IMAGE.INVALID"


class InvalidVideo(CinemoError):
    """The frames or the file are no video that can be written or read."""

    code = "INPUT.VIDEO.INVALID"


class InvalidParameter(CinemoError):
    """A sampling parameter is out of its range."""

    code = "INPUT.PARAMETER.INVALID"


class CheckpointError(CinemoError):
    """A checkpoint lacks a part, or a part does not fit its configuration."""

    code = "MODEL.CHECKPOINT.INVALID"


class OutOfMemory(CinemoError):
    """The model does not fit beside this clip: ask for less of it."""

    code = "MODEL.OUT_OF_MEMORY"


class NumbersOverflowed(CinemoError):
    """What the networks computed are no numbers any more: ask for a wider dtype, or for less guidance."""

    code = "MODEL.NUMBERS.OVERFLOWED"


class SigningUnavailable(CinemoError):
    """Files can't be signed: a key or the library is missing, wrong or out of date."""

    code = "MARKING.UNAVAILABLE"
