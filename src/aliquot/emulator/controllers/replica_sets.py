"""As many pods as asked for, no more and no fewer: ReplicaSets, and ReplicationControllers, their elders."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aliquot.clock import Clock
from aliquot.emulator.controllers import conditions, ownership, pods
from aliquot.emulator.controllers.owned_pods import OwnedPods, namespace_ends
from aliquot.emulator.controllers.ownership import OWNER_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import ReplicaSet, ReplicationController, WorkloadCondition
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import Resource, key, split_key

BURST = 500
"""Pods made or deleted in one round."""

Replicated = TypeVar("Replicated", bound=ReplicaSet | ReplicationController)


@dataclass(frozen=True, slots=True)
class Plan:
    create: int = 0
    delete: tuple[Pod, ...] = ()


def plan(
    replica_set: ReplicaSet | ReplicationController,
    held: Sequence[Pod],
    crowd: Callable[[], Mapping[str, int]],
) -> Plan:
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
    replica_set: ReplicaSet | ReplicationController,
    held: Sequence[Pod],
    now: float,
    failure: WorkloadCondition | None,
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
    counted: dict[str, Any] = {}
    if isinstance(replica_set, ReplicaSet):
        # Its elder does not count them.
        counted["terminatingReplicas"] = sum(map(pods.is_terminating, held))
    return {
        **counted,
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


class ReplicaSets(Generic[Replicated]):
    """`resource` is theirs, `replica_sets` has `ownership.INDEXES`, `pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        resource: Resource,
        replica_sets: Cache[Replicated],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._resource = resource
        self._sets = replica_sets
        self._pods = pod_cache
        self._owned = OwnedPods(client, rng, recorder, resource, replica_sets, pod_cache, self._reconcile)

    async def run(self) -> None:
        await self._owned.run()

    async def _reconcile(self, replica_set: Replicated) -> float | None:
        held = await self._owned.claim(replica_set, adopts=pods.is_active)
        unseen_s = self._owned.pending_s(replica_set)
        failure = None
        if unseen_s == 0:
            wanted = plan(replica_set, held, lambda: self._crowd(replica_set, held))
            failure = await self._act(replica_set, wanted)
        again_s = await self._write_status(replica_set, held, failure)
        if failure is not None:
            raise errors.Unavailable(f"{failure.reason}: {failure.message}", code=0)
        waits = [wait for wait in (again_s, unseen_s or None) if wait is not None]
        return min(waits, default=None)

    def _crowd(self, replica_set: Replicated, held: Sequence[Pod]) -> Mapping[str, int]:
        """Active pods by node, of this ReplicaSet and of its siblings under the same owner."""
        owner = ownership.controller_of(replica_set)
        crowd = list(held)
        if owner is not None:
            for sibling in self._sets.indexed(OWNER_INDEX, owner.uid):
                if sibling.metadata.uid != replica_set.metadata.uid:
                    crowd.extend(self._pods.indexed(OWNER_INDEX, sibling.metadata.uid))
        return Counter(pod.spec.node_name for pod in crowd if pods.is_active(pod))

    async def _act(self, replica_set: Replicated, wanted: Plan) -> WorkloadCondition | None:
        metadata = replica_set.metadata
        body = pods.from_template(
            replica_set.spec.template,
            f"{metadata.name}-",
            metadata.namespace,
            ownership.reference(self._resource, replica_set),
        )
        failure = await self._owned.create(replica_set, [body] * wanted.create)
        if failure is not None:
            return None if namespace_ends(failure) else failed("FailedCreate", failure)
        failure = await self._owned.delete(replica_set, wanted.delete)
        return failed("FailedDelete", failure) if failure is not None else None

    async def _write_status(
        self, replica_set: Replicated, held: Sequence[Pod], failure: WorkloadCondition | None
    ) -> float | None:
        wanted, again_s = status(replica_set, held, self._clock.now(), failure)
        if status_differs(wanted, replica_set.status):
            patch = {"metadata": {"resourceVersion": replica_set.metadata.resource_version}, "status": wanted}
            namespace, name = split_key(key(replica_set))
            await self._client.patch(self._resource, name, patch, namespace, subresource="status")
        return again_s
