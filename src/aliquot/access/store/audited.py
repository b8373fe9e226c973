"""What came of clusters' audit logs, in its tables: what grants were used for, what was found, and when something last came."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from aliquot.access.audit.findings import DAY_S, MOST_A_DAY, Finding
from aliquot.access.audit.findings import folded as folded_finding
from aliquot.access.audit.use import MOST_COUNTED, MOST_KINDS, Count, Sort, Tally, What, folded
from aliquot.access.store.tables import audit_counted, audit_deliveries, audit_findings, audit_uses

T = TypeVar("T")

_AT_ONCE = 500
_ALL = (Sort.ALL, What())


class Audited:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- what grants were used for ---

    def uses(self, grant: str) -> Tally:
        found = self._connection.execute(select(audit_uses).where(audit_uses.c.grant == grant))
        return {(Sort(row.sort), msgspec.json.decode(row.body, type=What)): _count(row) for row in found}

    def uncounted(self, cluster: str, ids: Iterable[str]) -> set[str]:
        """Of these those that are not in the counts."""
        left = set(ids)
        for some in _parts(sorted(left)):
            found = select(audit_counted.c.id).where(
                audit_counted.c.cluster == cluster, audit_counted.c.id.in_(some)
            )
            left.difference_update(self._connection.scalars(found))
        return left

    def left_to_count(self, grant: str) -> int:
        """So many more requests of it are counted."""
        found = select(audit_uses.c.count).where(audit_uses.c.grant == grant, audit_uses.c.key == _key(*_ALL))
        return max(0, MOST_COUNTED - (self._connection.scalar(found) or 0))

    def add(self, cluster: str, grant: str, tally: Tally, counted: Iterable[tuple[str, float]]) -> None:
        """`counted`: ids of the requests that it counts, and when they came."""
        rows = [{"cluster": cluster, "id": one, "at_s": at_s} for one, at_s in counted]
        if rows:
            self._connection.execute(insert(audit_counted), rows)
        counted_kinds = (
            select(audit_uses.c.sort, func.count())
            .where(audit_uses.c.grant == grant)
            .group_by(audit_uses.c.sort)
        )
        kinds = Counter[str]()
        for told, number in self._connection.execute(counted_kinds):
            kinds[told] = number
        for (sort, what), count in tally.items():
            if self._add(grant, sort, what, count):
                continue
            if kinds[sort] >= MOST_KINDS:
                what = folded(sort, what)
                if self._add(grant, sort, what, count):
                    continue
            kinds[sort] += 1
            self._connection.execute(
                insert(audit_uses).values(
                    grant=grant,
                    key=_key(sort, what),
                    sort=sort.value,
                    body=msgspec.json.encode(what),
                    count=count.count,
                    first_s=count.first_s,
                    last_s=count.last_s,
                )
            )

    def _add(self, grant: str, sort: Sort, what: What, count: Count) -> bool:
        where = (audit_uses.c.grant == grant, audit_uses.c.key == _key(sort, what))
        row = self._connection.execute(select(audit_uses).where(*where)).first()
        if row is None:
            return False
        after = _count(row) + count
        if after != _count(row):
            self._connection.execute(update(audit_uses).where(*where).values(**msgspec.to_builtins(after)))
        return True

    # --- what was found ---

    def find(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Those of them that were not known."""
        together: dict[str, Finding] = {}
        for one in findings:
            together[one.key] = together[one.key] + one if one.key in together else one
        return tuple(new for one in together.values() for new in self._find(one))

    def _find(self, finding: Finding) -> Iterator[Finding]:
        if self._seen_again(finding):
            return
        day = int(finding.first_s // DAY_S)
        on_day = select(func.count()).where(
            audit_findings.c.cluster == finding.cluster, audit_findings.c.day == day
        )
        if (self._connection.scalar(on_day) or 0) >= MOST_A_DAY:
            finding = folded_finding(finding)
            if self._seen_again(finding):
                return
        self._connection.execute(
            insert(audit_findings).values(
                key=finding.key,
                cluster=finding.cluster,
                day=day,
                first_s=finding.first_s,
                last_s=finding.last_s,
                body=msgspec.json.encode(finding),
            )
        )
        yield finding

    def _seen_again(self, finding: Finding) -> bool:
        where = audit_findings.c.key == finding.key
        body = self._connection.scalar(select(audit_findings.c.body).where(where))
        if body is None:
            return False
        before = msgspec.json.decode(body, type=Finding)
        after = before + finding
        if after != before:
            values = {"first_s": after.first_s, "last_s": after.last_s, "body": msgspec.json.encode(after)}
            self._connection.execute(update(audit_findings).where(where).values(**values))
        return True

    def findings(
        self, *, most: int, before_s: float | None = None, cluster: str = "", grant: str | None = None
    ) -> tuple[Finding, ...]:
        """The latest first."""
        found = select(audit_findings.c.body).order_by(
            audit_findings.c.first_s.desc(), audit_findings.c.key.desc()
        )
        if before_s is not None:
            found = found.where(audit_findings.c.first_s < before_s)
        if cluster:
            found = found.where(audit_findings.c.cluster == cluster)
        decoded = (msgspec.json.decode(body, type=Finding) for body in self._connection.scalars(found))
        wanted = (one for one in decoded if grant is None or one.grant == grant)
        return tuple(one for one, _ in zip(wanted, range(most), strict=False))

    # --- deliveries ---

    def delivered_s(self, cluster: str) -> float | None:
        """When something last came; None: nothing has come yet."""
        return self._connection.scalar(
            select(audit_deliveries.c.last_s).where(audit_deliveries.c.cluster == cluster)
        )

    def deliver(self, cluster: str, now_s: float) -> None:
        where = audit_deliveries.c.cluster == cluster
        if not self._connection.execute(update(audit_deliveries).where(where).values(last_s=now_s)).rowcount:
            self._connection.execute(insert(audit_deliveries).values(cluster=cluster, last_s=now_s))

    def forget(self, before_s: float, *, most: int) -> int:
        """What is older, but of each sort no more than so many; how many that were."""
        gone = 0
        for table, at_s, keys in (
            (audit_uses, audit_uses.c.last_s, (audit_uses.c.grant, audit_uses.c.key)),
            (audit_counted, audit_counted.c.at_s, (audit_counted.c.cluster, audit_counted.c.id)),
            (audit_findings, audit_findings.c.last_s, (audit_findings.c.key,)),
        ):
            for row in self._connection.execute(select(*keys).where(at_s < before_s).limit(most)).all():
                where = [column == value for column, value in zip(keys, row, strict=True)]
                gone += self._connection.execute(delete(table).where(*where)).rowcount
        return gone


def _key(sort: Sort, what: What) -> str:
    return hashlib.sha256(msgspec.json.encode((sort, what))).hexdigest()[:32]


def _count(row: Row[Any]) -> Count:
    # A row is a tuple, which has a method of the column's name.
    return Count(row._mapping["count"], row.first_s, row.last_s)


def _parts(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(all_of_them), _AT_ONCE):
        yield all_of_them[first : first + _AT_ONCE]
