"""A job's files are marked by its kind and the operator's setting, and by nothing that a client sends."""

from typing import Any

import pytest

from cinemo_spec.marking.statement import SourceType
from service.contract.settings import Settings
from worker.marks import may_be_seen_early, source_of


def test_files_are_marked_by_kind_of_job_unless_marking_is_off() -> None:
    usual = Settings(url_signing_key="for tests alone").marking
    assert source_of("animate", usual) is SourceType.CREATED
    assert source_of("edit", usual) is SourceType.EDITED
    assert source_of("animate", "off") is source_of("edit", "off") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"marking": "signed"}, True), ({"marking": "required"}, False), ({"policy_results": True}, False)],
)
def test_there_are_no_previews_of_videos_that_must_be_signed_or_approved(
    changes: dict[str, Any], expected: bool
) -> None:
    settings = Settings(url_signing_key="for tests alone").model_copy(update=changes)
    assert may_be_seen_early(settings) is expected
