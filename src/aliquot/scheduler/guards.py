"""What keeps pods from being evicted for others: PodDisruptionBudgets, and what pods say of themselves."""

from collections.abc import Callable, Sequence

from aliquot.kube.api.core import Pod
from aliquot.kube.api.policy import PodDisruptionBudget
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, key
from aliquot.partition.reading import DO_NOT_DISRUPT, Budgets
from aliquot.scheduler.core.victims import Guards


class Guarding:
    """`why_kept`: of pods that were asked for lately."""

    def __init__(self, client: Client, *, pods: Cache[Pod], why_kept: Callable[[str], str]) -> None:
        self._pods = pods
        self._why_kept = why_kept
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
            self._now = Guards(self._kept, budgets_of, allowed)
        return self._now

    def _budget_changed(self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None) -> None:
        self._now = None

    def _kept(self, name: str) -> str:
        pod = self._pods.get(name)
        if pod is None:
            return "it is not known"
        annotations = pod.metadata.annotations or {}
        if any(annotations.get(mark) == "true" for mark in DO_NOT_DISRUPT):
            return "it is marked do-not-disrupt"
        if any(
            owner.controller and owner.kind == "DaemonSet" for owner in pod.metadata.owner_references or ()
        ):
            return "its DaemonSet wants it on that node"
        return self._why_kept(name)
