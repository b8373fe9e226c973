"""Grants in one cluster, for the broker: makes and removes them one step after the other, gives out credentials, and looks again
and again whether what is there is what was granted.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from weakref import WeakValueDictionary

import structlog

from aliquot.access.cluster import credentials, entering, heartbeat, making
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.cluster.findings import Finding, Sort, alarms, findings
from aliquot.access.cluster.known_grants import known_grants
from aliquot.access.cluster.making import NotMade, NotRemoved
from aliquot.access.cluster.naming import KINDS, LABEL, NAMESPACE, Ours, where
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.outage import KnownGrant
from aliquot.kube import errors
from aliquot.kube.api.core import Event
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS
from aliquot.kube.roles import CLUSTER_ROLES

_log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 60.0
_REMEMBERED = 10_000

Live = Callable[[], Awaitable[Sequence[GrantSpec]]]
"""The grants that are to be in this cluster now, or are being made. Asked after the cluster was."""

WhyNot = Callable[[str], str]
"""Of a grant: one line, or empty."""
Tell = Callable[[Sequence[Finding]], Awaitable[None]]


async def _nobody(found: Sequence[Finding]) -> None:
    pass


def _nothing(grant: str) -> str:
    return ""


class Agent:
    """`tell` has what was found before it is put right; it raises nothing."""

    def __init__(self, client: Client, *, tell: Tell = _nobody) -> None:
        self._client = client
        self._tell = tell
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._removed: OrderedDict[str, int] = OrderedDict()
        """By grant, the highest fence of a removal: what is older is not made any more. The last ones: what is made late in spite
        of it, the next sweep takes away."""

    async def make(self, spec: GrantSpec, fence: int) -> None:
        """Raises NotMade and ApiError."""
        async with self._lock(spec.id):
            if fence < self._removed.get(spec.id, -1):
                raise NotMade(f"{spec.id} has been taken away since")
            if why := await entering.why_not(self._client, spec):
                raise NotMade(why)
            await making.make(self._client, spec)

    async def remove(self, grant: str, namespace: str, fence: int) -> None:
        """Raises NotRemoved."""
        self._removed[grant] = max(fence, self._removed.pop(grant, -1))
        while len(self._removed) > _REMEMBERED:
            self._removed.popitem(last=False)
        # Whatever is being made of it just now: its credentials are to be dead at once.
        try:
            await making.revoke(self._client, grant)
        except errors.ApiError as error:
            _log.warning("not revoked at once", grant=grant, error=error.message)
        async with self._lock(grant):
            await making.remove(self._client, grant, namespace)

    async def mint(self, spec: GrantSpec) -> Credential:
        """Raises NotMinted, ClocksDiffer and ApiError."""
        if why := await entering.why_not(self._client, spec):
            raise NotMinted(why)
        return await credentials.mint(self._client, spec)

    async def there(self, cluster: str) -> tuple[KnownGrant, ...]:
        """The grants that the cluster has anything of, as it says itself. `cluster`: its name here. Raises ApiError."""
        found = {
            resource: (
                await self._client.list(resource, where(resource), label_selector=LABEL, into=Ours)
            ).items
            for resource in KINDS
        }
        return known_grants(cluster, found)

    async def run(self, live: Live, why_not: WhyNot = _nothing) -> None:
        """Looks and beats until cancelled; what fails is told, and tried again. `why_not`: why nothing is made of a grant now."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name="heartbeat of the access broker")
            while True:
                try:
                    await self.sweep(live, why_not)
                except errors.ApiError as error:
                    _log.warning("cluster not looked at", error=error.message)
                await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, live: Live, why_not: WhyNot = _nothing) -> tuple[Finding, ...]:
        """Once: what differs is told, and put right. Raises ApiError where it cannot be looked at."""
        found = {resource: (await self._client.list(resource, where(resource))).items for resource in KINDS}
        now_s = self._client.clock.now()
        specs = {spec.id: spec for spec in await live() if spec.end_s > now_s}
        told = (
            *findings(found, list(specs.values())),
            *await self._changed_roles(specs.values()),
            *await self._alarms(),
        )
        broken = {one.grant for one in told if one.sort in (Sort.MISSING, Sort.CHANGED)}
        for one in told:
            _log.warning("found", finding=str(one))
        if told:
            await self._tell(told)
        for one in told:
            if one.ours and one.sort in (Sort.LEFT_OVER, Sort.BYPASS):
                await self._take_away(one)
        for grant in sorted(broken):
            if why := why_not(grant):
                _log.error("not repaired", grant=grant, why=why)
                continue
            await self._repair(specs[grant], live)
        return told

    async def _alarms(self) -> list[Finding]:
        """What the sentinel has told lately."""
        try:
            listed = await self._client.list(EVENTS, NAMESPACE, into=Event)
        except errors.ApiError as error:
            _log.warning("not known what the sentinel tells", error=error.message)
            return []
        return list(alarms(listed.items, self._client.clock.now()))

    async def _changed_roles(self, specs: Iterable[GrantSpec]) -> list[Finding]:
        """A ClusterRole is not the agent's to put right: it is told for as long as a grant is bound to it."""
        return [
            Finding(Sort.CHANGED, CLUSTER_ROLES, "", spec.role, spec.id, why)
            for spec in specs
            if (why := await making.why_not_role(self._client, spec))
        ]

    async def _repair(self, spec: GrantSpec, live: Live) -> None:
        async with self._lock(spec.id):
            # It may have ended while others were repaired.
            current = next((one for one in await live() if one.id == spec.id), None)
            if current is None or spec.id in self._removed:
                return
            try:
                await making.make(self._client, current)
            except (NotMade, errors.ApiError) as error:
                _log.error("not repaired", grant=spec.id, why=str(error))

    async def _take_away(self, one: Finding) -> None:
        if one.grant and one.sort is Sort.LEFT_OVER:
            async with self._lock(one.grant):
                try:
                    await making.remove(self._client, one.grant, one.namespace)
                except NotRemoved as error:
                    _log.error("not taken away", finding=str(one), why=str(error))
            return
        seen = Ours(metadata=ObjectMeta(name=one.name, namespace=one.namespace))
        try:
            await making.delete(self._client, one.resource, seen)
        except errors.ApiError as error:
            _log.error("not taken away", finding=str(one), why=error.message)

    def _lock(self, grant: str) -> asyncio.Lock:
        return self._locks.setdefault(grant, asyncio.Lock())

    async def _beat(self) -> None:
        while True:
            try:
                await heartbeat.beat(self._client)
            except errors.ApiError as error:
                _log.warning("no heartbeat", error=error.message)
            await asyncio.sleep(heartbeat.EVERY_S)
