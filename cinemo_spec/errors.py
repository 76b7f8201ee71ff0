"""Errors of the model library, named by what the caller can do about them."""


class CinemoError(Exception):
    """Base of all errors raised on purpose; `code` is stable and dotted."""

    code = "MODEL.ERROR"


class InvalidImage(CinemoError):
    """The picture cannot be used; provide another one."""

    code = "INPUT.IMAGE.INVALID"


class InvalidVideo(CinemoError):
    """The frames cannot be written, or the file cannot be read, as a video."""

    code = "INPUT.VIDEO.INVALID"


class InvalidParameter(CinemoError):
    """A sampling parameter is out of its range."""

    code = "INPUT.PARAMETER.INVALID"


class CheckpointError(CinemoError):
    """A checkpoint lacks a part, or a part does not fit its configuration."""

    code = "MODEL.CHECKPOINT.INVALID"


class OutOfMemory(CinemoError):
    """Model and clip do not fit into memory together; request a smaller clip."""

    code = "MODEL.OUT_OF_MEMORY"


class NumbersOverflowed(CinemoError):
    """The networks' output is not finite; use a wider dtype or less guidance."""

    code = "MODEL.NUMBERS.OVERFLOWED"


class SigningUnavailable(CinemoError):
    """Files can't be signed: a key or the library is missing, wrong or out of date."""

    code = "MARKING.UNAVAILABLE"
