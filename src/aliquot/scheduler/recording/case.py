"""All that one pass of the cycle goes by, in one hand."""

from collections.abc import Mapping

from msgspec import Struct

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.core.victims import Guards


class Case(Struct, frozen=True):
    """The arguments of `cycle.run`. To run it changes what it refers to, as a cycle does."""

    snapshot: Snapshot
    pending: Pending
    rankings: Rankings
    topologies: Mapping[str, Topology] = {}
    limit: int | None = None
    backfill: Backfill | None = None
    guards: Guards | None = None
    landings: Landings | None = None
    staleness: Staleness | None = None
    now_s: float = 0.0
    steady_s: float = 0.0

    def run(self) -> Outcome:
        return cycle.run(
            self.snapshot,
            self.pending,
            self.rankings,
            self.topologies,
            limit=self.limit,
            backfill=self.backfill,
            guards=self.guards,
            landings=self.landings,
            staleness=self.staleness,
            now_s=self.now_s,
            steady_s=self.steady_s,
        )
