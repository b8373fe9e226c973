"""A report as lines, a table and a page: whatever is in a cell stays in its cell, and what was altered is seen."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.distribution import Distribution
from aliquot.access.reports.document import NoReport, as_json, draw, read
from aliquot.access.reports.forms.comma_separated import comma_separated
from aliquot.access.reports.forms.page import page
from aliquot.access.reports.forms.terminal import MOST_ROWS, terminal
from aliquot.access.reports.frameworks import CLAUSES, WARNING
from aliquot.access.reports.period import Period, period
from aliquot.access.reports.report import Cell, Material, Report, Row, Section, figures
from tests.access.reports.story import story

_OF = Period(0.0, 10.0)
_CELLS = st.one_of(st.text(max_size=20), st.integers(-(10**9), 10**9), st.booleans(), st.none())


def lines(*rows: tuple[Cell, ...]) -> list[bytes]:
    report = Report(
        name="some",
        title="Some",
        says="What there is.",
        sections=(figures(), Section(name="two", says="Pairs.", columns=("a", "b"))),
        draw=lambda _material, _period: iter([Row("two", one) for one in rows]),
    )
    nothing = Material(
        now_s=5.0,
        origin="log",
        records=lambda: iter(()),
        loose=lambda: iter(()),
        checkpoints=lambda: iter(()),
        entries=0,
        root="",
    )
    with draw(report, nothing, _OF) as drawn:
        return list(drawn.lines())


@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=5))
def test_what_is_written_is_read(rows: list[tuple[Cell, ...]]) -> None:
    made = lines(*rows)
    _, sections = read(iter(made))
    assert [list(found) for _, found in sections] == [[], rows]
    found = json.loads(b"".join(as_json(iter(made))))
    assert [tuple(row) for row in found["sections"][1]["rows"]] == rows


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=5), st.data())
def test_what_was_altered_is_seen(rows: list[tuple[Cell, ...]], data: st.DataObject) -> None:
    made = lines(*rows)
    which = data.draw(st.integers(1, len(made) - 1))
    how = data.draw(st.sampled_from(["gone", "twice", "other"]))
    other = {"gone": [], "twice": [made[which]] * 2, "other": [b'["x","y"]\n']}[how]
    spoilt = [*made[:which], *other, *made[which + 1 :]]
    if spoilt[: len(made)] == made:
        # What follows the last row is not part of it.
        return
    with pytest.raises(NoReport):
        _, sections = read(iter(spoilt))
        for _, found in sections:
            list(found)


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5))
def test_no_cell_is_a_formula(rows: list[tuple[str, str]]) -> None:
    written = "".join(comma_separated(iter(lines(*rows))))
    for row in csv.reader(io.StringIO(written, newline="")):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells and self.lasttag == "td":
            self.cells[-1] += data


def parsed(text: str) -> _Page:
    found = _Page()
    found.feed(text)
    return found


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{ 7 * 7 }}", "</td></table><a href=//x>"],
)
def test_a_page_shows_what_is_in_a_cell_and_does_nothing_with_it(hostile: str) -> None:
    found = parsed("".join(page(iter(lines((hostile, hostile))))))
    assert hostile in [cell.strip() for cell in found.cells]
    assert not found.tags & {"script", "img", "a", "link", "iframe", "object", "form", "base"}
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href")]


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_is_all_there_is_to_it(name: str) -> None:
    text = "".join(page(iter(story().reports[name].lines)))
    found = parsed(text)
    assert not found.tags & {"script", "img", "a", "link", "iframe"}
    assert not re.search(r"url\(|@import", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes
    assert WARNING in text
    assert story().reports[name].head.log.root.rstrip("=") in text


def test_a_terminal_has_the_first_rows_and_no_control_characters() -> None:
    rows = [(f"\x1b[31m{number}", number) for number in range(MOST_ROWS + 5)]
    shown = list(terminal(iter(lines(*rows))))
    assert "... and 5 more: --csv, --html" in shown
    assert all(line.isprintable() for line in shown)


def test_every_report_says_what_it_speaks_to() -> None:
    assert {name for one in CLAUSES for name in one.reports} >= set(REPORTS)
    assert "have your auditor confirm" in WARNING


@pytest.mark.parametrize(
    ("from_", "to", "message"),
    [
        ("2026-11-31", "", "'from' is '2026-11-31', and has to be a day"),
        ("yesterday", "", "'from' is 'yesterday'"),
        ("2026-11-01T00:00:00", "", "'from' is"),
        ("2026-11-02", "2026-11-01", "is not before 'to'"),
        ("2026-11-02", "2026-11-02", "is not before 'to'"),
        ("2026-11-02", "", "is not before 'to'"),
    ],
)
def test_a_period_that_is_none(from_: str, to: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        period(from_, to, 1_761_955_200.0)


def test_a_period_has_its_first_moment_and_not_its_last() -> None:
    found = period("2025-11-01", "2025-11-01T00:00:01Z", 0.0)
    start_s = 1_761_955_200.0
    assert found == Period(start_s, start_s + 1)
    assert [found.has(at_s) for at_s in (start_s - 0.001, start_s, start_s + 0.999, start_s + 1, None)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert found.has_entry("2025-11-01T00:00:00.000Z")
    assert not found.has_entry("2025-11-01T00:00:01.000Z")


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_one_that_there_was(durations: list[float], percent: int) -> None:
    found = Distribution()
    for one in durations:
        found.add(one)
    value = found.percentile(percent)
    assert isinstance(value, float)
    assert value in {round(one, 3) for one in durations}
    below = sum(one <= value + 0.001 for one in durations)
    assert below >= percent / 100 * len(durations) - 1e-9
