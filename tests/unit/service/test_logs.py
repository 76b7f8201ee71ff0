"""Log lines are for machines or people, carry the request's context, and never a secret."""

import json
import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from service.observability.logs import add_log_context, configure_logs, log_context, log_context_value


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_structlog_and_logging_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    own = logging.getLogger("a.library")
    own.addHandler(logging.StreamHandler())
    own.propagate = False
    configure_logs(log_format="json")
    with log_context(request_id="r1", job=None):
        structlog.get_logger().info("ours", step=1)
        own.warning("theirs %d", 2)
    ours, theirs = lines(capsys)
    assert (ours["event"], ours["step"], ours["request_id"], ours["level"]) == ("ours", 1, "r1", "info")
    assert (theirs["event"], theirs["logger"], theirs["request_id"]) == ("theirs 2", "a.library", "r1")
    assert "job" not in ours


def test_the_level_applies_to_both_and_verbose_libraries_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", "json")
    for name in ("botocore.auth", "httpx", "uvicorn.access"):
        logging.getLogger(name).info("GET https://bucket/key?X-Amz-Signature=abc")
    structlog.get_logger().debug("seen")
    configure_logs("warning", "json")
    structlog.get_logger().info("unseen")
    logging.getLogger("a.library").info("unseen")
    assert [line["event"] for line in lines(capsys)] == ["seen"]


def test_an_exception_is_logged_on_one_line_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="json")
    try:
        prompt = "a " + "private sentence"
        raise ValueError(len(prompt))
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: 18" in line["exception"]
    assert "private sentence" not in json.dumps(line)


def test_the_console_format_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="console")
    structlog.get_logger().info("hello", job="job_1")
    printed = capsys.readouterr().err
    assert "hello" in printed
    assert not printed.startswith("{")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://s3/bucket/video.mp4?X-Amz-Signature=abc&x=1 failed", "GET https://s3/bucket/video.mp4?… failed"),
        ("redis://user:pass@host:6379/0 is gone", "redis://…@host:6379/0 is gone"),
        ("Authorization: Bearer cnm_abc.def", "Authorization: Bearer …"),
        ("signed with whsec_C2FtZQ==", "signed with whsec_…"),
        ('said "https://s3/key?signature=abc" twice', 'said "https://s3/key?…" twice'),
        ("https://host/path and https://other/path", "https://host/path and https://other/path"),
    ],
)
def test_secrets_in_error_messages_are_redacted(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    configure_logs(log_format="json")
    structlog.get_logger().info("failed", error=text)
    (line,) = lines(capsys)
    assert line["error"] == shown


def test_log_context_added_in_a_thread_applies_outside(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="json")
    with log_context(request_id="r1"):
        thread = threading.Thread(target=copy_context().run, args=(lambda: add_log_context(tenant="acme"),))
        thread.start()
        thread.join()
        structlog.get_logger().info("over")
        assert log_context_value("tenant") == "acme"
    structlog.get_logger().info("outside")
    inside, outside = lines(capsys)
    assert inside["tenant"] == "acme"
    assert "tenant" not in outside
