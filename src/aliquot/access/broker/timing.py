"""Time: at each moment that changes something about a request it is looked at, and at all that are open every minute, since people and
templates change without telling anybody. Nothing is set to go off: what is due is a row whose moment has passed.

Every server looks at what is due, so that none has to die first: a request changes once, by whoever is first. At all that are open one
of them looks, since others are asked about each."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from aliquot.access.broker.broker import Broker, No, NotThere
from aliquot.access.broker.leases import Lease
from aliquot.access.store.store import Store
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_LOOK_AT_ALL_EVERY_S = 60.0
_LEASE_S = 90.0


async def keep_time(broker: Broker, store: Store, owner: str) -> None:
    """Until cancelled. `owner`: this process."""
    lease = Lease(store, "looking at all that is open", owner, for_s=_LEASE_S)

    async def look_at_all() -> None:
        if await lease.is_mine():
            await broker.look_at_all()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_always(broker.look_at_due, _LOOK_EVERY_S), name="what is due")
        tasks.create_task(_always(look_at_all, _LOOK_AT_ALL_EVERY_S), name="all that is open")
        tasks.create_task(_always(broker.tell_refusals, _LOOK_AT_ALL_EVERY_S), name="what was refused")


async def _always(look: Callable[[], Awaitable[object]], every_s: float) -> None:
    while True:
        try:
            await look()
        except (Unreachable, No, NotThere) as error:
            _log.warning("looked at in vain", error=str(error))
        await asyncio.sleep(every_s)
