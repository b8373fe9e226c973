"""Time: at each moment that changes something about a request it is looked at, and at all that are open every minute, since people and
templates change without telling anybody. Nothing is set to go off: what is due is a row whose moment has passed."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from aliquot.access.broker.broker import Broker, No, NotThere
from aliquot.access.store.database import Unreachable

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_LOOK_AT_ALL_EVERY_S = 60.0


async def keep_time(broker: Broker) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_always(broker.look_at_due, _LOOK_EVERY_S), name="what is due")
        tasks.create_task(_always(broker.look_at_all, _LOOK_AT_ALL_EVERY_S), name="all that is open")
        tasks.create_task(_always(broker.tell_refusals, _LOOK_AT_ALL_EVERY_S), name="what was refused")


async def _always(look: Callable[[], Awaitable[object]], every_s: float) -> None:
    while True:
        try:
            await look()
        except (Unreachable, No, NotThere) as error:
            _log.warning("looked at in vain", error=str(error))
        await asyncio.sleep(every_s)
