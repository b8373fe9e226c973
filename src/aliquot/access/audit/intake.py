"""Takes what clusters' audit logs say: what is of a grant is counted, what should not be goes into the log and is told, and all else,
which is nearly all of it, is forgotten at once. What comes again changes nothing."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

import structlog
from msgspec import Struct

from aliquot.access.audit import checks
from aliquot.access.audit.checks import Looked
from aliquot.access.audit.events import Event
from aliquot.access.audit.findings import Finding, notice_of
from aliquot.access.audit.joining import Known, credentials_of, grants_of, whose
from aliquot.access.audit.silence import SILENT_AFTER_S, silence, spans_of
from aliquot.access.audit.use import tally
from aliquot.access.broker.notices import note
from aliquot.access.broker.waking import Waking
from aliquot.access.core.notices import noticed
from aliquot.access.store.reading import Reading
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

KEPT_S = 400 * 86_400
"""How long what came of it is kept, unless an installation says another time."""
AHEAD_S = 3600.0
"""An API server whose clock is so far ahead is given no credentials for; what it says of later would never be forgotten."""
_AT_ONCE = 500
_NOTED_EVERY_S = 5.0
_LOOK_EVERY_S = 30.0


class Taken(Struct, frozen=True):
    """What came of a delivery."""

    events: int = 0
    uses: int = 0
    """Requests of grants that were not known yet."""
    findings: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.events + other.events, self.uses + other.uses, self.findings + other.findings)


class Intake:
    def __init__(
        self,
        store: Store,
        waking: Waking,
        *,
        kept_s: float = KEPT_S,
        silent_after_s: Mapping[str, float] | None = None,
    ) -> None:
        """`silent_after_s`: by cluster, where it is not SILENT_AFTER_S."""
        self._store = store
        self._waking = waking
        self._kept_s = kept_s
        self._silent_after_s = silent_after_s or {}

    async def take(self, cluster: str, events: Sequence[Event]) -> Taken:
        """Raises Unreachable and Unloggable: not all of it is written then, and it is to come again."""
        taken = Taken()
        for first in range(0, max(1, len(events)), _AT_ONCE):
            some = events[first : first + _AT_ONCE]
            taken += await self._store.write(lambda tx, some=some: self._take(tx, cluster, some))  # type: ignore[misc]
        if taken.findings:
            self._waking.wake()
        return taken

    async def run(self, clusters: Sequence[str]) -> None:
        """Until cancelled. `clusters`: those that are to deliver."""
        while True:
            try:
                await self.look_for_silence(clusters)
                while await self.forget() >= _AT_ONCE:
                    pass
            except Unreachable as error:
                _log.warning("not looked whether audit logs come", error=str(error))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look_for_silence(self, clusters: Iterable[str]) -> None:
        """Raises Unreachable and Unloggable."""
        for one in clusters:
            if await self._store.read(lambda tx, one=one: self._silence(tx, one)) is None:  # type: ignore[misc]
                continue
            if await self._store.write(lambda tx, one=one: _tell(tx, filter(None, [self._silence(tx, one)]))):  # type: ignore[misc]
                self._waking.wake()

    async def forget(self) -> int:
        """What is older than it is kept; so many records of it. Raises Unreachable."""
        return await self._store.write(lambda tx: tx.audited.forget(tx.now_s - self._kept_s, most=_AT_ONCE))

    def _take(self, tx: Transaction, cluster: str, events: Sequence[Event]) -> Taken:
        found = list(filter(None, [self._silence(tx, cluster)]))
        heard_s = tx.audited.delivered_s(cluster)
        if heard_s is None or tx.now_s - heard_s >= _NOTED_EVERY_S:
            tx.audited.deliver(cluster, tx.now_s)
        fresh = [one for one in events if tx.now_s - self._kept_s < one.at_s < tx.now_s + AHEAD_S]
        if ahead := sum(one.at_s >= tx.now_s + AHEAD_S for one in events):
            _log.error(
                "audit events of a time that is yet to come are left out", cluster=cluster, events=ahead
            )
        known = _known(tx, fresh)
        uses = 0
        for grant, of_grant in _by_grant(fresh, cluster, known).items():
            uses += _count(tx, cluster, grant, of_grant)
        found += _found(fresh, cluster, known)
        return Taken(len(events), uses, _tell(tx, found))

    def _silence(self, tx: Reading, cluster: str) -> Finding | None:
        most_s = self._silent_after_s.get(cluster, SILENT_AFTER_S)
        heard_s = tx.audited.delivered_s(cluster)
        if heard_s is not None and tx.now_s - heard_s <= most_s:
            return None
        spans = spans_of(tx.let_in_since(cluster, heard_s or 0.0))
        return silence(cluster, heard_s, tx.now_s, spans, most_s=most_s)


def _known(tx: Transaction, events: Sequence[Event]) -> Known:
    credentials = tx.given(credentials_of(events))
    ids = grants_of(events) | {one.grant for one in credentials.values()}
    return Known(tx.lives_of(ids), credentials)


def _by_grant(events: Iterable[Event], cluster: str, known: Known) -> dict[str, list[Event]]:
    """A cluster speaks of its own grants alone: what it says of another's is a finding, and counts for nothing."""
    found: dict[str, list[Event]] = {}
    for event in events:
        joined = whose(event, known)
        life = known.lives.get(joined.grant) if joined is not None else None
        if life is not None and life.request.cluster == cluster:
            found.setdefault(life.id, []).append(event)
    return found


def _count(tx: Transaction, cluster: str, grant: str, events: Sequence[Event]) -> int:
    came_s = {one.id: one.received_s for one in events}
    new = sorted(tx.audited.uncounted(cluster, came_s), key=lambda one: (came_s[one], one))
    new = new[: tx.audited.left_to_count(grant)]
    tx.audited.add(cluster, grant, tally(events, new), [(one, came_s[one]) for one in new])
    return len(new)


def _found(events: Iterable[Event], cluster: str, known: Known) -> Iterator[Finding]:
    for event in events:
        joined = whose(event, known)
        if joined is not None or checks.concerns(event):
            yield from checks.found(Looked(event=event, cluster=cluster, whose=joined, known=known))


def _tell(tx: Transaction, findings: Iterable[Finding]) -> int:
    """How many of them are new: each is in the log before anybody is told."""
    new = tx.audited.find(findings)
    note(tx, [noticed(notice_of(one)) for one in new])
    return len(new)
