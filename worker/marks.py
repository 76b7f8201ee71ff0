"""Which source type a job's files state in their metadata."""

from cinemo_spec.marking.statement import SourceType
from service.contract.record import JobKind
from service.contract.settings import Marking


def source_of(kind: JobKind, marking: Marking) -> SourceType | None:
    """The source type of a job's files; None if the operator has disabled marking."""
    if marking == "off":
        return None
    return SourceType.EDITED if kind == "edit" else SourceType.CREATED
