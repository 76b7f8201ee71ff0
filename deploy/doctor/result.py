"""What a check has found, and how it is shown."""

from dataclasses import dataclass
from enum import StrEnum

from service.observability.logs import redact


class Status(StrEnum):
    """How a part does."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should look at it."""
    FAILURE = "failure"
    """The service does not do what it promises before this is fixed."""
    SKIPPED = "skipped"
    """It cannot be seen from here, or only once something else is fixed."""


@dataclass(frozen=True)
class CheckResult:
    """What a check says: what was found, in words, and what to do about it where that is anything."""

    status: Status
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's name and its result; nothing in it is a secret."""

    check: str
    status: Status
    message: str
    remedy: str

    @classmethod
    def of(cls, check: str, result: CheckResult) -> "Finding":
        """One line each, without the secrets that a library may have put into the text of an error."""
        message, remedy = (" ".join(redact(text).split()).rstrip(".") for text in (result.message, result.remedy))
        return cls(check, result.status, message, remedy)

    def line(self) -> str:
        """For people."""
        message = f"{self.message}. Remedy: {self.remedy}" if self.remedy else self.message
        return f"{self.status:<8} {self.check}: {message}"


def ok(message: str) -> CheckResult:
    return CheckResult(Status.OK, message)


def warning(message: str, remedy: str) -> CheckResult:
    return CheckResult(Status.WARNING, message, remedy)


def failure(message: str, remedy: str) -> CheckResult:
    return CheckResult(Status.FAILURE, message, remedy)


def skipped(message: str) -> CheckResult:
    return CheckResult(Status.SKIPPED, message)
