"""Leader election over a coordination.k8s.io Lease: at most one leader at any moment, though clocks disagree.

No two machines' clocks are ever compared. A candidate measures, by its own loop's time, how long it has seen the
lease unchanged, and takes it only after the whole lease duration. The holder counts from the moment *before* it
sent its last successful renewal, and stops a good while short of that duration. So the holder has always stopped
before a candidate can start, provided that clocks tick at about the same rate and that the work stops within
`lease_duration_s - renew_deadline_s` of being cancelled. For the rest there is fencing: ask `is_leader()` right
before a write that must not happen twice; it turns False by time alone, whatever the event loop is doing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from aliquot.clock import rfc3339_micro
from aliquot.kube import errors
from aliquot.kube.api.core import Lease
from aliquot.kube.client import Client
from aliquot.kube.decoding import JsonObject
from aliquot.kube.resources import LEASES

_log = structlog.get_logger()

_RELEASE_S = 2.0


class LeaderElection:
    """A candidate for the lease `namespace/name`. `identity` must be unique to this process, not to its host."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        lease_duration_s: int = 15,
        renew_deadline_s: float = 10.0,
        retry_period_s: float = 2.0,
    ) -> None:
        if not 0 < retry_period_s < renew_deadline_s < lease_duration_s:
            raise ValueError("leader election needs retry period < renew deadline < lease duration")
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._lease_duration_s = lease_duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_period_s = retry_period_s
        self._lease: Lease | None = None
        # When this process first saw the lease as it is now.
        self._seen_at = 0.0
        self._leads_until = float("-inf")
        self._leads_until_wall = float("-inf")

    @property
    def leader(self) -> str:
        """Who held the lease when it was last seen; empty: nobody."""
        return (self._lease.spec.holder_identity or "") if self._lease else ""

    def is_leader(self) -> bool:
        """Sure to be the only one right now. Both clocks must agree: loop time stands still while a host sleeps."""
        return (
            asyncio.get_running_loop().time() < self._leads_until
            and self._client.clock.now() < self._leads_until_wall
        )

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Become leader, then run `lead()`; cancel it when the lease cannot be renewed, and stand again.

        Ends when `lead` returns, raises (as an ExceptionGroup), or this is cancelled; gives the lease back then, so
        that the next leader need not wait for it to expire.
        """
        while True:
            await self._acquire()
            _log.info("leading", lease=self._name, identity=self.identity)
            try:
                lost = await self._hold(lead)
            finally:
                await self._release()
            if not lost:
                return
            _log.warning("leadership lost", lease=self._name, identity=self.identity)

    async def _hold(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Run `lead` while renewing. True: leadership was lost; False: the work is done."""

        async def work() -> None:
            await lead()

        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self._renew(), name=f"lease {self._name}")
            working = tasks.create_task(work(), name=f"leader {self._name}")
            await asyncio.wait((renewing, working), return_when=asyncio.FIRST_COMPLETED)
            lost = not working.done()
            renewing.cancel()
            working.cancel()
        return lost

    async def _acquire(self) -> None:
        complained = ""
        while True:
            try:
                if await self._try_to_take():
                    return
                complained = ""
            except errors.ApiError as error:
                log = _log.debug if complained == error.message else _log.warning
                log("leader election cannot read or write its lease", lease=self._name, error=error.message)
                complained = error.message
            # Jitter, so that candidates do not all ask at once.
            await asyncio.sleep(self._retry_period_s * (0.8 + 0.4 * self._client.rng.random()))

    async def _try_to_take(self) -> bool:
        try:
            self._see(await self._client.get(LEASES, self._name, self._namespace, into=Lease))
        except errors.NotFound:
            return await self._create()
        lease = self._lease
        assert lease is not None
        holder = lease.spec.holder_identity or ""
        duration_s = lease.spec.lease_duration_seconds or self._lease_duration_s
        expired = asyncio.get_running_loop().time() >= self._seen_at + duration_s
        # Holding it already means that an earlier attempt succeeded and its answer was lost.
        if holder and holder != self.identity and not expired:
            return False
        now = rfc3339_micro(self._client.clock.now())
        change: JsonObject = {"holderIdentity": self.identity, "acquireTime": now}
        if holder != self.identity:
            change["leaseTransitions"] = (lease.spec.lease_transitions or 0) + 1
        try:
            await self._write(lease, change)
        except errors.Conflict:
            return False
        return self.is_leader()

    async def _create(self) -> bool:
        now = rfc3339_micro(self._client.clock.now())
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._lease_duration_s,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        obj = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
        began, began_wall = asyncio.get_running_loop().time(), self._client.clock.now()
        try:
            self._see(await self._client.create(LEASES, obj, into=Lease))
        except errors.AlreadyExists:
            return False
        self._lead_from(began, began_wall)
        return self.is_leader()

    async def _renew(self) -> None:
        """Returns when leadership is lost."""
        loop = asyncio.get_running_loop()
        while self.is_leader():
            await asyncio.sleep(min(self._retry_period_s, self._leads_until - loop.time()))
            if not self.is_leader():
                # The host slept, or its clock was set on. What was refused meanwhile is forgotten: the work begins anew.
                return
            try:
                async with asyncio.timeout_at(self._leads_until):
                    if not await self._renew_once():
                        self._leads_until = float("-inf")
            except TimeoutError:
                _log.warning("lease not renewed in time", lease=self._name)
            except errors.ApiError as error:
                _log.warning("lease not renewed", lease=self._name, error=error.message)

    async def _renew_once(self) -> bool:
        """False: another holds the lease."""
        assert self._lease is not None
        try:
            await self._write(self._lease, {})
        except errors.Conflict:
            # Another took it, or an earlier renewal of ours went through and its answer was lost.
            self._see(await self._client.get(LEASES, self._name, self._namespace, into=Lease))
            if self.leader != self.identity:
                return False
            await self._write(self._lease, {})
        return True

    async def _write(self, lease: Lease, change: JsonObject) -> None:
        """Write and lead on from the moment before. Raises Conflict if the lease is no longer as `lease`."""
        began, began_wall = asyncio.get_running_loop().time(), self._client.clock.now()
        spec = {
            "leaseDurationSeconds": self._lease_duration_s,
            "renewTime": rfc3339_micro(began_wall),
        } | change
        patch = {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": spec}
        self._see(await self._client.patch(LEASES, self._name, patch, self._namespace, into=Lease))
        self._lead_from(began, began_wall)

    async def _release(self) -> None:
        self._leads_until = self._leads_until_wall = float("-inf")
        # Best effort: what is not given back expires.
        with contextlib.suppress(errors.ApiError, TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                try:
                    await self._give_back()
                except errors.Conflict:
                    # A renewal was under way when the work ended.
                    self._see(await self._client.get(LEASES, self._name, self._namespace, into=Lease))
                    await self._give_back()

    async def _give_back(self) -> None:
        lease = self._lease
        if lease is None or lease.spec.holder_identity != self.identity:
            return
        patch = {
            "metadata": {"resourceVersion": lease.metadata.resource_version},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1},
        }
        self._see(await self._client.patch(LEASES, self._name, patch, self._namespace, into=Lease))

    def _lead_from(self, began: float, began_wall: float) -> None:
        self._leads_until = began + self._renew_deadline_s
        self._leads_until_wall = began_wall + self._renew_deadline_s

    def _see(self, lease: Lease) -> None:
        if self._lease is None or lease.metadata.resource_version != self._lease.metadata.resource_version:
            self._seen_at = asyncio.get_running_loop().time()
        self._lease = lease
