"""Whether the log holds: what is in it, who signed how far, and what checking all of it comes to."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aliquot.access.log.entries import Entry
from aliquot.access.log.verify import NOT_PROVEN, parse_note
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material, Report, Row, Section, figure, figures


@dataclass
class _Signed:
    count: int = 0
    size: int = 0


@dataclass
class _Counted:
    actions: Counter[str]
    first: Entry | None = None
    last: Entry | None = None

    def add(self, entry: Entry) -> None:
        self.actions[entry.action] += 1
        if self.first is None or entry.seq < self.first.seq:
            self.first = entry
        if self.last is None or entry.seq > self.last.seq:
            self.last = entry


def draw(material: Material, period: Period) -> Iterator[Row]:
    counted = _Counted(Counter())
    for record in material.records():
        for entry in record.entries:
            if period.has_entry(entry.time):
                counted.add(entry)
    for entry in material.loose():
        if period.has_entry(entry.time):
            counted.add(entry)
    first = 0 if counted.first is None else counted.first.seq
    end = 0 if counted.last is None else counted.last.seq + 1
    signed: dict[tuple[str, str], _Signed] = {}
    for checkpoint in material.checkpoints():
        if not first < checkpoint.size <= end:
            continue
        for one in parse_note(checkpoint.note).signatures:
            by = signed.setdefault((one.name, one.key_id.hex()), _Signed())
            by.count += 1
            by.size = checkpoint.size
    checked = material.check()
    yield figure("log", material.origin)
    yield figure("entries", material.entries)
    yield figure("root over them", material.root)
    yield figure("entries of the period", counted.actions.total())
    yield figure("first entry of the period", None if counted.first is None else first)
    yield figure("last entry of the period", None if counted.last is None else end - 1)
    holds = {None: "not checked", True: "it holds", False: "IT DOES NOT HOLD"}[checked.holds]
    for line in (holds, *checked.says, *NOT_PROVEN.splitlines()):
        yield Row("checked", (line,))
    for (name, key_id), by in sorted(signed.items()):
        kind = "log" if name == material.origin else "witness"
        yield Row("signatures", (kind, name, key_id, by.count, by.size))
    for action, count in sorted(counted.actions.items()):
        yield Row("actions", (action, count))


REPORT = Report(
    name="log-integrity",
    title="Log integrity",
    says="What the log has, who signed how far, and what checking it from its first entry on comes to. Check it yourself, from a dump,"
    " with a key that you had from somebody else than the server.",
    sections=(
        figures("Of the log, and of its entries in the period."),
        Section(
            name="checked",
            says="What the server says that checking all of it comes to. Of the server itself that proves nothing.",
            columns=("line",),
            from_log=False,
        ),
        Section(
            name="signatures",
            says="Whose signatures are under the checkpoints that end within the period. Those of witnesses are checked with their"
            " keys, from a dump; some may still come.",
            columns=("of", "name", "key id", "checkpoints", "entries covered"),
            from_log=False,
        ),
        Section(
            name="actions", says="Entries of the period, by what they say.", columns=("action", "entries")
        ),
    ),
    draw=draw,
)
