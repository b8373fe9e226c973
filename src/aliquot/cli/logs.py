"""Where log lines go: stderr, readable on a terminal, JSON elsewhere. What a command answers goes to stdout."""

import logging
import sys


def configure(level: int = logging.INFO) -> None:
    import structlog

    readable = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer() if readable else structlog.processors.format_exc_info,
            *([] if readable else [structlog.processors.JSONRenderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
