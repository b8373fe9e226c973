"""What happened since this server started, counted from the log: by whichever server it happened, each counts all of it."""

from collections import Counter
from threading import Lock

from aliquot.access.core.life.stages import Stage
from aliquot.access.log.entries import Entry, parse
from aliquot.access.store.reading import Reading
from aliquot.clock import parse_rfc3339
from aliquot.metrics.histogram import Histogram

_AGREEING = ("request.approved", "request.agreed")
_MOST_AT_ONCE = 5000
_BOUNDS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Tally:
    def __init__(self) -> None:
        self.actions: Counter[str] = Counter()
        self.approvals = 0
        self.refusals: Counter[tuple[str, str]] = Counter()
        """By what was refused, and on what ground."""
        self.findings: Counter[tuple[str, str, str]] = Counter()
        """By source, sort and cluster."""
        self.activation = Histogram(_BOUNDS_S)
        self.revocation = Histogram(_BOUNDS_S)
        self._next: int | None = None
        self._following = Lock()

    def follow(self, tx: Reading) -> bool:
        """True: there is more."""
        # Reads are in threads, and one that nobody waits for any more may still be at it.
        with self._following:
            return self._follow(tx)

    def _follow(self, tx: Reading) -> bool:
        size = tx.log.head().tree.size
        if self._next is None or self._next > size:
            self._next = size
        end = min(size, self._next + _MOST_AT_ONCE)
        for one in tx.log.entries(self._next, end):
            self._count(parse(one.body), tx)
        self._next = end
        return end < size

    def _count(self, entry: Entry, tx: Reading) -> None:
        self.actions[entry.action] += 1
        if entry.action in _AGREEING and entry.details.get("changed", {}).get("approvals"):
            self.approvals += 1
        what, _, refused = entry.action.partition(".")
        if what == "refused":
            self.refusals[refused, str(entry.details.get("ground", ""))] += 1
        elif entry.action == "finding.seen":
            details = entry.details
            self.findings[str(details["source"]), str(details["sort"]), str(details["cluster"])] += 1
        elif entry.action in ("grant.active", "grant.ended") and entry.before != entry.after:
            self._time(entry, tx)

    def _time(self, entry: Entry, tx: Reading) -> None:
        life = tx.life(entry.grant)
        if life is None:
            return
        since_s = life.began_at_s if entry.action == "grant.active" else life.over_at_s
        if since_s is None or (entry.before != Stage.ENDING and entry.action == "grant.ended"):
            # It was over before anything was made of it.
            return
        took = self.activation if entry.action == "grant.active" else self.revocation
        took.add(max(0.0, parse_rfc3339(entry.time) - since_s))
