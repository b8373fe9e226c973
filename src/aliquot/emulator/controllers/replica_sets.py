"""ReplicaSets: as many pods as asked for, no more and no fewer."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator import selectors
from aliquot.emulator.controllers import conditions, ownership, pods
from aliquot.emulator.controllers.batches import slow_start
from aliquot.emulator.controllers.expectations import Expectations
from aliquot.emulator.controllers.ownership import ORPHAN_INDEX, OWNER_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import ReplicaSet, WorkloadCondition
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, REPLICASETS, key, split_key

BURST = 500
"""Pods made or deleted in one round."""


@dataclass(frozen=True, slots=True)
class Plan:
    create: int = 0
    delete: tuple[Pod, ...] = ()


def plan(replica_set: ReplicaSet, held: Sequence[Pod], crowd: Callable[[], Mapping[str, int]]) -> Plan:
    """What to do about the number of pods. `crowd` is for `pods.in_order_of_deletion`, asked only where some must go."""
    if replica_set.metadata.deletion_timestamp is not None:
        return Plan()
    active = [pod for pod in held if pods.is_active(pod)]
    surplus = len(active) - replica_set.spec.replicas
    if surplus < 0:
        return Plan(create=min(-surplus, BURST))
    if surplus == 0:
        return Plan()
    return Plan(delete=tuple(pods.in_order_of_deletion(active, crowd())[: min(surplus, BURST)]))


def status(
    replica_set: ReplicaSet, held: Sequence[Pod], now: float, failure: WorkloadCondition | None
) -> tuple[dict[str, Any], float | None]:
    """The status to write, complete, and the seconds after which it would change by itself.

    `failure` is the ReplicaFailure condition of this round, None when everything went well.
    """
    spec = replica_set.spec
    wanted = ((spec.template.get("metadata") or {}).get("labels") or {}).items()
    active = [pod for pod in held if pods.is_active(pod)]
    ready = [pod for pod in active if pods.is_ready(pod)]
    later = _not_yet_available(ready, spec.min_ready_seconds, now)
    known = tuple(replica_set.status.conditions or ())
    found = (
        conditions.put(known, failure, now)
        if failure is not None
        else conditions.without(known, "ReplicaFailure")
    )
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(wanted <= (pod.metadata.labels or {}).items() for pod in active) or None,
        "readyReplicas": len(ready) or None,
        "availableReplicas": (len(ready) - len(later)) or None,
        "observedGeneration": replica_set.metadata.generation,
        "conditions": conditions.to_json(found) or None,
    }, min(later, default=None)


def _not_yet_available(ready: Sequence[Pod], min_ready_s: int, now: float) -> list[float]:
    """For each ready pod that is to prove itself first, the seconds left."""
    if not min_ready_s:
        return []
    moments = [(pods.ready_since(pod) or 0.0) + min_ready_s for pod in ready]
    return [moment - now for moment in moments if moment > now]


def failed(reason: str, error: errors.ApiError) -> WorkloadCondition:
    return WorkloadCondition(type="ReplicaFailure", status="True", reason=reason, message=error.message)


class ReplicaSets:
    """`replica_sets` has `ownership.INDEXES`, `pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        replica_sets: Cache[ReplicaSet],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._sets = replica_sets
        self._pods = pod_cache
        self._expected = Expectations(pod_cache.get)
        self._sizes: dict[str, int] = {}
        self.controller = Controller("replicasets", self.reconcile, rng=rng, workers=4)
        pod_cache.subscribe(self._expected.observe)
        pod_cache.subscribe(self._pod_changed)
        self.controller.watch(replica_sets)

    async def run(self) -> None:
        await self.controller.run()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            owner = ownership.controller_of(pod)
            if owner is not None and owner.kind == REPLICASETS.kind:
                self._gather(f"{pod.metadata.namespace}/{owner.name}")
        if new is not None and ownership.newly_orphaned(old, new):
            self._orphan(new)

    def _gather(self, name: str) -> None:
        self.controller.enqueue_after(name, pods.gather_s(self._sizes.get(name, 0)))

    def _orphan(self, pod: Pod) -> None:
        """Whoever could take it on is asked."""
        for candidate in self._sets.values():
            if candidate.metadata.namespace != pod.metadata.namespace:
                continue
            if selectors.from_object(candidate.spec.selector).matches(pod.metadata.labels):
                self.controller.enqueue(key(candidate))

    async def reconcile(self, name: str) -> float | None:
        try:
            return await self._reconcile(name)
        except errors.NotFound:
            # Something went away meanwhile. The caches will show it, and that is another call.
            return None

    async def _reconcile(self, name: str) -> float | None:
        replica_set = self._sets.get(name)
        if replica_set is None:
            self._expected.forget(name)
            self._sizes.pop(name, None)
            return None
        held = await self._claim(replica_set)
        self._sizes[name] = len(held)
        unseen_s = self._expected.pending_s(name)
        failure = None
        if unseen_s == 0:
            wanted = plan(replica_set, held, lambda: self._crowd(replica_set, held))
            failure = await self._act(name, replica_set, wanted)
        again_s = await self._write_status(replica_set, held, failure)
        if failure is not None:
            raise errors.Unavailable(f"{failure.reason}: {failure.message}", code=0)
        waits = [wait for wait in (again_s, unseen_s or None) if wait is not None]
        return min(waits, default=None)

    async def _claim(self, replica_set: ReplicaSet) -> list[Pod]:
        selector = selectors.from_object(replica_set.spec.selector)
        candidates = [
            *self._pods.indexed(OWNER_INDEX, replica_set.metadata.uid),
            *self._pods.indexed(ORPHAN_INDEX, replica_set.metadata.namespace),
        ]
        claim = ownership.claim(replica_set, selector, candidates)
        owner = ownership.reference(REPLICASETS, replica_set)
        held = list(claim.held)
        namespace = replica_set.metadata.namespace
        for pod in claim.adopt:
            if not pods.is_active(pod):
                continue
            patch = ownership.adoption_patch(pod, owner)
            held.append(await self._client.patch(PODS, pod.metadata.name, patch, namespace, into=Pod))
        for pod in claim.release:
            patch = ownership.release_patch(pod, replica_set.metadata.uid)
            try:
                await self._client.patch(PODS, pod.metadata.name, patch, namespace)
            except errors.NotFound:
                continue
        return held

    def _crowd(self, replica_set: ReplicaSet, held: Sequence[Pod]) -> Mapping[str, int]:
        """Active pods by node, of this ReplicaSet and of its siblings under the same owner."""
        owner = ownership.controller_of(replica_set)
        crowd = list(held)
        if owner is not None:
            for sibling in self._sets.indexed(OWNER_INDEX, owner.uid):
                if sibling.metadata.uid != replica_set.metadata.uid:
                    crowd.extend(self._pods.indexed(OWNER_INDEX, sibling.metadata.uid))
        return Counter(pod.spec.node_name for pod in crowd if pods.is_active(pod))

    async def _act(self, name: str, replica_set: ReplicaSet, wanted: Plan) -> WorkloadCondition | None:
        metadata = replica_set.metadata
        body = pods.from_template(
            replica_set.spec.template,
            f"{metadata.name}-",
            metadata.namespace,
            ownership.reference(REPLICASETS, replica_set),
        )

        async def create(_: int) -> None:
            made = await self._client.create(PODS, body, metadata.namespace, into=Pod)
            self._expected.created(name, made)
            self._tell(replica_set, Severity.NORMAL, "SuccessfulCreate", f"Created pod: {made.metadata.name}")

        async def delete(pod: Pod) -> None:
            try:
                await self._client.delete(PODS, pod.metadata.name, metadata.namespace, uid=pod.metadata.uid)
            except errors.NotFound:
                return
            self._expected.deleted(name, pod)
            self._tell(replica_set, Severity.NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

        failure = await slow_start(range(wanted.create), create)
        if failure is not None:
            # A namespace that ends refuses new pods: nothing to complain about, and nothing to try again.
            if _namespace_ends(failure):
                return None
            self._tell(replica_set, Severity.WARNING, "FailedCreate", f"Error creating: {failure.message}")
            return failed("FailedCreate", failure)
        failure = await slow_start(wanted.delete, delete)
        if failure is not None:
            self._tell(replica_set, Severity.WARNING, "FailedDelete", f"Error deleting: {failure.message}")
            return failed("FailedDelete", failure)
        return None

    def _tell(self, replica_set: ReplicaSet, severity: Severity, reason: str, message: str) -> None:
        self._recorder.event(REPLICASETS, replica_set, severity, reason, message)

    async def _write_status(
        self, replica_set: ReplicaSet, held: Sequence[Pod], failure: WorkloadCondition | None
    ) -> float | None:
        wanted, again_s = status(replica_set, held, self._clock.now(), failure)
        if status_differs(wanted, replica_set.status):
            patch = {"metadata": {"resourceVersion": replica_set.metadata.resource_version}, "status": wanted}
            namespace, name = split_key(key(replica_set))
            await self._client.patch(REPLICASETS, name, patch, namespace, subresource="status")
        return again_s


def _namespace_ends(error: errors.ApiError) -> bool:
    causes = (error.details.causes if error.details else None) or ()
    return any(cause.reason == "NamespaceTerminating" for cause in causes)
