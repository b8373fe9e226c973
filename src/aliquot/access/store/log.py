"""The log in its tables. A LogStore of one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from aliquot.access.log.entries import Opening, Sealed
from aliquot.access.log.storage import Batch, Head, SignedCheckpoint
from aliquot.access.log.tree import Node
from aliquot.access.store.tables import log_checkpoints, log_entries, log_nodes, log_salts

_AT_ONCE = 1000

_ADD_ENTRIES, _ADD_SALTS, _ADD_NODES = insert(log_entries), insert(log_salts), insert(log_nodes)
_LAST_CHECKPOINT = select(log_checkpoints).order_by(log_checkpoints.c.size.desc()).limit(1)


class SqlLog:
    """`head`: of the log as this transaction sees it; `moved` is told what it has become."""

    def __init__(
        self, connection: Connection, head: Head, moved: Callable[[Head], None] | None = None
    ) -> None:
        self._connection = connection
        self._head = head
        self._moved = moved

    def head(self) -> Head:
        return self._head

    def append(self, batch: Batch) -> None:
        if self._moved is None:
            raise RuntimeError("this transaction only reads")
        if not batch.entries:
            return
        run = self._connection.execute
        run(
            _ADD_ENTRIES,
            [{"seq": one.seq, "grant": one.grant, "body": one.body} for one in batch.entries],
        )
        if openings := [opening for one in batch.entries for opening in one.openings]:
            run(
                _ADD_SALTS,
                [
                    {"seq": one.seq, "name": one.name, "salt": one.salt, "value": one.value}
                    for one in openings
                ],
            )
        run(
            _ADD_NODES,
            [
                {"level": one.node.level, "position": one.node.position, "hash": one.hash}
                for one in batch.nodes
            ],
        )
        self._head = batch.head
        self._moved(batch.head)

    def entries(self, start: int, end: int) -> Iterator[Sealed]:
        for first in range(start, end, _AT_ONCE):
            last = min(first + _AT_ONCE, end)
            openings = self._openings(first, last)
            rows = select(log_entries).where(log_entries.c.seq >= first, log_entries.c.seq < last)
            for row in self._connection.execute(rows.order_by(log_entries.c.seq)):
                yield Sealed(seq=row.seq, grant=row.grant, body=row.body, openings=openings.get(row.seq, ()))

    def of_grant(self, grant: str) -> tuple[Sealed, ...]:
        rows = select(log_entries).where(log_entries.c.grant == grant).order_by(log_entries.c.seq)
        found = self._connection.execute(rows).all()
        if not found:
            return ()
        openings = self._openings(found[0].seq, found[-1].seq + 1)
        return tuple(
            Sealed(seq=row.seq, grant=row.grant, body=row.body, openings=openings.get(row.seq, ()))
            for row in found
        )

    def bodies_of(self, grants: Sequence[str]) -> Mapping[str, list[bytes]]:
        """Of entries, by the request that they are about, in order."""
        rows = select(log_entries.c.grant, log_entries.c.body).where(log_entries.c.grant.in_(grants))
        found: dict[str, list[bytes]] = {}
        for row in self._connection.execute(rows.order_by(log_entries.c.seq)):
            found.setdefault(row.grant, []).append(row.body)
        return found

    def bodies_of_none(self) -> Iterator[bytes]:
        """Of entries that are about no request, in order."""
        last = -1
        while True:
            rows = select(log_entries.c.seq, log_entries.c.body).where(
                log_entries.c.grant == "", log_entries.c.seq > last
            )
            found = self._connection.execute(rows.order_by(log_entries.c.seq).limit(_AT_ONCE)).all()
            if not found:
                return
            yield from (row.body for row in found)
            last = found[-1].seq

    def _openings(self, start: int, end: int) -> Mapping[int, tuple[Opening, ...]]:
        rows = select(log_salts).where(log_salts.c.seq >= start, log_salts.c.seq < end)
        found = self._connection.execute(rows.order_by(log_salts.c.seq, log_salts.c.name))
        return {
            seq: tuple(
                Opening(seq=seq, name=one.name, salt=one.salt, value=one.value) for one in rows_of_entry
            )
            for seq, rows_of_entry in groupby(found, key=lambda row: row.seq)
        }

    def nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        found: dict[Node, bytes] = {}
        for first in range(0, len(wanted), _AT_ONCE // 2):
            keys = [(one.level, one.position) for one in wanted[first : first + _AT_ONCE // 2]]
            rows = select(log_nodes).where(tuple_(log_nodes.c.level, log_nodes.c.position).in_(keys))
            for row in self._connection.execute(rows):
                found[Node(row.level, row.position)] = row.hash
        return found

    def checkpoints(self, start: int, end: int) -> Iterator[SignedCheckpoint]:
        size = log_checkpoints.c.size
        rows = select(log_checkpoints).where(size >= start, size <= end).order_by(size)
        for row in self._connection.execute(rows):
            yield SignedCheckpoint(row.size, row.at_s, row.note)

    def last_checkpoint(self) -> SignedCheckpoint | None:
        row = self._connection.execute(_LAST_CHECKPOINT).first()
        return SignedCheckpoint(row.size, row.at_s, row.note) if row is not None else None

    def put_checkpoint(self, checkpoint: SignedCheckpoint) -> None:
        values = {"at_s": checkpoint.at_s, "note": checkpoint.note}
        where = log_checkpoints.c.size == checkpoint.size
        if not self._connection.execute(update(log_checkpoints).where(where).values(values)).rowcount:
            self._connection.execute(insert(log_checkpoints).values(size=checkpoint.size, **values))

    def erase(self, seq: int, name: str) -> None:
        self._connection.execute(delete(log_salts).where(log_salts.c.seq == seq, log_salts.c.name == name))
