"""Asks the witnesses of the log to sign its checkpoints. One server does; each is asked by itself, so one that hangs holds up no other.

A witness that is silent, or that refuses, is told to security. Nothing that ends access waits for any of them. Whether new access does is
the installation's choice (`held`): then nobody is let in of whom only we would know.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

import aiohttp
import structlog
from msgspec.structs import replace

from aliquot.access.broker.leases import Lease
from aliquot.access.broker.notices import Notices
from aliquot.access.core.notices import Notice
from aliquot.access.log.checkpoints import with_cosignatures
from aliquot.access.log.storage import SignedCheckpoint
from aliquot.access.log.verify import Key, parse_key, parse_note, signers
from aliquot.access.log.witness.asking import Unwitnessed, ask
from aliquot.access.log.witness.request import asking
from aliquot.access.log.witness.settings import WitnessServer, WitnessSettings
from aliquot.access.store.reading import Reading
from aliquot.access.store.standing import Witnessed
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_SILENT_ROUNDS = 5
"""Before somebody is told: a witness may be restarted."""


def quorum_s(known: Mapping[str, Witnessed], names: Sequence[str], quorum: int) -> float:
    """When so many of them had last signed all that there was; 0: never."""
    moments = sorted((known.get(name, Witnessed()).current_s for name in names), reverse=True)
    return moments[quorum - 1] if len(moments) >= quorum else 0.0


def holding(settings: WitnessSettings) -> Callable[[Reading], str]:
    """Why nothing new is granted now; empty: nothing speaks against it."""
    wait_s = settings.grants_wait_after_seconds
    names = [parse_key(one.key).name for one in settings.servers]
    if wait_s is None or not names:
        return lambda tx: ""

    def held(tx: Reading) -> str:
        since_s = quorum_s(tx.witnessed(), names, settings.quorum)
        if tx.now_s - since_s <= wait_s:
            return ""
        return f"witnesses of the log have not signed it for more than {wait_s} s, and nothing new is granted without them"

    return held


class Witnessing:
    def __init__(
        self,
        store: Store,
        session: aiohttp.ClientSession,
        settings: WitnessSettings,
        *,
        lease: Lease,
        notices: Notices,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._session = session
        self._every_s = settings.every_seconds
        self._lease = lease
        self._notices = notices
        self._rng = rng
        self._witnesses = [_Witness(one) for one in settings.servers]

    async def run(self) -> None:
        """Until cancelled."""
        while self._witnesses:
            try:
                if await self._lease.is_mine():
                    await self.ask_all()
            except Unreachable as error:
                _log.warning("no witness is asked", error=str(error))
            await asyncio.sleep(self._every_s * (0.9 + 0.2 * self._rng.random()))

    async def ask_all(self) -> None:
        """Once. Raises Unreachable."""
        last = await self._store.read(lambda tx: tx.log.last_checkpoint())
        await asyncio.gather(*(self._ask(one, last) for one in self._witnesses))

    async def _ask(self, one: "_Witness", last: SignedCheckpoint | None) -> None:
        size = last.size if last is not None else 0
        try:
            if last is not None and not one.has_signed(last.note):
                await self._have_signed(one, last)
        except Unwitnessed as error:
            await self._failed(one, str(error), refused=error.refused)
            return
        one.failures = 0
        await self._store.write(lambda tx: tx.witness(one.key.name, Witnessed(size, tx.now_s)))

    async def _have_signed(self, one: "_Witness", last: SignedCheckpoint) -> None:
        """Raises Unwitnessed."""

        async def prepare(old: int) -> bytes:
            return await self._store.read(lambda tx: asking(tx.log, last.note, old))

        lines = await ask(self._session, one.url, prepare, old=one.seen)

        def keep(tx: Transaction) -> None:
            # Another may have signed it meanwhile.
            (now,) = tx.log.checkpoints(last.size, last.size)
            tx.log.put_checkpoint(replace(now, note=with_cosignatures(now.note, lines, [one.key])))

        try:
            await self._store.write(keep)
        except ValueError as error:
            raise Unwitnessed(f"{one.url}: {error}", refused=True) from error
        one.seen = last.size

    async def _failed(self, one: "_Witness", why: str, *, refused: bool) -> None:
        _log.warning("not witnessed", witness=one.key.name, why=why)
        one.failures += 1
        known = await self._store.read(lambda tx: tx.witnessed().get(one.key.name, Witnessed()))
        await self._store.write(lambda tx: tx.witness(one.key.name, replace(known, problem=why)))
        if refused or one.failures >= _SILENT_ROUNDS:
            sort = "refuses to sign" if refused else "silent"
            await self._notices.tell([Notice(source="witness", sort=sort, about=one.key.name, why=why)])


class _Witness:
    def __init__(self, server: WitnessServer) -> None:
        self.url = server.url
        self.key: Key = parse_key(server.key)
        self.seen = 0
        """As far as we remember: it knows better."""
        self.failures = 0

    def has_signed(self, note: str) -> bool:
        return self.key in signers(parse_note(note), [self.key])
