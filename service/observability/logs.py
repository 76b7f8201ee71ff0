"""Logs: one JSON object a line from every logger of a process, with what is known of the request or the job at hand."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]

TALKATIVE = ("uvicorn.access", "boto3", "botocore", "s3transfer", "urllib3", "httpx", "httpcore", "PIL", "asyncio")
"""Tell of each request when asked for less than warnings, with signed URLs and credentials."""

SECRETS = (
    (re.compile(r"""(\w+://[^\s"'\\?#]+)\?[^\s"'\\]+"""), r"\1?…"),
    (re.compile(r"""(\w+://)[^\s"'\\/@]*:[^\s"'\\/@]*@"""), r"\1…@"),
    (re.compile(r"(?i)\b(bearer )[\w.~+/=-]+"), r"\1…"),
    (re.compile(r"\b(whsec_)[\w+/=-]+"), r"\1…"),
)
"""What a library may have put into the text of an error: signatures of URLs, passwords, keys."""

_facts: ContextVar[dict[str, Any] | None] = ContextVar("facts", default=None)


def configure_logs(level: LogLevel = "info", log_format: LogFormat = "auto") -> None:
    """Send what this process logs, through structlog or the standard library, to stderr in one format.

    `auto` is for people where stderr is a terminal, else JSON.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    render = renderer(console)
    shared: list[Processor] = [
        add_facts,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.captureWarnings(True)
    take_over(handler, number)


def take_over(handler: logging.Handler, level: int) -> None:
    """Leave one handler, at the root; libraries that brought their own write through it."""
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def log_uncaught() -> None:
    """Log the exception that ends this process, instead of printing it; also where the settings are what is wrong."""
    # Until they are read: structlog's own way shows the values of variables, and so secrets.
    configure_logs()

    def log(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        structlog.get_logger().critical("process ends", exc_info=(kind, error, traceback))

    sys.excepthook = log


@contextmanager
def log_context(**facts: Any) -> Iterator[dict[str, Any]]:
    """Add facts to all lines that are logged within; None is left out."""
    known = {**(_facts.get() or {}), **facts}
    token = _facts.set(known)
    try:
        yield known
    finally:
        _facts.reset(token)


def note(**facts: Any) -> None:
    """Add facts to the context at hand, for whoever shares it: a route in a thread for the middleware around it."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def noted(name: str) -> Any:
    """A fact of the context at hand; None where it is not known."""
    return (_facts.get() or {}).get(name)


def add_facts(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A processor of structlog: the facts, where the line itself does not say otherwise."""
    for name, value in (_facts.get() or {}).items():
        if value is not None:
            event.setdefault(name, value)
    return event


def renderer(console: bool) -> Processor:
    """A processor of structlog that makes a line, without secrets, for people or for machines."""
    # A traceback with local variables would show prompts.
    people = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    machines = structlog.processors.JSONRenderer(ensure_ascii=False)

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return without_secrets(str(people(logger, method, event) if console else machines(logger, method, event)))

    return render


def without_secrets(text: str) -> str:
    """The text, with an ellipsis for what looks like a secret."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text
