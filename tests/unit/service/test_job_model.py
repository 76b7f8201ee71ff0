"""The job: its table of states, its text, its IDs."""

import time
import unicodedata
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.record import SAMPLED_STEPS, Sample, StoredFile, Training, new_job_id
from service.contract.requests import BIDI_CONTROLS, AnimateRequest
from service.contract.schemas.jobs import TrainingFiles
from service.contract.states import ENDED, TRANSITIONS, WRITERS, Effect, JobEvent, JobStatus, Writer


def request(**fields: Any) -> AnimateRequest:
    given_fields = {"prompt": "waves", "seed": 1, "num_inference_steps": 20, "guidance_scale": 2, "model": "tiny"}
    return AnimateRequest.model_validate({**given_fields, **fields})


def clip(step: int, attempt: int = 1) -> Sample:
    file = StoredFile(key=f"jobs/job_1/{attempt}/samples/step-{step}/0.mp4", content_type="x", bytes=1, sha256="0")
    return Sample(step=step, video=file, poster=file)


def test_a_training_keeps_the_samples_of_its_latest_steps() -> None:
    training = Training()
    for step in range(10, 10 * (SAMPLED_STEPS + 10), 10):
        training = training.model_copy(update={"samples": training.samples_with([clip(step), clip(step)])})
    assert len(training.samples) == 2 * SAMPLED_STEPS
    assert training.samples[0] == clip(100)
    assert f"newest {SAMPLED_STEPS} steps" in (TrainingFiles.model_fields["samples"].description or "")
    last = training.samples[-1].step
    again = training.samples_with([clip(last, attempt=2)])
    assert again == (*training.samples[:-2], clip(last, attempt=2)), "the clips of an attempt that was lost go"


def test_no_event_leaves_a_final_state() -> None:
    assert not [state for state, _ in TRANSITIONS if state in ENDED]


def test_a_canceling_job_can_only_end_as_canceled() -> None:
    moves = {event: move.after for (state, event), move in TRANSITIONS.items() if state is JobStatus.CANCELING}
    assert set(moves.values()) - {JobStatus.CANCELING} == {JobStatus.CANCELED}
    assert moves[JobEvent.CANCEL] is JobStatus.CANCELING


def test_every_state_is_reachable_and_every_unfinished_one_can_be_left() -> None:
    reached = {move.after for move in TRANSITIONS.values()}
    assert reached >= set(JobStatus) - {JobStatus.EXPIRED}
    assert {state for state, _ in TRANSITIONS} == set(JobStatus) - ENDED


def test_a_job_that_ends_leaves_queue_and_lease_and_sends_a_webhook() -> None:
    last = {Effect.USAGE, Effect.LEAVE, Effect.CLEAR_DEADLINE, Effect.NOTIFY, Effect.FINISH}
    assert {move.after in ENDED for move in TRANSITIONS.values() if last <= move.effects} == {True}
    assert {last <= move.effects for move in TRANSITIONS.values() if move.after in ENDED} == {True}


def test_a_job_is_never_both_queued_and_leased() -> None:
    for (before, _), move in TRANSITIONS.items():
        assert not {Effect.QUEUE, Effect.LEASE} <= move.effects
        if before is JobStatus.QUEUED or move.after in ENDED | {JobStatus.QUEUED}:
            assert Effect.LEAVE in move.effects


def test_exactly_the_events_that_end_an_attempt_count_its_time() -> None:
    held = {JobStatus.RUNNING, JobStatus.CANCELING}
    for (before, _), move in TRANSITIONS.items():
        ends_attempt = before in held and move.after not in held
        assert (Effect.USAGE in move.effects) == (ends_attempt or move.after in ENDED)


def test_a_canceling_job_discards_later_results() -> None:
    canceled = [move for move in TRANSITIONS.values() if move.after is JobStatus.CANCELED]
    assert canceled
    assert not [move for move in canceled if Effect.RECORD in move.effects]


def test_only_the_holder_advances_a_job_and_others_can_only_stop_or_recover_it() -> None:
    of_others = {event for event, writers in WRITERS.items() if Writer.HOLDER not in writers}
    assert of_others == {JobEvent.DEQUEUE, JobEvent.CANCEL, JobEvent.EXPIRE}
    assert set(WRITERS) == set(JobEvent)


@given(st.text(max_size=300))
def test_a_prompt_is_stored_in_nfc_or_refused(text: str) -> None:
    try:
        stored = request(prompt=text).prompt
    except ValidationError:
        unreadable = BIDI_CONTROLS | {"\0"} | {chr(code) for code in range(0xD800, 0xE000)}
        assert not text.strip() or unreadable & set(text)
    else:
        assert stored == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "   "},
        {"prompt": "x" * 1001},
        {"prompt": "a\0b"},
        {"prompt": "\ud800"},
        {"prompt": "abc\u202egnp.exe"},
        {"negative_prompt": "x" * 1001},
        {"motion_intensity": 20},
        {"motion_intensity": -1},
        {"motion_intensity": "strong"},
        {"seed": 2**32},
        {"seed": -1},
        {"num_inference_steps": 0},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        {"guidance_scale": 0.99},
        {"noise_refinement": "perhaps"},
        {"colour": "red"},
    ],
)
def test_an_invalid_field_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        request(**fields)
    assert [error["loc"] for error in refused.value.errors()] == [tuple(fields)]


def test_a_thousand_code_points_after_normalization_are_accepted() -> None:
    decomposed = "e\N{COMBINING ACUTE ACCENT}" * 1000
    assert len(request(prompt=decomposed).prompt) == 1000


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    first = new_job_id()
    before = time.time_ns() // 1_000_000
    later = new_job_id()
    parsed = uuid.UUID(later.removeprefix("job_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= time.time_ns() // 1_000_000
    assert first[:16] <= later[:16]
    assert len({new_job_id() for _ in range(1000)}) == 1000
