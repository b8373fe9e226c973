"""What pods refer to besides nodes and other pods: namespaces by their labels, claims, volumes and their classes.

Followed from when the first pod refers to such a thing; most clusters of GPUs never ask for labels of namespaces, and some
for no volume. Until then, and before it is all known, such pods wait.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aliquot.kube.api.core import Namespace, Pod
from aliquot.kube.api.storage import Claim, StorageClass, Volume
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    STORAGECLASSES,
    key,
)
from aliquot.scheduler.pod_rules import selects_namespaces

_TOGETHER_S = 0.1
"""Volumes that change within that time are looked at once."""
_SETTLING_S = 5.0


class OnDemand:
    """Caches that are begun when somebody first asks."""

    def __init__(self, *caches: Cache[Any]) -> None:
        self._caches = caches
        self._asked = asyncio.Event()
        self.ready: Callable[[], None] = lambda: None
        self._known = asyncio.Event()

    def ask(self) -> bool:
        """Whether all is known. `ready` is called when it is."""
        self._asked.set()
        return self._known.is_set()

    @property
    def is_awaited(self) -> bool:
        """Somebody has asked, and not all is known."""
        return self._asked.is_set() and not self._known.is_set()

    async def known(self) -> None:
        await self._known.wait()

    async def run(self) -> None:
        await self._asked.wait()
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches:
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")
            for cache in self._caches:
                await cache.synced()
            self._known.set()
            self.ready()


class Surroundings:
    def __init__(self, client: Client, pods: Cache[Pod]) -> None:
        self._pods = pods
        self._namespaces = Cache(client, NAMESPACES, Namespace, optional=True)
        self.claims = Cache(client, PERSISTENTVOLUMECLAIMS, Claim, optional=True)
        self.volumes = Cache(
            client,
            PERSISTENTVOLUMES,
            Volume,
            optional=True,
            indexes={"class": lambda v: (v.spec.storage_class_name,)},
        )
        self.classes = Cache(client, STORAGECLASSES, StorageClass, optional=True)
        self.of_namespaces = OnDemand(self._namespaces)
        self.of_claims = OnDemand(self.claims, self.volumes, self.classes)
        self.reserved: dict[str, str] = {}
        """Volumes that were decided on, and the claims that they are for."""
        self._had_alone: dict[str, str] = {}
        self._users: dict[str, dict[str, None]] = {}
        """Pods that name a claim and have not ended, by the claim's key."""
        self._read_again: Callable[[Collection[str]], None] = lambda names: None
        self._looking_again: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.of_namespaces.run(), name="namespaces")
            tasks.create_task(self.of_claims.run(), name="claims")

    async def settled(self) -> None:
        """Wait for a moment until what pods have referred to so far is known, so that none is told that it is not."""
        awaited = [one for one in (self.of_namespaces, self.of_claims) if one.is_awaited]
        if awaited:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SETTLING_S):
                    for one in awaited:
                        await one.known()

    def follow(
        self, read_again: Callable[[Collection[str]], None], namespaces_changed: Callable[[], None]
    ) -> Callable[[], None]:
        """Start to listen: `read_again` is given the keys of pods for which something changed."""
        self._read_again = read_again

        def all_that_select_namespaces() -> None:
            namespaces_changed()
            read_again([key(pod) for pod in self._pods.values() if selects_namespaces(pod)])

        def namespace_changed(old: Namespace | None, new: Namespace | None) -> None:
            before, now = (one.metadata.labels if one is not None else None for one in (old, new))
            if self.of_namespaces.ask() and (before != now or None in (old, new)):
                all_that_select_namespaces()

        self.of_namespaces.ready = all_that_select_namespaces
        self.of_claims.ready = self._all_with_claims
        stops = [
            self._pods.subscribe(self._pod_changed),
            self._namespaces.subscribe(namespace_changed),
            self.claims.subscribe(lambda old, new: self._claim_changed(old or new)),
            self.volumes.subscribe(lambda old, new: self._look_again_soon()),
            self.classes.subscribe(lambda old, new: self._look_again_soon()),
        ]

        def stop() -> None:
            if self._looking_again is not None:
                self._looking_again.cancel()
                self._looking_again = None
            for one in stops:
                one()

        return stop

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Their labels."""
        return {one.metadata.name: one.metadata.labels or {} for one in self._namespaces.values()}

    def users(self, claim: str) -> Iterable[Pod]:
        """The pods that name the claim and have not ended."""
        return [pod for name in self._users.get(claim, ()) if (pod := self._pods.get(name)) is not None]

    def take_alone(self, claim: str, pod: str) -> bool:
        """The pod was decided on, and is the only one that may have the claim. False: another has it."""
        return self._had_alone.setdefault(claim, pod) == pod

    def leave(self, pod: str) -> None:
        """The pod is on its node, where all can see that it has its claims, or has none after all."""
        for claim in [claim for claim, holder in self._had_alone.items() if holder == pod]:
            del self._had_alone[claim]
            self._read_again([user for user in self._users.get(claim, ()) if user != pod])

    def others_with(self, claim: str, pod: Pod) -> list[str]:
        """Keys of the other pods that have the claim, or are to have it."""
        name = key(pod)
        found = {key(user) for user in self.users(claim) if user.spec.node_name}
        if claim in self._had_alone:
            found.add(self._had_alone[claim])
        return sorted(found - {name})

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        before = claims_of(old) if old is not None else ()
        now = claims_of(new) if new is not None and not new.status.has_ended else ()
        either = new or old
        assert either is not None
        name = key(either)
        for claim in before:
            if claim not in now and name in self._users.get(claim, {}):
                del self._users[claim][name]
                if not self._users[claim]:
                    del self._users[claim]
                # Those that may not share it.
                self._read_again(list(self._users.get(claim, ())))
        for claim in now:
            self._users.setdefault(claim, {})[name] = None

    def _claim_changed(self, claim: Claim | None) -> None:
        assert claim is not None
        if self.of_claims.ask():
            self._read_again(list(self._users.get(key(claim), ())))

    def _look_again_soon(self) -> None:
        if self.of_claims.ask() and self._looking_again is None:
            self._looking_again = asyncio.get_running_loop().call_later(_TOGETHER_S, self._all_with_claims)

    def _all_with_claims(self) -> None:
        self._looking_again = None
        names = dict.fromkeys(name for users in self._users.values() for name in users)
        self._read_again(
            [name for name in names if (pod := self._pods.get(name)) is not None and not pod.spec.node_name]
        )


def claims_of(pod: Pod) -> tuple[str, ...]:
    """Keys of the claims that it mounts."""
    return tuple(
        f"{pod.metadata.namespace}/{name}"
        for volume in pod.spec.volumes or ()
        if (name := volume.claim_name(pod.metadata.name))
    )
