"""Events are forgotten an hour after they were last seen."""

import asyncio

import structlog

from aliquot.clock import Clock
from aliquot.emulator.controllers import pods
from aliquot.kube import errors
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS

TTL_S = 3600.0
PERIOD_S = 60.0

_log = structlog.get_logger()


class EventSeries(Wire, kw_only=True, frozen=True):
    last_observed_time: str | None = None


class EventTimes(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    last_timestamp: str | None = None
    event_time: str | None = None
    series: EventSeries | None = None


def last_seen(event: EventTimes) -> float:
    """Unix time."""
    series = event.series.last_observed_time if event.series is not None else None
    times = (series, event.last_timestamp, event.event_time, event.metadata.creation_timestamp)
    return max(pods.seconds(found) for found in times)


class EventTtl:
    def __init__(self, client: Client, clock: Clock, events: Cache[EventTimes]) -> None:
        self._client = client
        self._clock = clock
        self._events = events

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except errors.ApiError as error:
                _log.warning("events not swept", error=error.message)
            await asyncio.sleep(PERIOD_S)

    async def sweep(self) -> None:
        """Raises ApiError."""
        oldest = self._clock.now() - TTL_S
        for event in [found for found in self._events.values() if last_seen(found) < oldest]:
            metadata = event.metadata
            try:
                await self._client.delete(
                    EVENTS,
                    metadata.name,
                    metadata.namespace,
                    uid=metadata.uid,
                    resource_version=metadata.resource_version,
                )
            except (errors.NotFound, errors.Conflict):
                continue
