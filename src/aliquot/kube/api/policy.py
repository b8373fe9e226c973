"""PodDisruptionBudgets, as far as planners read them."""

from aliquot.kube.api.meta import ObjectMeta, Wire


class LabelRequirement(Wire, kw_only=True, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] | None = None


class LabelSelector(Wire, kw_only=True, frozen=True):
    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelRequirement, ...] | None = None


class PodDisruptionBudgetSpec(Wire, kw_only=True, frozen=True):
    selector: LabelSelector | None = None
    """Absent: it selects nothing; empty: every pod of its namespace."""


class PodDisruptionBudgetStatus(Wire, kw_only=True, frozen=True):
    disruptions_allowed: int = 0


class PodDisruptionBudget(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
