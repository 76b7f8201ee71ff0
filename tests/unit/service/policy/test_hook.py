"""What follows from a policy's answers, and from missing ones."""

import base64
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from service.contract.problems import PolicyRefused, PolicyUnavailable
from service.contract.requests import AnimateRequest
from service.contract.settings import Settings
from service.policy.decision import ALLOW, Decision, Media, Question
from service.policy.hook import PolicyHook, open_policy, require_allowed
from tests.policies import SECRET, Policy, policy_running

PIXELS = bytes(range(256))
REQUEST = AnimateRequest(model="tiny", prompt="pan left", seed=1, num_inference_steps=2, guidance_scale=1)
QUESTION = Question(
    stage="request",
    tenant="acme",
    kind="animate",
    request=REQUEST.model_dump(mode="json"),
    image=Media(content_type="image/jpeg", data=PIXELS),
)
HELD = threading.Event()


def refuse_pans(question: Question) -> Decision:
    if "pan" in question.request["prompt"]:
        return Decision(decision="refuse", reason="no pans")
    return ALLOW


def answer_late(question: Question) -> Decision:
    HELD.wait(30)
    return ALLOW


def crash(question: Question) -> Decision:
    raise ZeroDivisionError


def leave(question: Question) -> Decision:
    sys.exit()


def answer_text(question: Question) -> Any:
    return "allow"


def settings(**given: Any) -> Settings:
    return Settings(storage_url="s3://videos", **given)


def hook(**given: Any) -> PolicyHook:
    opened = open_policy(settings(**given))
    assert opened is not None
    return opened


@pytest.fixture
def policy() -> Iterator[Policy]:
    with policy_running() as running:
        yield running


def test_without_a_policy_there_is_no_hook() -> None:
    assert open_policy(settings()) is None


def test_a_url_receives_the_question_with_a_standard_webhooks_signature(policy: Policy) -> None:
    ruling = hook(policy_url=policy.url, policy_secret=SECRET).rule(QUESTION, REQUEST)
    assert (ruling.decision, ruling.error) == (ALLOW, None)
    (asked,) = policy.asked
    assert asked == {
        "stage": "request",
        "tenant": "acme",
        "kind": "animate",
        "request": REQUEST.model_dump(mode="json"),
        "image": {"content_type": "image/jpeg", "data": base64.b64encode(PIXELS).decode()},
    }


def test_during_a_rotation_both_secrets_verify(policy: Policy) -> None:
    both = f"whsec_{'bmV3' * 8} {SECRET}"
    assert hook(policy_url=policy.url, policy_secret=both).rule(QUESTION, REQUEST).decision == ALLOW


def test_a_refusal_has_the_reason_shown_to_the_client(policy: Policy) -> None:
    policy.answer = lambda _: {"decision": "refuse", "reason": "no pans"}
    with pytest.raises(PolicyRefused, match="no pans"):
        require_allowed(hook(policy_url=policy.url, policy_secret=SECRET).rule(QUESTION, REQUEST))


def test_a_refusal_with_too_long_a_reason_is_one_nevertheless(policy: Policy) -> None:
    policy.answer = lambda _: {"decision": "refuse", "reason": "no" * 10_000}
    allowing = hook(policy_url=policy.url, policy_secret=SECRET, policy_unavailable="allow")
    assert allowing.rule(QUESTION, REQUEST).decision == Decision(decision="refuse", reason="no" * 250)


def test_a_change_has_the_new_prompt(policy: Policy) -> None:
    policy.answer = lambda _: {"decision": "change", "prompt": "zoom in"}
    ruling = hook(policy_url=policy.url, policy_secret=SECRET).rule(QUESTION, REQUEST)
    assert ruling.request == REQUEST.model_copy(update={"prompt": "zoom in"})
    assert ruling.event.items() >= {"stage": "request", "decision": "change", "prompt": "zoom in"}.items()


