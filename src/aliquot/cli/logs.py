"""Where log lines go: stderr, readable on a terminal, JSON elsewhere. What a command answers goes to stdout."""

import logging
import sys


def configure(*, verbose: bool = True) -> None:
    """On a terminal what goes wrong is shown, and when `verbose` also what goes on; elsewhere all of it is kept."""
    import structlog

    readable = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            # Whoever reads along knows the day.
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
            if readable
            else structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(pad_event_to=0)
            if readable
            else structlog.processors.format_exc_info,
            *([] if readable else [structlog.processors.JSONRenderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.WARNING if readable and not verbose else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
