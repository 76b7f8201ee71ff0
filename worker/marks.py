"""How a job's files are marked, and whether clients may see previews before."""

from cinemo_spec.marking.statement import SourceType
from service.contract.record import JobKind
from service.contract.settings import Marking, Settings


def source_of(kind: JobKind, marking: Marking) -> SourceType | None:
    """The source type of a job's files; None if the operator has disabled marking."""
    if marking == "off":
        return None
    return SourceType.EDITED if kind == "edit" else SourceType.CREATED


def may_be_seen_early(settings: Settings) -> bool:
    """Whether clients may see previews, which nobody has signed and no policy has approved."""
    return settings.marking != "required" and not settings.policy_results
