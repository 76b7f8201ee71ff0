"""What a check has found, and how it is told."""

from dataclasses import dataclass
from enum import StrEnum

from service.observability.logs import without_secrets


class Status(StrEnum):
    """How a part does."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should look at it."""
    FAILURE = "failure"
    """The service does not do what it promises before this is mended."""
    SKIPPED = "skipped"
    """It cannot be seen from here, or only once something else is mended."""


@dataclass(frozen=True)
class CheckResult:
    """What a check says: what was found, in words, and what to do about it where that is anything."""

    status: Status
    says: str
    mend: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's name and its result; nothing in it is a secret."""

    check: str
    status: Status
    says: str
    mend: str

    @classmethod
    def of(cls, check: str, result: CheckResult) -> "Finding":
        """One line each, without the secrets that a library may have put into the text of an error."""
        says, mend = (" ".join(without_secrets(text).split()).rstrip(".") for text in (result.says, result.mend))
        return cls(check, result.status, says, mend)

    def line(self) -> str:
        """For people."""
        told = f"{self.says}. To mend: {self.mend}" if self.mend else self.says
        return f"{self.status:<8} {self.check}: {told}"


def ok(says: str) -> CheckResult:
    return CheckResult(Status.OK, says)


def warning(says: str, mend: str) -> CheckResult:
    return CheckResult(Status.WARNING, says, mend)


def failure(says: str, mend: str) -> CheckResult:
    return CheckResult(Status.FAILURE, says, mend)


def skipped(says: str) -> CheckResult:
    return CheckResult(Status.SKIPPED, says)
