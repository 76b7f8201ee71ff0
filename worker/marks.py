"""Which source type a job's files state in their metadata."""

from typing import Literal

from cinemo_spec.marking.statement import SourceType
from service.contract.record import JobKind


def source_of(kind: JobKind, marking: Literal["off", "metadata"]) -> SourceType | None:
    """The source type of a job's files; None if the operator has disabled marking."""
    if marking == "off":
        return None
    return SourceType.EDITED if kind == "edit" else SourceType.CREATED
