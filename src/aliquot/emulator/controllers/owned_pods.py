"""The pods that objects of one kind control: found, taken on and given up, made and deleted.

What a controller of ReplicaSets, Jobs or DaemonSets does alike. It is asked about an owner when the owner or one of
its pods changes, or when a pod appears that it may take on. It makes pods in careful batches and tells of each; what
it did and does not see yet is `pending_s`, and while that lasts it is to do nothing more.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from aliquot.emulator.controllers import notices, ownership, pods
from aliquot.emulator.controllers.batches import slow_start
from aliquot.emulator.controllers.expectations import Expectations
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.ownership import ORPHAN_INDEX, OWNER_INDEX, HasMetadata
from aliquot.kube import errors, selectors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, Resource, key


class HasSelector(Protocol):
    @property
    def selector(self) -> dict[str, Any] | None: ...


class PodOwner(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...

    @property
    def spec(self) -> HasSelector: ...


Owner = TypeVar("Owner", bound=PodOwner)


@dataclass(frozen=True, slots=True)
class Wording:
    """What events say: of `{pod}`, of its `{owner}`, and of the `{error}` where there was one."""

    created: str = "Created pod: {pod}"
    deleted: str = "Deleted pod: {pod}"
    not_created: str = "Error creating: {error}"
    not_deleted: str = "Error deleting: {error}"


class OwnedPods(Generic[Owner]):
    """`reconcile` is asked about each owner, `gone` about the key of one that is no more.

    `pod_cache` has `pods.INDEXES`. `looks_at`: how many objects beside pods each look goes through. `finalizer`, where there is one, is held by every pod that is owned.
    """

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        recorder: Recorder,
        resource: Resource,
        owners: Cache[Owner],
        pod_cache: Cache[Pod],
        reconcile: Callable[[Owner], Awaitable[float | None]],
        *,
        gone: Callable[[str], Awaitable[None]] | None = None,
        looks_at: Callable[[], int] = lambda: 0,
        finalizer: str = "",
        wording: Wording = Wording(),
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._resource = resource
        self._owners = owners
        self._pods = pod_cache
        self._reconcile_owner = reconcile
        self._gone = gone
        self._looks_at = looks_at
        self._finalizer = finalizer
        self._wording = wording
        self._expected = Expectations(pod_cache.get)
        self._sizes: dict[str, int] = {}
        self.controller = Controller(resource.plural, self.reconcile, rng=rng, workers=4)
        pod_cache.subscribe(self._expected.observe)
        pod_cache.subscribe(self._pod_changed)
        self.controller.watch(owners)

    async def run(self) -> None:
        await self.controller.run()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            owner = ownership.controller_of(pod)
            if owner is not None and owner.kind == self._resource.kind:
                self.look_soon(f"{pod.metadata.namespace}/{owner.name}")
        if new is not None and ownership.newly_orphaned(old, new):
            for candidate in self._owners.values():
                if candidate.metadata.namespace == new.metadata.namespace and self._selects(candidate, new):
                    self.controller.enqueue(key(candidate))

    def look_soon(self, name: str) -> None:
        """At the owner of this key, and at what else changes until then."""
        size = max(self._sizes.get(name, 0), self._looks_at())
        self.controller.enqueue_after(name, pods.gather_s(size))

    def _selects(self, owner: Owner, pod: Pod) -> bool:
        return selectors.from_object(owner.spec.selector).matches(pod.metadata.labels)

    async def reconcile(self, name: str) -> float | None:
        owner = self._owners.get(name)
        try:
            if owner is not None:
                return await self._reconcile_owner(owner)
            self._expected.forget(name)
            self._sizes.pop(name, None)
            if self._gone is not None:
                await self._gone(name)
        except errors.NotFound:
            # Something went away meanwhile. The caches will show it, and that is another call.
            pass
        return None

    # ---- who is whose --------------------------------------------------------------------------------------

    async def claim(self, owner: Owner, *, adopts: Callable[[Pod], bool] = lambda pod: True) -> list[Pod]:
        """The owner's pods, after taking on orphans that it selects and giving up those that it no longer does."""
        uid, namespace = owner.metadata.uid, owner.metadata.namespace
        candidates = [
            *self._pods.indexed(OWNER_INDEX, uid),
            *self._pods.indexed(ORPHAN_INDEX, namespace),
        ]
        claim = ownership.claim(owner, selectors.from_object(owner.spec.selector), candidates)
        reference = ownership.reference(self._resource, owner)
        held = list(claim.held)
        for pod in claim.adopt:
            if not adopts(pod):
                continue
            patch = ownership.adoption_patch(pod, reference)
            if self._finalizer:
                patch["metadata"]["finalizers"] = [*(pod.metadata.finalizers or ()), self._finalizer]
            held.append(await self._client.patch(PODS, pod.metadata.name, patch, namespace, into=Pod))
        for pod in claim.release:
            patch = ownership.release_patch(pod, uid)
            if self._finalizer:
                patch["metadata"]["finalizers"] = without(pod, self._finalizer)
            try:
                await self._client.patch(PODS, pod.metadata.name, patch, namespace)
            except errors.NotFound:
                continue
        self._sizes[key(owner)] = len(held)
        return held

    def pending_s(self, owner: Owner) -> float:
        """Seconds for which what was done may still be unseen; 0 when all has been seen."""
        return self._expected.pending_s(key(owner))

    # ---- making and deleting -------------------------------------------------------------------------------

    async def create(self, owner: Owner, bodies: Sequence[dict[str, Any]]) -> errors.ApiError | None:
        """Answers the first failure; all of them have been told."""
        namespace = owner.metadata.namespace

        async def one(body: dict[str, Any]) -> None:
            name = body["metadata"].get("name", "")
            try:
                made = await self._client.create(PODS, body, namespace, into=Pod)
            except errors.ApiError as error:
                if not namespace_ends(error):
                    self.warn(owner, "FailedCreate", self._say(self._wording.not_created, owner, name, error))
                raise
            self._expected.created(key(owner), made)
            said = self._say(self._wording.created, owner, made.metadata.name)
            self.tell(owner, "SuccessfulCreate", said)

        return await slow_start(bodies, one)

    async def delete(self, owner: Owner, doomed: Sequence[Pod]) -> errors.ApiError | None:
        """Answers the first failure; all of them have been told."""
        namespace = owner.metadata.namespace

        async def one(pod: Pod) -> None:
            name = pod.metadata.name
            try:
                await self._client.delete(PODS, name, namespace, uid=pod.metadata.uid)
            except errors.NotFound:
                return
            except errors.ApiError as error:
                self.warn(owner, "FailedDelete", self._say(self._wording.not_deleted, owner, name, error))
                raise
            self._expected.deleted(key(owner), pod)
            self.tell(owner, "SuccessfulDelete", self._say(self._wording.deleted, owner, name))

        return await slow_start(doomed, one)

    def _say(self, text: str, owner: Owner, pod: str, error: errors.ApiError | None = None) -> str:
        message = error.message if error is not None else ""
        return text.format(pod=pod, owner=owner.metadata.name, error=message)

    def note(self, owner: HasMetadata, notice: Notice) -> None:
        notices.tell(self._recorder, self._resource, owner, notice)

    def tell(self, owner: HasMetadata, reason: str, message: str) -> None:
        self._recorder.event(self._resource, owner, Severity.NORMAL, reason, message)

    def warn(self, owner: HasMetadata, reason: str, message: str) -> None:
        self._recorder.event(self._resource, owner, Severity.WARNING, reason, message)


def without(pod: Pod, finalizer: str) -> list[str] | None:
    """Its finalizers but one, for a patch."""
    return [name for name in pod.metadata.finalizers or () if name != finalizer] or None


def namespace_ends(error: errors.ApiError) -> bool:
    """A namespace that ends refuses new objects: nothing to complain about, and nothing to try again."""
    causes = (error.details.causes if error.details else None) or ()
    return any(cause.reason == "NamespaceTerminating" for cause in causes)
