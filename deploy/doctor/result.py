"""The results of checks, and how they are printed."""

from dataclasses import dataclass
from enum import StrEnum

from service.observability.logs import redact


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    """It works, but needs attention."""
    FAILURE = "failure"
    """The service does not work properly until this is fixed."""
    SKIPPED = "skipped"
    """It can't be checked here, or not before something else is fixed."""


@dataclass(frozen=True)
class CheckResult:
    """A check's status, what it found, and how to fix it, if anything is wrong."""

    status: Status
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's name and its result, without secrets."""

    check: str
    status: Status
    message: str
    remedy: str

    @classmethod
    def of(cls, check: str, result: CheckResult) -> "Finding":
        """Make each text a single line, and redact secrets, which libraries' errors may contain."""
        message, remedy = (" ".join(redact(text).split()).rstrip(".") for text in (result.message, result.remedy))
        return cls(check, result.status, message, remedy)

    def line(self) -> str:
        """The finding as a line of text."""
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
