import pytest

from aliquot.emulator.kinds.go_durations import nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("30s", 30 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("-1.5s", -1_500_000_000),
        ("+2ms", 2_000_000),
        (".5s", 500_000_000),
        ("1.s", 10**9),
        ("3us", 3000),
        ("3µs", 3000),
        ("7ns", 7),
        ("2562047h47m16.854775807s", 2**63 - 1),
        *(
            (text, None)
            for text in ("", "-", "5", "s", ".s", "1d", "1h 30m", "1h30", "--1s", "٣s", "2562048h")
        ),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, expected: int | None) -> None:
    assert nanoseconds(text) == expected
