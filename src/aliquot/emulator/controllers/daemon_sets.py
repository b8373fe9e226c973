"""DaemonSets: the shell around `daemon_set_plan` and `revision_history`."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.controllers import daemon_set_plan, ownership
from aliquot.emulator.controllers.daemon_set_plan import Fits, Plan
from aliquot.emulator.controllers.owned_pods import OwnedPods
from aliquot.emulator.controllers.restarts import Restarts
from aliquot.emulator.controllers.revision_history import POD_LABEL, RevisionHistory
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import ControllerRevision, DaemonSet
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import DAEMONSETS, key


class DaemonSets:
    """`pod_cache` has `pods.INDEXES`, `revisions` has `ownership.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        daemon_sets: Cache[DaemonSet],
        revisions: Cache[ControllerRevision],
        pod_cache: Cache[Pod],
        nodes: Cache[Node],
    ) -> None:
        self._client = client
        self._clock = clock
        self._sets = daemon_sets
        self._nodes = nodes
        self._history: RevisionHistory[DaemonSet] = RevisionHistory(
            client, DAEMONSETS, revisions, hash_label=POD_LABEL
        )
        self._restarts = Restarts(first_s=1.0, longest_s=15 * 60.0)
        self._owned = OwnedPods(
            client,
            rng,
            recorder,
            DAEMONSETS,
            daemon_sets,
            pod_cache,
            self._reconcile,
            looks_at=lambda: len(nodes),
        )
        self._fits: dict[str, tuple[int, Fits]] = {}
        """By uid, with the generation that they are of."""
        nodes.subscribe(self._node_changed)

    async def run(self) -> None:
        await self._owned.run()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if old is not None and new is not None and _placing(old) == _placing(new):
            return
        for daemon_set in self._sets.values():
            if self._fits_of(daemon_set).differ(old, new):
                self._owned.look_soon(key(daemon_set))

    async def _reconcile(self, daemon_set: DaemonSet) -> float | None:
        held = await self._owned.claim(daemon_set)
        history = await self._history.claim(daemon_set)
        current, collisions = await self._history.of(
            daemon_set, daemon_set.spec.template, history, daemon_set.status.collision_count
        )
        digest = (current.metadata.labels or {}).get(POD_LABEL, "")
        fits = self._fits_of(daemon_set).of(sorted(self._nodes.values(), key=key))
        wanted = daemon_set_plan.plan(daemon_set, held, fits, digest, self._clock.now())
        await self._write_status(daemon_set, {**wanted.status, "collisionCount": collisions or None})
        waits = [wanted.again_s]
        unseen_s = self._owned.pending_s(daemon_set)
        waits.append(unseen_s or await self._act(daemon_set, wanted, digest))
        live = {current.metadata.name, *(f"{daemon_set.metadata.name}-{_digest(pod)}" for pod in held)}
        await self._history.truncate(history, live, daemon_set.spec.revision_history_limit)
        return min((wait for wait in waits if wait is not None), default=None)

    def _fits_of(self, daemon_set: DaemonSet) -> Fits:
        """Of its template: a fleet is not judged anew for each of its pods."""
        uid, generation = daemon_set.metadata.uid, daemon_set.metadata.generation
        known = self._fits.get(uid)
        if known is None or known[0] != generation:
            living = {one.metadata.uid for one in self._sets.values()}
            self._fits = {other: fits for other, fits in self._fits.items() if other in living}
            known = self._fits[uid] = generation, Fits(daemon_set)
        return known[1]

    async def _act(self, daemon_set: DaemonSet, wanted: Plan, digest: str) -> float | None:
        """Answers the seconds until an ended pod may be replaced."""
        doomed, wait_s = self._ended(daemon_set, wanted.ended)
        failure = await self._owned.delete(daemon_set, [*wanted.delete, *doomed])
        if failure is None:
            owner = ownership.reference(DAEMONSETS, daemon_set)
            bodies = [daemon_set_plan.pod_of(daemon_set, node, digest, owner) for node in wanted.create]
            failure = await self._owned.create(daemon_set, bodies)
        if failure is not None:
            raise failure
        return wait_s

    def _ended(self, daemon_set: DaemonSet, ended: Sequence[Pod]) -> tuple[list[Pod], float | None]:
        """Those that may go now, and the seconds until the next of the others may."""
        now = self._clock.now()
        doomed: list[Pod] = []
        waits: list[float] = []
        for pod in ended:
            metadata, node = pod.metadata, daemon_set_plan.node_of(pod)
            if pod.status.phase == "Failed":
                wait_s = self._restarts.wait_s(f"{daemon_set.metadata.uid}/{node}", metadata.uid, now)
                if wait_s > 0:
                    waits.append(wait_s)
                    continue
                message = f"Found failed daemon pod {metadata.namespace}/{metadata.name} on node {node}, will try to kill it"
                self._owned.warn(daemon_set, "FailedDaemonPod", message)
            else:
                message = f"Found succeeded daemon pod {metadata.namespace}/{metadata.name} on node {node}, will try to delete it"
                self._owned.tell(daemon_set, "SucceededDaemonPod", message)
            doomed.append(pod)
        return doomed, min(waits, default=None)

    async def _write_status(self, daemon_set: DaemonSet, status: Mapping[str, Any]) -> None:
        if not status_differs(status, daemon_set.status):
            return
        metadata = daemon_set.metadata
        patch = {"metadata": {"resourceVersion": metadata.resource_version}, "status": dict(status)}
        await self._client.patch(DAEMONSETS, metadata.name, patch, metadata.namespace, subresource="status")


def _digest(pod: Pod) -> str:
    return (pod.metadata.labels or {}).get(POD_LABEL, "")


def _placing(node: Node) -> tuple[Any, ...]:
    """What daemons are placed by."""
    taints = [(taint.key, taint.value, taint.effect) for taint in node.spec.taints or ()]
    return node.metadata.labels, taints
