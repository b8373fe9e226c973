"""The node agent's own labels go after it. It cannot take them off itself: its pod ends with each exchange too, and who selects
nodes by them is not to see that."""

from collections.abc import Mapping

from aliquot.operator.core.operands import DEPLOY_LABELS, PAUSED, OperandName

HAS_AGENT = "aliquot.dev/node-agent"
"""An annotation of a node that was given the agent by the operator: whose labels those are could not be told from them."""
_LABEL = DEPLOY_LABELS[OperandName.AGENT]


def noted(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Mapping[str, str | None]:
    """The annotation, where it is missing. `labels`: those that the node gets."""
    if labels.get(_LABEL) != "true" or HAS_AGENT in annotations:
        return {}
    return {HAS_AGENT: "true"}


def is_over(labels: Mapping[str, str], annotations: Mapping[str, str], *, has_pod: bool) -> bool:
    """The agent has gone, and nobody brings it back."""
    return HAS_AGENT in annotations and labels.get(_LABEL) not in ("true", PAUSED) and not has_pod
