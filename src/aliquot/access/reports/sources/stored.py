"""From the database, as one transaction sees it: requests as they are kept, and what the log has of them."""

from base64 import b64encode
from collections.abc import Iterator, Sequence

from aliquot.access.audit.use import summary
from aliquot.access.core.policy import Policy
from aliquot.access.log.dump import dump
from aliquot.access.log.entries import Entry, parse
from aliquot.access.log.verify import Key
from aliquot.access.reports.checking import checked
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import MOST_FINDINGS, Checked, Material, Record
from aliquot.access.store.reading import Reading


def material(
    tx: Reading, period: Period, *, origin: str, keys: Sequence[Key], policy: Policy | None
) -> Material:
    log = tx.log
    tree = log.head().tree

    def records() -> Iterator[Record]:
        for lives in tx.asked_before(period.to_s):
            bodies = log.bodies_of([life.id for life in lives])
            for life in lives:
                yield Record(life, tuple(map(parse, bodies.get(life.id, ()))))

    def loose() -> Iterator[Entry]:
        return map(parse, log.bodies_of_none())

    def check() -> Checked:
        if not keys:
            return Checked(None, ())
        return checked(dump(log, origin, tree.size, with_personal=True), keys)

    return Material(
        now_s=tx.now_s,
        origin=origin,
        records=records,
        loose=loose,
        checkpoints=lambda: log.checkpoints(0, tree.size),
        entries=tree.size,
        root=b64encode(tree.root).decode(),
        policy=policy,
        use=lambda life: summary(life.id, life.request.rules, tx.audited.uses(life.id)),
        findings=lambda: tx.audited.findings(most=MOST_FINDINGS, before_s=period.to_s),
        check=check,
    )
