"""What somebody found goes into the log and to security, once: whoever looks finds it again each minute, and so does each server.

Nothing that is put right waits for it. What cannot be written now is kept, and written as soon as it can be."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import structlog

from aliquot.access.broker import drafts
from aliquot.access.broker.waking import Waking
from aliquot.access.core.life.effects import TellNotice
from aliquot.access.core.notices import MOST_TOLD_AN_HOUR, Notice, is_news, noticed
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_AGAIN_S = 5.0
_MOST_KEPT = 1000
_MOST_AT_ONCE = 100


class Notices:
    def __init__(self, store: Store, waking: Waking) -> None:
        self._store = store
        self._waking = waking
        self._kept: OrderedDict[str, Notice] = OrderedDict()

    async def tell(self, found: Iterable[Notice]) -> None:
        """In the log when it returns, unless nothing can be written there now. Raises nothing."""
        for one in map(noticed, found):
            self._kept[one.key] = one
            if len(self._kept) > _MOST_KEPT:
                _, lost = self._kept.popitem(last=False)
                _log.error("not logged: too much waits", found=lost.about, sort=lost.sort)
        await self._write()

    async def run(self) -> None:
        """Until cancelled: what could not be written is tried again."""
        while True:
            await asyncio.sleep(_AGAIN_S)
            await self._write()

    async def _write(self) -> None:
        while self._kept:
            some = list(self._kept.values())[:_MOST_AT_ONCE]
            try:
                await self._store.write(lambda tx, some=some: note(tx, some))  # type: ignore[misc]
            except Unreachable as error:
                _log.warning("findings wait for the database", waiting=len(self._kept), error=str(error))
                return
            for one in some:
                if self._kept.get(one.key) == one:
                    del self._kept[one.key]
            self._waking.wake()


def note(tx: Transaction, found: Iterable[Notice]) -> None:
    """Those that are news, into the log and the outbox."""
    for one in found:
        known = tx.notice(one.key)
        if known is not None and not is_news(told_s=known.told_s, seen_s=known.seen_s, now_s=tx.now_s):
            tx.saw(one, known.told_s)
            continue
        already = tx.told_lately(one.source, one.cluster)
        tx.saw(one, tx.now_s)
        tx.append([drafts.of_notice("finding.seen", one, tx.now_s)])
        if already < MOST_TOLD_AN_HOUR:
            _tell(tx, one)
        elif already == MOST_TOLD_AN_HOUR:
            _tell(tx, _too_many(one))


def _tell(tx: Transaction, one: Notice) -> None:
    tx.queue(f"finding.{one.key}", [TellNotice(notice=one, at_s=tx.now_s)])


def _too_many(one: Notice) -> Notice:
    return Notice(
        source=one.source,
        sort="too many",
        cluster=one.cluster,
        about="findings",
        why=f"more than {MOST_TOLD_AN_HOUR} within an hour: the others are in the log only",
    )
