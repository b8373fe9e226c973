"""PodDisruptionBudgets: the shell around `disruption_plan`. What becomes of them at an eviction is the API server's."""

import random
from collections.abc import Sequence

import msgspec

from aliquot.clock import Clock
from aliquot.emulator.controllers import disruption_plan, notices, ownership, pods
from aliquot.emulator.controllers.disruption_plan import CannotCount, Plan
from aliquot.emulator.controllers.kinds import Kinds
from aliquot.emulator.controllers.pods import NAMESPACE_INDEX
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import Deployment, DisruptionBudget, ReplicaSet, Scale, StatefulSet
from aliquot.kube import errors, selectors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import DEPLOYMENTS, PODDISRUPTIONBUDGETS, PODS, REPLICASETS, STATEFULSETS, key


class Disruption:
    """`pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        budgets: Cache[DisruptionBudget],
        pod_cache: Cache[Pod],
        deployments: Cache[Deployment],
        replica_sets: Cache[ReplicaSet],
        stateful_sets: Cache[StatefulSet],
        kinds: Kinds,
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._budgets = budgets
        self._pods = pod_cache
        self._deployments = deployments
        self._replica_sets = replica_sets
        self._stateful_sets = stateful_sets
        self._kinds = kinds
        self._sizes: dict[str, int] = {}
        self.controller = Controller("disruption", self.reconcile, rng=rng, workers=2)
        self.controller.watch(budgets)
        pod_cache.subscribe(self._pod_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for budget in self._budgets.values():
            if any(pod is not None and _selects(budget, pod) for pod in (old, new)):
                name = key(budget)
                self.controller.enqueue_after(name, pods.gather_s(self._sizes.get(name, 0)))

    async def reconcile(self, name: str) -> float | None:
        budget = self._budgets.get(name)
        if budget is None:
            self._sizes.pop(name, None)
            return None
        there = self._pods.indexed(NAMESPACE_INDEX, budget.metadata.namespace)
        held = [pod for pod in there if _selects(budget, pod)]
        self._sizes[name] = len(held)
        now = self._clock.now()
        try:
            scale = await self._scale(held) if disruption_plan.asks_for_scale(budget) else 0
        except CannotCount as error:
            await self._carry_out(budget, disruption_plan.failed(budget, str(error), now))
            raise errors.Unavailable(str(error), code=0) from error
        wanted = disruption_plan.plan(budget, held, scale, now)
        for pod in wanted.undeleted:
            message = f"Pod was expected by PDB {budget.metadata.namespace}/{budget.metadata.name} to be deleted but it wasn't"
            self._recorder.event(PODS, pod, Severity.WARNING, "NotDeleted", message)
        await self._carry_out(budget, wanted)
        return wanted.again_s

    async def _carry_out(self, budget: DisruptionBudget, wanted: Plan) -> None:
        for notice in wanted.notices:
            notices.tell(self._recorder, PODDISRUPTIONBUDGETS, budget, notice)
        if not status_differs(wanted.status, budget.status):
            return
        metadata = budget.metadata
        # What is left out of a map by a merge patch stays: those that are settled are taken out by name.
        settled = set(budget.status.disrupted_pods or ()) - set(wanted.status.get("disruptedPods") or ())
        disrupted = {**(wanted.status.get("disruptedPods") or {}), **dict.fromkeys(settled)}
        patch = {
            "metadata": {"resourceVersion": metadata.resource_version},
            "status": {**wanted.status, **({"disruptedPods": disrupted} if settled else {})},
        }
        try:
            await self._client.patch(
                PODDISRUPTIONBUDGETS, metadata.name, patch, metadata.namespace, subresource="status"
            )
        except errors.NotFound:
            return

    async def _scale(self, held: Sequence[Pod]) -> int:
        """How many pods all their controllers want together. Raises CannotCount."""
        wanted: dict[str, int] = {}
        asked: set[str] = set()
        for pod in held:
            owner = ownership.controller_of(pod)
            if owner is None or owner.uid in asked:
                continue
            asked.add(owner.uid)
            found = self._known_scale(owner, pod.metadata.namespace)
            if found is None:
                found = await self._served_scale(owner, pod)
            wanted.update([found])
        return sum(wanted.values())

    def _known_scale(self, owner: OwnerReference, namespace: str) -> tuple[str, int] | None:
        """(uid, replicas) of the outermost controller."""
        name = f"{namespace}/{owner.name}"
        if owner.kind == STATEFULSETS.kind:
            stateful_set = self._stateful_sets.get(name)
            if stateful_set is not None and stateful_set.metadata.uid == owner.uid:
                return owner.uid, stateful_set.spec.replicas
        if owner.kind != REPLICASETS.kind:
            return None
        replica_set = self._replica_sets.get(name)
        if replica_set is None or replica_set.metadata.uid != owner.uid:
            return None
        outer = ownership.controller_of(replica_set)
        if outer is None or outer.kind != DEPLOYMENTS.kind:
            return owner.uid, replica_set.spec.replicas
        deployment = self._deployments.get(f"{namespace}/{outer.name}")
        if deployment is None or deployment.metadata.uid != outer.uid:
            return None
        return outer.uid, deployment.spec.replicas

    async def _served_scale(self, owner: OwnerReference, pod: Pod) -> tuple[str, int]:
        """(uid, replicas) by the owner's scale subresource. Raises CannotCount."""
        resource = self._kinds.find(owner.api_version, owner.kind)
        if resource is None:
            raise CannotCount(f'found no controllers for pod "{pod.metadata.name}"')
        try:
            raw = await self._client.get_raw(resource.path(pod.metadata.namespace, owner.name, "scale"))
        except errors.NotFound as error:
            raise CannotCount(f"{resource.name} does not implement the scale subresource") from error
        found = msgspec.json.decode(raw, type=Scale)
        if found.metadata.uid != owner.uid:
            raise CannotCount(f'found no controllers for pod "{pod.metadata.name}"')
        return owner.uid, found.spec.replicas


def _selects(budget: DisruptionBudget, pod: Pod) -> bool:
    return budget.metadata.namespace == pod.metadata.namespace and selectors.from_object(
        budget.spec.selector
    ).matches(pod.metadata.labels)
