"""Carries out what was decided: makes and removes grants, tells people, comments on tickets. Of one grant one thing after the other in
each lane; what fails is tried again, and what is known to have come of it is put to the request.

Of several servers one claims each effect, and holds it for as long as that takes. What a server held that died is another's once its
claim has run out, and at once where there is only one at a time: that alone is ever done twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog

from aliquot.access.broker import drafts
from aliquot.access.broker.around import HeldBack, Outside
from aliquot.access.broker.broker import Broker, NotThere
from aliquot.access.broker.waking import Waking
from aliquot.access.cluster.making import NotMade, NotRemoved
from aliquot.access.core.life.effects import (
    Audience,
    CommentTicket,
    Effect,
    MakeGrant,
    News,
    Notify,
    OpenReview,
    RemoveGrant,
    TellCheckpoint,
    TellNotice,
    Undelivered,
)
from aliquot.access.core.life.events import Event, Made, MakeFailed, Removed, RemoveFailed
from aliquot.access.core.notices import plain
from aliquot.access.store.reading import Queued
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.kube.errors import ApiError
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

LANES: tuple[tuple[str, ...], ...] = (
    (MakeGrant.__name__, RemoveGrant.__name__),
    (Notify.__name__, OpenReview.__name__, TellNotice.__name__, TellCheckpoint.__name__),
    (CommentTicket.__name__,),
)
"""A mail server that does not answer keeps no grant from ending."""
_AT_ONCE = 32
_LOOK_EVERY_S = 1.0
CLAIM_S = 20.0
"""After so long, what a dead server was doing is done by another."""
_HOLD_EVERY_S = 5.0
_FIRST_AGAIN_S, _LAST_AGAIN_S = 1.0, 60.0
_MOST_TELLINGS = 12
"""Then somebody who is not reached is given up, and the log says so."""


class CarryingOut:
    def __init__(
        self,
        store: Store,
        broker: Broker,
        outside: Outside,
        *,
        owner: str,
        waking: Waking,
        rng: random.Random,
        alone: bool = False,
    ) -> None:
        """`owner`: a name that no other process has, nor this one after a restart. `alone`: there is no other server, so that whatever
        is claimed is of one that died."""
        self._store = store
        self._broker = broker
        self._outside = outside
        self._owner = owner
        self._waking = waking
        self._rng = rng
        self._is_to_take_over = alone
        self._busy: list[dict[str, int]] = [{} for _ in LANES]
        """Of each lane, by life what is being carried out."""
        self._do: Mapping[str, Callable[[Effect], Awaitable[Event | None]]] = {
            MakeGrant.__name__: self._make,
            RemoveGrant.__name__: self._remove,
            Notify.__name__: self._notify,
            OpenReview.__name__: self._open_review,
            CommentTicket.__name__: self._comment,
            TellNotice.__name__: self._notice,
            TellCheckpoint.__name__: self._checkpoint,
        }

    async def run(self) -> None:
        """Until cancelled. What it was doing then, others may do at once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hold(), name="claims")
                while True:
                    try:
                        await self._start_what_is_due(tasks)
                    except Unreachable as error:
                        _log.warning("nothing is carried out", error=str(error))
                    await self._waking.wait(most_s=_LOOK_EVERY_S)
        finally:
            try:
                await self._store.write(lambda tx: tx.let_go(self._owner))
            except Unreachable as error:
                _log.warning("others have to wait for what was claimed here", error=str(error))

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(_HOLD_EVERY_S)
            held = [number for busy in self._busy for number in busy.values()]
            if not held:
                continue
            try:
                await self._store.write(
                    lambda tx, held=held: tx.hold(held, owner=self._owner, for_s=CLAIM_S)  # type: ignore[misc]
                )
            except Unreachable as error:
                _log.warning("not held any longer", error=str(error))

    async def _start_what_is_due(self, tasks: asyncio.TaskGroup) -> None:
        if self._is_to_take_over:
            await self._store.write(lambda tx: tx.take_over(self._owner))
            self._is_to_take_over = False
        for lane, kinds in enumerate(LANES):
            busy = self._busy[lane]
            if len(busy) >= _AT_ONCE:
                continue
            for one in await self._claimed(kinds, busy):
                busy[one.life] = one.number
                tasks.create_task(self._carry_out(lane, one), name=f"{one.kind} of {one.life}")

    async def _claimed(self, kinds: Sequence[str], busy: Mapping[str, int]) -> Sequence[Queued]:
        most = _AT_ONCE - len(busy)
        # Mostly there is nothing, and a look costs less than a write.
        if not await self._store.read(lambda tx: tx.queued(kinds, most=1, busy=busy, owner=self._owner)):
            return ()
        return await self._store.write(
            lambda tx: tx.claim(kinds, most=most, busy=busy, owner=self._owner, for_s=CLAIM_S)
        )

    async def _carry_out(self, lane: int, queued: Queued) -> None:
        try:
            await self._once(queued)
        except Unreachable as error:
            # It stays in the outbox.
            _log.warning(
                "not written what came of it", effect=queued.kind, grant=queued.life, error=str(error)
            )
        finally:
            del self._busy[lane][queued.life]
            self._waking.wake()

    async def _once(self, queued: Queued) -> None:
        effect: Effect = msgspec.json.decode(queued.body, type=Effect)
        try:
            event = await self._do[queued.kind](effect)
        except (ApiError, Undelivered, HeldBack, TimeoutError, OSError) as error:
            await self._again(queued, effect, plain(str(error)))
            return
        if event is not None:
            try:
                await self._broker.put(queued.life, event, None)
            except NotThere:
                _log.error("nothing is known of this grant", grant=queued.life)
        await self._store.write(lambda tx: tx.done(queued))

    async def _again(self, queued: Queued, effect: Effect, problem: str) -> None:
        gives_up = not isinstance(effect, MakeGrant | RemoveGrant) and queued.attempts + 1 >= _MOST_TELLINGS
        delay_s = min(_FIRST_AGAIN_S * 2 ** min(queued.attempts, 10), _LAST_AGAIN_S)
        delay_s *= 0.5 + self._rng.random()

        def work(tx: Transaction) -> None:
            life = tx.life(queued.life)
            if not gives_up:
                tx.again(queued, due_s=tx.now_s + delay_s, problem=problem, owner=self._owner)
                return
            tx.done(queued)
            if life is not None:
                tx.append([drafts.of_grant("gave_up", life, None, tx.now_s, effect=queued.kind)])
            elif isinstance(effect, TellNotice):
                tx.append([drafts.of_notice("finding.untold", effect.notice, tx.now_s)])

        _log.warning("tried again", effect=queued.kind, grant=queued.life, error=problem, gives_up=gives_up)
        await self._store.write(work)
        if isinstance(effect, RemoveGrant) and not queued.attempts:
            # Access may outlast its end by what the cluster has for that: somebody has to know.
            news = Notify(news=News.NOT_REMOVED, id=effect.id, to=(Audience.SECURITY,))
            await self._store.write(lambda tx: tx.queue(effect.id, [news]))

    # --- what is done ---

    async def _make(self, effect: Effect) -> Event | None:
        assert isinstance(effect, MakeGrant)
        life = await self._store.read(lambda tx: tx.life(effect.spec.id))
        if life is None or effect.fence < life.fence:
            # Something else has been decided since, which is in the outbox behind it.
            return None
        agent = self._outside.agents.get(effect.spec.cluster)
        if agent is None:
            return MakeFailed(
                fence=effect.fence,
                why=f"nobody looks after cluster {effect.spec.cluster}: name it in the configuration",
            )
        try:
            await agent.make(effect.spec, effect.fence)
        except NotMade as error:
            return MakeFailed(fence=effect.fence, why=plain(str(error)))
        return Made(fence=effect.fence)

    async def _remove(self, effect: Effect) -> Event | None:
        assert isinstance(effect, RemoveGrant)
        agent = self._outside.agents.get(effect.cluster)
        if agent is None:
            return RemoveFailed(fence=effect.fence, why=f"nobody looks after cluster {effect.cluster}")
        try:
            await agent.remove(effect.id, effect.namespace, effect.fence)
        except NotRemoved as error:
            return RemoveFailed(fence=effect.fence, why=plain(str(error)))
        return Removed(fence=effect.fence)

    async def _notify(self, effect: Effect) -> Event | None:
        assert isinstance(effect, Notify)
        life = await self._store.read(lambda tx: tx.life(effect.id))
        if life is not None:
            await self._outside.notifier.notify(effect, life)
        return None

    async def _open_review(self, effect: Effect) -> Event | None:
        assert isinstance(effect, OpenReview)
        await self._notify(Notify(news=News.EMERGENCY, id=effect.id, to=(Audience.REVIEWERS,)))
        return None

    async def _notice(self, effect: Effect) -> Event | None:
        assert isinstance(effect, TellNotice)
        await self._outside.notifier.notice(effect)
        return None

    async def _checkpoint(self, effect: Effect) -> Event | None:
        assert isinstance(effect, TellCheckpoint)
        await self._outside.notifier.checkpoint(effect)
        return None

    async def _comment(self, effect: Effect) -> Event | None:
        assert isinstance(effect, CommentTicket)
        await self._outside.tickets.comment(effect)
        return None
