"""What the database said last of the requests that are not over: whose they are, for when it cannot be asked."""

import asyncio

import structlog

from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import FINAL, Stage
from aliquot.access.core.outage import KnownGrant, known_of
from aliquot.access.store.reading import Wanted
from aliquot.access.store.store import Store
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 10.0
_OPEN = Wanted(stages=tuple(stage for stage in Stage if stage not in FINAL))
_MOST = 100_000


class LastKnown:
    def __init__(self) -> None:
        self._known: dict[str, KnownGrant] = {}
        self._noticed: dict[str, KnownGrant | None] = {}
        """Since the last look began. None: it is over."""

    def notice(self, life: Life) -> None:
        """It has been written so."""
        found = None if life.stage in FINAL else known_of(life)
        self._noticed[life.id] = found
        self._put(life.id, found)

    async def run(self, store: Store) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look(store)
            except Unreachable as error:
                _log.warning("what is known of grants is not renewed", error=str(error))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self, store: Store) -> None:
        """At all of them: other servers write too. Raises Unreachable."""
        self._noticed = {}
        lives = await store.read(lambda tx: tx.lives(_OPEN, most=_MOST))
        self._known = {life.id: known_of(life) for life in lives}
        for grant, found in self._noticed.items():
            self._put(grant, found)

    def of(self, grant: str) -> KnownGrant | None:
        return self._known.get(grant)

    def in_cluster(self, cluster: str) -> tuple[KnownGrant, ...]:
        """Also those of which nothing has been made yet."""
        return tuple(one for one in self._known.values() if one.cluster == cluster)

    def _put(self, grant: str, found: KnownGrant | None) -> None:
        if found is None:
            self._known.pop(grant, None)
        else:
            self._known[grant] = found