@pytest.mark.parametrize(
    "answer",
    [
        500,
        204,
        302,
        b"not JSON",
        {"decision": "perhaps"},
        {"decision": "refuse"},
        {"decision": "change"},
        {"decision": "allow", "prompt": "x"},
        {"decision": "allow", "more": 1},
    ],
)
def test_an_invalid_answer_counts_as_none(policy: Policy, answer: Any) -> None:
    policy.answer = lambda _: answer
    with pytest.raises(PolicyUnavailable):
        hook(policy_url=policy.url, policy_secret=SECRET).rule(QUESTION, REQUEST)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("allow", "answer is not valid: must be an object"),
        ({"decision": "maybe"}, "answer is not valid: decision: must be 'allow', 'refuse' or 'change'"),
        ({"decision": "refuse"}, "answer is not valid: `refuse` requires `reason`"),
        ({"decision": "change", "prompt": " "}, "prompt is not valid: must not be empty"),
    ],
)
def test_an_invalid_answer_is_described_as_an_invalid_request_is(policy: Policy, answer: Any, words: str) -> None:
    policy.answer = lambda _: answer
    allowing = hook(policy_url=policy.url, policy_secret=SECRET, policy_unavailable="allow")
    assert allowing.rule(QUESTION, REQUEST).error == f"the policy's {words}"


def test_a_decision_about_a_video_cannot_change_the_prompt(policy: Policy) -> None:
    policy.answer = lambda _: {"decision": "change", "prompt": "zoom in"}
    with pytest.raises(PolicyUnavailable):
        hook(policy_url=policy.url, policy_secret=SECRET).rule(QUESTION.model_copy(update={"stage": "result"}), REQUEST)


@pytest.mark.parametrize("prompt", ["", " ", "x" * 1001, "a\0b", [], ["pan", "zoom"], [" "], 7, {"text": "pan"}])
def test_a_prompt_that_no_client_could_send_is_no_answer_either(policy: Policy, prompt: Any) -> None:
    policy.answer = lambda _: {"decision": "change", "prompt": prompt}
    allowing = hook(policy_url=policy.url, policy_secret=SECRET, policy_unavailable="allow", policy_breaker_failures=2)
    rulings = [allowing.rule(QUESTION, REQUEST) for _ in range(3)]
    assert [(each.decision, each.request) for each in rulings] == [(ALLOW, REQUEST)] * 3
    assert all("not valid" in str(each.error) for each in rulings[:2])
    # The breaker counts it.
    assert len(policy.asked) == 2


def test_an_unresponsive_policy_costs_the_time_limit_until_the_breaker_opens(policy: Policy) -> None:
    release = threading.Event()
    policy.answer = lambda _: release.wait(30) and {"decision": "allow"}
    asking = hook(policy_url=policy.url, policy_secret=SECRET, policy_timeout_seconds=0.2, policy_breaker_failures=2)
    started = time.monotonic()
    for _ in range(10):
        with pytest.raises(PolicyUnavailable):
            asking.rule(QUESTION, REQUEST)
    release.set()
    assert len(policy.asked) == 2
    assert time.monotonic() - started < 10 * 0.2


def test_the_settings_can_allow_requests_while_the_policy_is_unavailable() -> None:
    with policy_running() as policy:
        url = policy.url
    ruling = hook(policy_url=url, policy_secret=SECRET, policy_unavailable="allow").rule(QUESTION, REQUEST)
    assert ruling.decision == ALLOW
    assert "127.0.0.1 cannot be reached" in str(ruling.entry.error)
    assert ruling.event["error"] == "the operator's policy gave no answer", "the client isn't told where it is"


def test_a_python_function_receives_the_bytes_and_decides() -> None:
    with pytest.raises(PolicyRefused, match="no pans"):
        require_allowed(hook(policy_callable=f"{__name__}:refuse_pans").rule(QUESTION, REQUEST))


@pytest.mark.parametrize("name", ["answer_late", "crash", "leave", "answer_text"])
def test_a_function_that_hangs_raises_or_returns_another_type_gives_no_answer(name: str) -> None:
    asking = hook(policy_callable=f"{__name__}:{name}", policy_timeout_seconds=0.1)
    with pytest.raises(PolicyUnavailable):
        asking.rule(QUESTION, REQUEST)
    HELD.set()


@pytest.mark.parametrize("path", ["no.such:function", f"{__name__}:nothing", f"{__name__}:PIXELS"])
def test_an_invalid_function_is_rejected_at_startup(path: str) -> None:
    with pytest.raises(ValueError, match="CINEMO_POLICY_CALLABLE"):
        hook(policy_callable=path)


@pytest.mark.parametrize(
    "given",
    [
        {"policy_url": "http://policy.internal/ask"},
        {"policy_url": "http://policy.internal/ask", "policy_secret": "short"},
        {"policy_url": "http://policy.internal/ask", "policy_secret": SECRET, "policy_callable": "a.b:c"},
        {"policy_url": "ftp://policy.internal/ask", "policy_secret": SECRET},
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)
