"""Signs the log, so that who has a checkpoint can tell whether what came before it was changed since. Once a day the last one is sent to
security: what lies where only we can reach it proves nothing against us."""

import asyncio

import structlog

from aliquot.access.core.life.effects import TellCheckpoint
from aliquot.access.log.checkpoints import Inconsistent, Pace, sign_head
from aliquot.access.log.notes import SigningKey
from aliquot.access.log.storage import SignedCheckpoint
from aliquot.access.store.reading import Reading
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.clock import rfc3339
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 1.0
_DAY_S = 24 * 3600.0


class Checkpointing:
    def __init__(
        self, store: Store, key: SigningKey, *, pace: Pace | None = None, daily: bool = True
    ) -> None:
        self._store = store
        self._key = key
        self._pace = Pace() if pace is None else pace
        self._told_day = "" if daily else "never"
        self.problem = ""
        """Why nothing is signed any more; empty: it is."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if await self._store.read(self._is_due):
                    await self.sign()
                await self._tell_daily()
                self.problem = ""
            except (Unreachable, Inconsistent) as error:
                if str(error) != self.problem:
                    _log.error("log not signed", error=str(error))
                self.problem = str(error)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def sign(self) -> SignedCheckpoint | None:
        """The log as it is now; None: it is signed already. Raises Inconsistent and Unreachable."""
        return await self._store.write(lambda tx: sign_head(tx.log, self._key, tx.now_s))

    async def _tell_daily(self) -> None:
        if self._told_day == "never":
            return
        last, now_s = await self._store.read(lambda tx: (tx.log.last_checkpoint(), tx.now_s))
        day = rfc3339(now_s)[:10]
        if last is None or day == self._told_day:
            return

        def tell(tx: Transaction) -> None:
            # Each server comes here; one is the first.
            if tx.use_up("checkpoint of the day", day, until_s=tx.now_s + 2 * _DAY_S):
                told = TellCheckpoint(log=self._key.name, size=last.size, note=last.note, at_s=last.at_s)
                tx.queue("checkpoint", [told])

        await self._store.write(tell)
        self._told_day = day

    def _is_due(self, tx: Reading) -> bool:
        last = tx.log.last_checkpoint()
        size, at_s = (last.size, last.at_s) if last is not None else (0, 0.0)
        return self._pace.is_due(tx.log.head().tree.size, size, at_s, tx.now_s)
