"""What a job's files say follows from its kind and the operator's setting, and from nothing that a client sends."""

from cinemo_spec.marking.statement import SourceType
from service.contract.settings import Settings
from worker.marks import source_of


def test_jobs_are_marked_by_their_kind_unless_the_operator_wants_no_marks() -> None:
    usual = Settings(url_signing_key="for tests alone").marking
    assert source_of("animate", usual) is SourceType.CREATED
    assert source_of("edit", usual) is SourceType.EDITED
    assert source_of("animate", "off") is source_of("edit", "off") is None
