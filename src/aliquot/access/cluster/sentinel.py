"""Deletes what is past due: a process of its own, with an identity that may delete and no more, and no database.

It knows nothing of requests. It lists what says that it is of a grant, and what says no end that can be read, or one that has
passed, it deletes, as it was when it was seen. Each look begins from nothing: what failed is found again by the next. What it cannot
list or delete it tells (log, metrics, an Event), and goes on with the rest.

Its clock is the later of its own and the API server's: neither being slow lengthens access.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

from aliquot.access.cluster import heartbeat, making
from aliquot.access.cluster.naming import (
    HEARTBEAT,
    KINDS,
    LABEL,
    NAMESPACE,
    SENTINEL,
    Ours,
    ends_at,
    is_ours,
    where,
)
from aliquot.access.core.times import MOST_SKEW_S
from aliquot.clock import rfc3339
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import LEASES, Resource
from aliquot.metrics.exposition import Family, Kind, Sample, labels, render

_log = structlog.get_logger(__name__)

EVERY_S = 5.0
"""Between two looks at what has the label."""
WHOLE_EVERY = 12
"""Every so many looks, all objects of the kinds are looked at: one may have lost its label."""
LATE_S = 120.0
"""What is still there so long after its end, nobody else has taken away: somebody has to know."""
_HEARTBEAT = {"metadata": {"name": HEARTBEAT, "namespace": NAMESPACE}}


@dataclass(frozen=True, slots=True)
class Condemned:
    resource: Resource
    seen: Ours
    why: str
    is_late: bool
    """Whether it should have been gone long ago."""


def condemned(resource: Resource, found: Iterable[Ours], now_s: float) -> Iterator[Condemned]:
    """What of these is ours and has no business to be there any more. Pure."""
    for seen in found:
        if not is_ours(seen.metadata):
            continue
        end_s = ends_at(seen.metadata.annotations)
        if end_s is None:
            yield Condemned(resource, seen, "it says no end that can be read", is_late=True)
        elif end_s <= now_s:
            yield Condemned(resource, seen, f"it ended at {rfc3339(end_s)}", is_late=now_s - end_s > LATE_S)


class Sentinel:
    def __init__(self, client: Client, *, rng: random.Random, every_s: float = EVERY_S) -> None:
        self._client = client
        self._rng = rng
        self._every_s = every_s
        self._recorder = Recorder(client, SENTINEL, min_interval_s=60.0)
        self._looks = 0
        self._deleted: dict[str, int] = dict.fromkeys((one.plural for one in KINDS), 0)
        self._failures = 0
        self._last_whole_s = 0.0
        """When a look last failed at nothing."""
        self._beat_age_s: float | None = None
        self._ahead_s = 0.0
        self._told = ""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run(), name="events of the sentinel")
            while True:
                await self.look()
                await asyncio.sleep(self._every_s * (0.8 + 0.4 * self._rng.random()))

    def waits_for(self) -> str:
        """For a probe: empty once it has looked at everything."""
        return "" if self._last_whole_s else "a first look at everything"

    async def look(self) -> None:
        """Once over everything. What goes wrong is told, and raises nothing."""
        failures = self._failures
        now_s = await self._now_s()
        whole = self._looks % WHOLE_EVERY == 0
        self._looks += 1
        for resource in KINDS:
            for one in await self._condemned(resource, now_s, whole=whole):
                await self._delete(one)
        await self._look_at_broker(now_s)
        if self._failures == failures:
            self._last_whole_s = self._client.clock.now()

    async def metrics(self) -> str:
        return render(self._families())

    async def _now_s(self) -> float:
        own_s = self._client.clock.now()
        try:
            server_s = await self._client.server_time_s()
        except errors.ApiError as error:
            self._failed("the API server's time cannot be told", error)
            return own_s
        if server_s is None:
            return own_s
        self._ahead_s = own_s - server_s
        if abs(self._ahead_s) > MOST_SKEW_S + 1:
            _log.warning("clocks differ", ahead_s=round(self._ahead_s, 1))
        return max(own_s, server_s)

    async def _condemned(self, resource: Resource, now_s: float, *, whole: bool) -> list[Condemned]:
        selector = "" if whole else LABEL
        try:
            listed = await self._client.list(resource, where(resource), label_selector=selector, into=Ours)
        except errors.ApiError as error:
            self._failed(f"{resource.plural} cannot be listed", error)
            return []
        for one in listed.unreadable:
            _log.error("cannot be read", kind=resource.kind, object=one.key, why=one.reason)
        return list(condemned(resource, listed.items, now_s))

    async def _delete(self, one: Condemned) -> None:
        metadata = one.seen.metadata
        named = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
        try:
            await making.delete(self._client, one.resource, one.seen)
        except errors.Conflict:
            # It has been changed meanwhile: its end may have been moved. The next look knows.
            return
        except errors.ApiError as error:
            self._failed(f"{one.resource.kind} {named} cannot be deleted", error)
            if one.is_late:
                self._alarm("NotDeleted", f"{one.resource.kind} {named} cannot be deleted, and {one.why}")
            return
        if one.is_late:
            self._alarm("PastDue", f"{one.resource.kind} {named} had to be deleted: {one.why}")
        self._deleted[one.resource.plural] += 1
        _log.warning("deleted", kind=one.resource.kind, object=named, why=one.why)

    async def _look_at_broker(self, now_s: float) -> None:
        try:
            self._beat_age_s = await heartbeat.age_s(self._client, now_s)
        except errors.ApiError as error:
            self._failed("the broker's heartbeat cannot be read", error)
            return
        if self._beat_age_s is None:
            told = "there has been no heartbeat of the access broker"
        elif self._beat_age_s > heartbeat.OLD_S:
            told = f"the access broker's last heartbeat is more than {heartbeat.OLD_S:.0f} s old"
        else:
            told = ""
        if told:
            text = f"{told}: nobody revokes, and grants end by themselves"
            self._alarm("BrokerSilent", text)
        if told != self._told:
            (_log.error if told else _log.info)("broker", state=told or "alive")
        self._told = told

    def _alarm(self, reason: str, text: str) -> None:
        """Where the server reads it, and `kubectl get events`."""
        self._recorder.event(LEASES, _HEARTBEAT, Severity.WARNING, reason, text)

    def _failed(self, what: str, error: errors.ApiError) -> None:
        self._failures += 1
        _log.warning(what, error=error.message)

    def _families(self) -> Iterator[Family]:
        yield Family(
            "aliquot_access_sentinel_deleted_total",
            Kind.COUNTER,
            "Objects of grants that were past due, or said no end.",
            [Sample(labels(("resource", kind)), count) for kind, count in self._deleted.items()],
        )
        for name, kind, text, value in (
            ("failures_total", Kind.COUNTER, "What could not be listed, deleted or read.", self._failures),
            (
                "last_success_timestamp_seconds",
                Kind.GAUGE,
                "When a look last failed at nothing.",
                self._last_whole_s,
            ),
            ("clock_ahead_seconds", Kind.GAUGE, "Of the API server's, by the second.", self._ahead_s),
            (
                "broker_silent",
                Kind.GAUGE,
                "1: the broker's heartbeat is old, or missing.",
                float(bool(self._told)),
            ),
        ):
            yield Family(f"aliquot_access_sentinel_{name}", kind, text, [Sample("", value)])
        if self._beat_age_s is not None:
            yield Family(
                "aliquot_access_sentinel_broker_heartbeat_age_seconds",
                Kind.GAUGE,
                "Since the broker's last heartbeat.",
                [Sample("", self._beat_age_s)],
            )
