"""Deployments: the shell around `revisions` (which ReplicaSet), `rollouts` (how large) and `deployment_status`."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.controllers import deployment_status, ownership, pods, revisions, rollouts
from aliquot.emulator.controllers.ownership import ORPHAN_INDEX, OWNER_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import Deployment, ReplicaSet
from aliquot.kube import errors, selectors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import DEPLOYMENTS, REPLICASETS, key


class Deployments:
    """`replica_sets` has `ownership.INDEXES`, `pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        deployments: Cache[Deployment],
        replica_sets: Cache[ReplicaSet],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._deployments = deployments
        self._sets = replica_sets
        self._pods = pod_cache
        self.controller = Controller("deployments", self.reconcile, rng=rng, workers=4)
        self.controller.watch(deployments)
        replica_sets.subscribe(self._replica_set_changed)
        pod_cache.subscribe(self._pod_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _replica_set_changed(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        for found in (old, new):
            if found is None:
                continue
            owner = ownership.controller_of(found)
            if owner is not None and owner.kind == DEPLOYMENTS.kind:
                self.controller.enqueue(f"{found.metadata.namespace}/{owner.name}")
        if new is not None and ownership.newly_orphaned(old, new):
            self._orphan(new)

    def _orphan(self, replica_set: ReplicaSet) -> None:
        for candidate in self._deployments.values():
            if candidate.metadata.namespace == replica_set.metadata.namespace and selectors.from_object(
                candidate.spec.selector
            ).matches(replica_set.metadata.labels):
                self.controller.enqueue(key(candidate))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Recreate waits for old pods to end: the one thing that no ReplicaSet's status tells."""
        if old is None or (new is not None and pods.is_active(new) == pods.is_active(old)):
            return
        owner = ownership.controller_of(old)
        replica_set = self._sets.get(f"{old.metadata.namespace}/{owner.name}") if owner is not None else None
        deployment = ownership.controller_of(replica_set) if replica_set is not None else None
        if deployment is not None and deployment.kind == DEPLOYMENTS.kind:
            self.controller.enqueue(f"{old.metadata.namespace}/{deployment.name}")

    async def reconcile(self, name: str) -> float | None:
        try:
            return await self._reconcile(name)
        except errors.NotFound:
            # Something went away meanwhile. The caches will show it, and that is another call.
            return None

    async def _reconcile(self, name: str) -> float | None:
        deployment = self._deployments.get(name)
        if deployment is None:
            return None
        held = await self._claim(deployment)
        new = revisions.current(deployment, held)
        old = [found for found in held if found is not new]
        created = ""
        if deployment.metadata.deletion_timestamp is None:
            if new is None and not deployment.spec.paused:
                created = await self._create(deployment, old)
            else:
                await self._resize(deployment, new, old)
            if new is not None:
                await self._note_revision(deployment, new, old)
        again_s = await self._write_status(deployment, held, new, created)
        if deployment_status.is_complete(deployment, held, new):
            await self._clean_up(deployment, old)
        return again_s

    async def _claim(self, deployment: Deployment) -> list[ReplicaSet]:
        namespace = deployment.metadata.namespace
        candidates = [
            *self._sets.indexed(OWNER_INDEX, deployment.metadata.uid),
            *self._sets.indexed(ORPHAN_INDEX, namespace),
        ]
        claim = ownership.claim(deployment, selectors.from_object(deployment.spec.selector), candidates)
        held = list(claim.held)
        owner = ownership.reference(DEPLOYMENTS, deployment)
        for found in claim.adopt:
            patch = ownership.adoption_patch(found, owner)
            held.append(
                await self._client.patch(REPLICASETS, found.metadata.name, patch, namespace, into=ReplicaSet)
            )
        for found in claim.release:
            patch = ownership.release_patch(found, deployment.metadata.uid)
            await self._client.patch(REPLICASETS, found.metadata.name, patch, namespace)
        return held

    async def _create(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> str:
        """The name of the ReplicaSet that was made, empty when it was there already and the cache lags."""
        size = rollouts.size_of_new(deployment, None, old)
        body = revisions.new_replica_set(deployment, old, size, rollouts.maximum(deployment))
        name = body["metadata"]["name"]
        namespace = deployment.metadata.namespace
        try:
            await self._client.create(REPLICASETS, body, namespace)
        except errors.AlreadyExists:
            there = await self._client.get(REPLICASETS, name, namespace, into=ReplicaSet)
            holder = ownership.controller_of(there)
            ours = holder is not None and holder.uid == deployment.metadata.uid
            if ours and revisions.same_template(there.spec.template, deployment.spec.template):
                return ""
            await self._count_collision(deployment)
            return ""
        self._tell_scaled(deployment, name, 0, size)
        return str(name)

    async def _count_collision(self, deployment: Deployment) -> None:
        """Another template, or another owner, has the name: the next attempt gets another one."""
        patch = {
            "metadata": {"resourceVersion": deployment.metadata.resource_version},
            "status": {"collisionCount": deployment.status.collision_count + 1},
        }
        await self._patch_status(deployment, patch)

    async def _resize(
        self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]
    ) -> None:
        sizes = rollouts.wanted_sizes(deployment, new, old, old_pods_remain=self._pods_remain(old))
        for found in [*([new] if new is not None else []), *old]:
            size = sizes.get(found.metadata.name, found.spec.replicas)
            patch = self._patch(deployment, new, old, found, size)
            if patch is None:
                continue
            await self._client.patch(REPLICASETS, found.metadata.name, patch, found.metadata.namespace)
            if size != found.spec.replicas:
                self._tell_scaled(deployment, found.metadata.name, found.spec.replicas, size)

    def _patch(
        self,
        deployment: Deployment,
        new: ReplicaSet | None,
        old: Sequence[ReplicaSet],
        found: ReplicaSet,
        size: int,
    ) -> dict[str, Any] | None:
        """What is to change of one ReplicaSet: its size, its annotations, its minReadySeconds."""
        held = found.metadata.annotations or {}
        annotations: dict[str, str] = {}
        spec: dict[str, Any] = {}
        if found is new:
            annotations |= revisions.annotations_due(deployment, found, old)
            if found.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
                spec["minReadySeconds"] = deployment.spec.min_ready_seconds
        if found is new or size != found.spec.replicas or found.spec.replicas > 0:
            sized = {
                revisions.DESIRED: str(deployment.spec.replicas),
                revisions.MAXIMUM: str(rollouts.maximum(deployment)),
            }
            annotations |= {name: value for name, value in sized.items() if held.get(name) != value}
        if size != found.spec.replicas:
            spec["replicas"] = size
        if not annotations and not spec:
            return None
        metadata: dict[str, Any] = {"resourceVersion": found.metadata.resource_version}
        if annotations:
            metadata["annotations"] = annotations
        return {"metadata": metadata, **({"spec": spec} if spec else {})}

    def _pods_remain(self, old: Sequence[ReplicaSet]) -> bool:
        return any(
            pod.status.phase not in pods.TERMINAL_PHASES
            for found in old
            for pod in self._pods.indexed(OWNER_INDEX, found.metadata.uid)
        )

    async def _note_revision(
        self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]
    ) -> None:
        wanted = str(max(revisions.number(new), revisions.next_number(old)))
        if (deployment.metadata.annotations or {}).get(revisions.REVISION) == wanted:
            return
        # By way of the status, where annotations are no new generation.
        await self._patch_status(deployment, {"metadata": {"annotations": {revisions.REVISION: wanted}}})

    async def _write_status(
        self, deployment: Deployment, held: Sequence[ReplicaSet], new: ReplicaSet | None, created: str
    ) -> float | None:
        wanted, again_s = deployment_status.status(deployment, held, new, created, self._clock.now())
        if status_differs(wanted, deployment.status):
            await self._patch_status(deployment, {"status": wanted})
        return again_s

    async def _patch_status(self, deployment: Deployment, patch: Mapping[str, Any]) -> None:
        await self._client.patch(
            DEPLOYMENTS,
            deployment.metadata.name,
            patch,
            deployment.metadata.namespace,
            subresource="status",
        )

    async def _clean_up(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        for found in revisions.surplus(deployment, old):
            try:
                await self._client.delete(
                    REPLICASETS,
                    found.metadata.name,
                    found.metadata.namespace,
                    uid=found.metadata.uid,
                    resource_version=found.metadata.resource_version,
                )
            except errors.NotFound:
                continue

    def _tell_scaled(self, deployment: Deployment, name: str, before: int, after: int) -> None:
        if before == after:
            return
        way = "up" if after > before else "down"
        message = f"Scaled {way} replica set {name} from {before} to {after}"
        self._recorder.event(DEPLOYMENTS, deployment, Severity.NORMAL, "ScalingReplicaSet", message)
