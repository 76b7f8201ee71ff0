"""What a response means for a delivery, and when it is retried."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.contract.deliveries import Attempt
from service.outbound.client import Response
from service.webhooks.outbox import CLAIM_SECONDS, RECEIVER_BACK_OFF_SECONDS, Outcome
from service.webhooks.send import RETRY_SECONDS, TIMEOUT_SECONDS, evaluate, failure_reason, retry_after

NOW = 1_700_000_000.0
DOCUMENT = Path(__file__).parents[4] / "docs" / "webhooks.md"


def answered(status: int, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def attempt(status: int | None) -> Attempt:
    error = failure_reason(answered(status)) if status else "no answer"
    return Attempt(at=datetime.fromtimestamp(NOW, UTC), status=status, latency_ms=1, error=error)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_counts_as_delivered(status: int) -> None:
    assert evaluate(attempt(status), 0).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503, None])
def test_any_other_response_is_retried(status: int | None) -> None:
    assert evaluate(attempt(status), 0).outcome is Outcome.RETRY


def test_a_410_stops_delivery_at_once() -> None:
    assert evaluate(attempt(410), 0).outcome is Outcome.STOPPED


def test_retries_follow_the_schedule_and_then_the_delivery_fails() -> None:
    delays = [evaluate(attempt(500), tries, jitter=0).retry_seconds for tries in range(9)]
    assert delays == [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600]
    assert evaluate(attempt(500), 9).outcome is Outcome.FAILED


def test_retries_have_jitter_and_are_never_early() -> None:
    delays = {evaluate(attempt(500), 1).retry_seconds for _ in range(100)}
    assert len(delays) > 50
    assert all(300 <= delay <= 330 for delay in delays)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120),
        ("999999999999", 86_400),
        ("Tue, 14 Nov 2000 22:15:20 GMT", 0),
        ("-5", 0),
        ("soon", 0),
        ("\u0662", 0),
        ("", 0),
    ],
)
def test_retry_after_is_accepted_as_seconds_or_date(value: str, seconds: float) -> None:
    assert retry_after(answered(503, retry_after=value), NOW) == seconds


def test_a_receivers_retry_after_can_only_delay_a_retry() -> None:
    assert evaluate(attempt(503), 0, 600, jitter=0).retry_seconds == 600
    assert evaluate(attempt(503), 2, 600, jitter=0).retry_seconds == 1800
    assert retry_after(answered(200, retry_after="600"), NOW) == 0


def test_a_receivers_back_off_is_no_longer_than_its_deliveries_own_pauses() -> None:
    assert all(alone <= own for alone, own in zip(RECEIVER_BACK_OFF_SECONDS, RETRY_SECONDS, strict=False))


def test_a_claim_lasts_longer_than_an_attempt() -> None:
    assert CLAIM_SECONDS > 2 * TIMEOUT_SECONDS


def test_the_documented_schedule_is_the_one_used() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    shown = re.findall(r"^\| \d+ \| (\d+) (s|min|h) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert tuple(int(number) * units[unit] for number, unit in shown) == RETRY_SECONDS
