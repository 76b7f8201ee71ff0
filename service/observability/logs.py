"""Logs: one JSON object per line from every logger of a process, with the context of the current request or job."""

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

NOISY = ("uvicorn.access", "boto3", "botocore", "s3transfer", "urllib3", "httpx", "httpcore", "PIL", "asyncio")
"""Loggers that below the level warning log every request, including signed URLs and credentials."""

SECRETS = (
    ("://", re.compile(r"""(\w+://[^\s"'\\?#]+)\?[^\s"'\\]+"""), r"\1?…"),
    ("://", re.compile(r"""(\w+://)[^\s"'\\/@]*:[^\s"'\\/@]*@"""), r"\1…@"),
    ("bearer ", re.compile(r"(?i)\b(bearer )[\w.~+/=-]+"), r"\1…"),
    ("whsec_", re.compile(r"\b(whsec_)[\w+/=-]+"), r"\1…"),
)
"""Secrets that libraries' error messages may contain: URL signatures, passwords, keys.

Before each pattern, a text without which it can't match: few lines have one, and the patterns take fifty times as long.
"""

_context: ContextVar[dict[str, Any] | None] = ContextVar("context", default=None)


def configure_logs(level: LogLevel = "info", log_format: LogFormat = "auto") -> None:
    """Send all logs of this process, from structlog and the standard library, to stderr in one format.

    `auto` is `console` if stderr is a terminal, else `json`.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    render = renderer(console)
    shared: list[Processor] = [
        merge_context,
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
    replace_handlers(handler, number)


def replace_handlers(handler: logging.Handler, level: int) -> None:
    """Make this the only handler, at the root, and remove those that libraries have set up."""
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def log_uncaught() -> None:
    """Log the exception that ends this process instead of printing it, even one raised by invalid settings."""
    # Until the settings are read: structlog's default shows the values of local variables, and thus secrets.
    configure_logs()

    def log(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        structlog.get_logger().critical("process ends", exc_info=(kind, error, traceback))

    sys.excepthook = log


@contextmanager
def log_context(**values: Any) -> Iterator[dict[str, Any]]:
    """Add values to everything logged within; None is omitted."""
    context = {**(_context.get() or {}), **values}
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def add_log_context(**values: Any) -> None:
    """Add values to the current context, also for code that shares it, such as the middleware around a route."""
    context = _context.get()
    if context is not None:
        context.update(values)


def log_context_value(name: str) -> Any:
    """A value of the current context, or None."""
    return (_context.get() or {}).get(name)


def merge_context(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor that adds the context's values unless the event sets them itself."""
    for name, value in (_context.get() or {}).items():
        if value is not None:
            event.setdefault(name, value)
    return event


def renderer(console: bool) -> Processor:
    """A structlog processor that renders an event, without secrets, for the console or as JSON."""
    # Tracebacks with local variables would reveal prompts.
    for_console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return redact(str(for_console(logger, method, event) if console else as_json(logger, method, event)))

    return render


def redact(text: str) -> str:
    """Replace what looks like a secret with an ellipsis."""
    lower = text.lower()
    for sign, pattern, replacement in SECRETS:
        if sign in lower:
            text = pattern.sub(replacement, text)
    return text
