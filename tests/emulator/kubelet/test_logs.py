"""Which lines a reader of a log gets."""

from typing import Any

import pytest

from aliquot.emulator.kubelet.runtimes.base import LogOptions
from aliquot.emulator.kubelet.runtimes.logs import LogLine, Printer, parse, tail

LINES = [
    LogLine(10.0, b"one"),
    LogLine(20.5, b"tw", whole=False),
    LogLine(20.6, b"o"),
    LogLine(30.0, b"three"),
]


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ({}, b"one\ntwo\nthree\n"),
        ({"since": 20.0}, b"two\nthree\n"),
        ({"since": 30.0}, b"three\n"),
        ({"since": 31.0}, b""),
        ({"tail_lines": 1}, b"three\n"),
        ({"tail_lines": 0}, b""),
        ({"tail_lines": 3, "since": 25.0}, b"three\n"),
        ({"limit_bytes": 5}, b"one\nt"),
        ({"limit_bytes": 100}, b"one\ntwo\nthree\n"),
        ({"timestamps": True, "tail_lines": 1}, b"1970-01-01T00:00:30.000000000Z three\n"),
        ({"timestamps": True, "since": 20.0, "limit_bytes": 35}, b"1970-01-01T00:00:20.500000000Z two\n"),
    ],
)
def test_what_is_printed(options: dict[str, Any], printed: bytes) -> None:
    wanted = LogOptions(**options)
    assert Printer(wanted).print(tail(LINES, wanted)) == printed


def test_a_limit_counts_over_all_that_one_reader_gets() -> None:
    printer = Printer(LogOptions(limit_bytes=6))
    assert (printer.print(LINES[:1]), printer.full) == (b"one\n", False)
    assert (printer.print(LINES[1:]), printer.full) == (b"tw", True)
    assert printer.print(LINES) == b""


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (b"1970-01-01T00:00:10.250000999Z F hello  world", LogLine(10.25, b"hello  world")),
        (b"1970-01-01T00:00:10.000000000Z P half", LogLine(10.0, b"half", whole=False)),
        (b"1970-01-01T00:00:10.000000000Z F ", LogLine(10.0, b"")),
        (b"no entry at all", LogLine(0.0, b"no entry at all")),
    ],
)
def test_entries_of_a_log_file(entry: bytes, line: LogLine) -> None:
    assert parse(entry) == line
