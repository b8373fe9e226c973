"""What keeps pods from being evicted for others: PodDisruptionBudgets, and what pods say of themselves. And which of them are made
anew without harm to what made them, so that they may be moved.
"""

from collections.abc import Callable, Sequence

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.api.policy import PodDisruptionBudget
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, key
from aliquot.partition.reading import Budgets, is_marked
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.grouping.kinds import batch
from aliquot.scheduler.grouping.owners import Owner

_JOB = ("batch", "Job")
_SERVERS = {("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("", "ReplicationController")}
_MAKE_NONE_ANEW = {("", "Node"), ("", "Pod"), ("apps", "DaemonSet")}
"""Or not elsewhere."""


class Guarding:
    """`why_kept`: of pods that were asked for lately. `anew`: a pod as it is made again. `owner_of`: what owns a pod, as far as it
    was read. `is_known`: whether it is known which job the pod is of."""

    def __init__(
        self,
        client: Client,
        *,
        pods: Cache[Pod],
        why_kept: Callable[[str], str],
        anew: Callable[[Pod], PodRequest],
        owner_of: Callable[[Pod], Owner | None],
        is_known: Callable[[Pod], bool],
    ) -> None:
        self._pods = pods
        self._why_kept = why_kept
        self._read_anew = anew
        self._owner_of = owner_of
        self._is_known = is_known
        self._budgets = Cache(client, PODDISRUPTIONBUDGETS, PodDisruptionBudget, optional=True)
        self._now: Guards | None = None
        """Until a budget is another one."""

    async def run(self) -> None:
        """Until cancelled."""
        unsubscribe = self._budgets.subscribe(self._budget_changed)
        try:
            await self._budgets.run()
        finally:
            unsubscribe()

    def now(self) -> Guards:
        if self._now is None:
            budgets = list(self._budgets.values())
            under = Budgets(budgets)

            def budgets_of(name: str) -> Sequence[str]:
                pod = self._pods.get(name)
                return under.of(pod) if pod is not None else ()

            allowed = {key(budget): budget.status.disruptions_allowed for budget in budgets}
            self._now = Guards(self._kept, budgets_of, allowed, self._anew, self._loses_work)
        return self._now

    def _budget_changed(self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None) -> None:
        self._now = None

    def _kept(self, name: str) -> str:
        pod = self._pods.get(name)
        if pod is None:
            return "it is not known"
        if is_marked(pod):
            return "it is marked do-not-disrupt"
        owner = _controller(pod)
        if owner is not None and owner.kind == "DaemonSet":
            return "its DaemonSet wants it on that node"
        if not self._is_known(pod):
            return "what it belongs to is being read, or is gone"
        return self._why_kept(name)

    def _anew(self, name: str) -> PodRequest | None:
        pod = self._pods.get(name)
        owner = _controller(pod) if pod is not None else None
        if pod is None or owner is None:
            return None
        kind = _kind(owner)
        if kind in _MAKE_NONE_ANEW:
            return None
        # A Job counts every pod that is evicted as failed, unless it says otherwise. Of others whose pods are never restarted it is
        # not known what they make of one that ends.
        harmed = not self._ignores_evictions(pod) if kind == _JOB else pod.spec.restart_policy == "Never"
        return None if harmed else self._read_anew(pod)

    def _ignores_evictions(self, pod: Pod) -> bool:
        owner = self._owner_of(pod)
        return owner is not None and isinstance(owner.body, batch.Job) and owner.body.spec.ignores_evictions

    def _loses_work(self, name: str) -> bool:
        pod = self._pods.get(name)
        owner = _controller(pod) if pod is not None else None
        return owner is None or _kind(owner) not in _SERVERS


def _controller(pod: Pod) -> OwnerReference | None:
    return next((owner for owner in pod.metadata.owner_references or () if owner.controller), None)


def _kind(owner: OwnerReference) -> tuple[str, str]:
    return owner.api_version.rpartition("/")[0], owner.kind
