"""Where log lines go: stderr, readable on a terminal, JSON elsewhere. What a command answers goes to stdout.

A full disk costs lines, not the process that wanted to write them.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import click


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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
    )


@contextmanager
def silent() -> Iterator[None]:
    """For a command that tells by itself what it does, and how it ends."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def say(text: str) -> None:
    """To stdout, for whoever started this."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError:
        pass


class _Lossy:
    """As much of a text stream as a logger needs; lines that cannot be written are lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()
