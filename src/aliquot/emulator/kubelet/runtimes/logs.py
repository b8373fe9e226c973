"""Which lines of a log a reader gets. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from aliquot.clock import rfc3339_micro
from aliquot.emulator.kubelet.runtimes.base import LogOptions


@dataclass(frozen=True, slots=True)
class LogLine:
    time: float
    """Unix seconds."""
    text: bytes
    """Without the line end."""


def select(lines: Iterable[LogLine], options: LogOptions) -> bytes:
    """The lines as `kubectl logs` prints them: since, then the tail, then no more than the limit."""
    chosen = [line for line in lines if options.since is None or line.time >= options.since]
    if options.tail_lines is not None:
        chosen = chosen[-options.tail_lines :] if options.tail_lines > 0 else []
    printed = b"".join(render(line, timestamps=options.timestamps) for line in chosen)
    return printed if options.limit_bytes is None else printed[: options.limit_bytes]


def render(line: LogLine, *, timestamps: bool) -> bytes:
    if timestamps:
        return rfc3339_micro(line.time).encode() + b" " + line.text + b"\n"
    return line.text + b"\n"
