"""What a report is: sections, each a table, and what draws their rows. And what it is drawn from."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from aliquot.access.audit.findings import Finding
from aliquot.access.audit.use import GrantUse
from aliquot.access.core.life.life import Life
from aliquot.access.core.people import Person
from aliquot.access.core.policy import Policy
from aliquot.access.log.entries import Entry
from aliquot.access.log.storage import SignedCheckpoint
from aliquot.access.reports.period import Period
from aliquot.clock import rfc3339_milli

Cell: TypeAlias = str | int | float | bool | None
"""Moments are RFC 3339, durations numbers of seconds. None: there is none."""


MOST_FINDINGS = 20_000


class Section(Struct, frozen=True, kw_only=True):
    name: str
    says: str
    """What a row is."""
    columns: tuple[str, ...]
    from_log: bool = True
    """Whoever has the log can draw it again. False: some of it is of the server's files as they are now."""


class Row(NamedTuple):
    section: str
    cells: tuple[Cell, ...]


class Record(Struct, frozen=True):
    """One request, and all that the log says of it."""

    life: Life
    entries: tuple[Entry, ...]


class Checked(Struct, frozen=True):
    holds: bool | None
    """None: it was not checked."""
    says: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """As of one moment. What is iterated over is read anew each time."""

    now_s: float
    origin: str
    """The log's name."""
    records: Callable[[], Iterator[Record]]
    """Of every request that was made before the period's end, the oldest first."""
    loose: Callable[[], Iterator[Entry]]
    """Entries that are about no request, in order."""
    checkpoints: Callable[[], Iterator[SignedCheckpoint]]
    """All, in order."""
    entries: int
    """Of the log."""
    root: str
    """Of the tree over them: base64, as in a checkpoint."""
    policy: Policy | None = None
    """None: it is not known, and sections about it stay empty."""
    use: Callable[[Life], GrantUse | None] = lambda _: None
    """What clusters' audit logs tell of a grant. None: it is not known."""
    findings: Callable[[], Iterable[Finding]] = lambda: ()
    """Of clusters' audit logs: the MOST_FINDINGS latest, the latest first."""
    check: Callable[[], Checked] = lambda: Checked(None, ())
    """Of the whole log, from its first entry on."""


class Report(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    says: str
    sections: tuple[Section, ...]
    """In the order in which they are read. Rows come in any."""
    draw: Callable[[Material, Period], Iterator[Row]]


FIGURES = ("figure", "value")


def figures(says: str = "Counted from the sections below.") -> Section:
    return Section(name="figures", says=says, columns=FIGURES)


def figure(name: str, value: Cell) -> Row:
    return Row("figures", (name, value))


def at(moment_s: float | None) -> str | None:
    return None if moment_s is None else rfc3339_milli(moment_s)


def listed(people: "tuple[Person, ...] | list[Person]") -> str:
    return "; ".join(str(one) for one in people)
