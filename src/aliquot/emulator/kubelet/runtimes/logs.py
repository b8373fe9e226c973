"""Which lines of a log a reader gets, and how they look. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from aliquot.clock import parse_rfc3339, rfc3339_micro
from aliquot.emulator.kubelet.runtimes.base import LogOptions


@dataclass(frozen=True, slots=True)
class LogLine:
    time: float
    """Unix seconds."""
    text: bytes
    """Without the line end."""
    whole: bool = True
    """False for a piece of a line that goes on in the next one."""


class Printer:
    """Lines as `kubectl logs` prints them to one reader, for as long as it reads: since, times, never past the limit.

    Which lines are the last ones (`tail_lines`) is for the owner of the log to say.
    """

    def __init__(self, options: LogOptions) -> None:
        self._since = options.since
        self._timestamps = options.timestamps
        self._left = options.limit_bytes
        self._begins = True

    @property
    def full(self) -> bool:
        """The reader has got as much as it may."""
        return self._left == 0

    def print(self, lines: Iterable[LogLine]) -> bytes:
        printed = b"".join(
            self._render(line) for line in lines if self._since is None or line.time >= self._since
        )
        if self._left is not None:
            printed = printed[: self._left]
            self._left -= len(printed)
        return printed

    def _render(self, line: LogLine) -> bytes:
        stamp = _nanoseconds(line.time) + b" " if self._timestamps and self._begins else b""
        self._begins = line.whole
        return stamp + line.text + (b"\n" if line.whole else b"")


def tail(lines: Iterable[LogLine], options: LogOptions) -> list[LogLine]:
    """The lines that `tail_lines` leaves, of all there are."""
    listed = list(lines)
    if options.tail_lines is None:
        return listed
    return listed[-options.tail_lines :] if options.tail_lines > 0 else []


def parse(entry: bytes) -> LogLine:
    """Of a log as `shim_process` writes it. An entry that is none is taken as it is, from time immemorial."""
    stamp, _, rest = entry.partition(b" ")
    tag, _, text = rest.partition(b" ")
    try:
        return LogLine(parse_rfc3339(stamp.decode()), text, whole=tag != b"P")
    except ValueError:
        return LogLine(0.0, entry)


def _nanoseconds(unix_s: float) -> bytes:
    """A real kubelet prints nine digits; the clock has six of them."""
    return rfc3339_micro(unix_s).removesuffix("Z").encode() + b"000Z"
