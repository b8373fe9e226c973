"""How far a node is with its upgrade: upstream's words, as its label has them."""

from enum import StrEnum

STATE_LABEL = "nvidia.com/gpu-driver-upgrade-state"
SKIP_LABEL = "nvidia.com/gpu-driver-upgrade.skip"
"""`true` on a node: its driver is left as it is."""
REQUESTED = "nvidia.com/gpu-driver-upgrade-requested"
"""An annotation: `true` asks for an upgrade where the policy does none by itself."""
MEMORY = "aliquot.dev/driver-upgrade"
"""An annotation, written by the operator: see `memory`."""
RETRY = "aliquot.dev/driver-upgrade-retry"
"""An annotation: `true` tries again what has failed."""


class State(StrEnum):
    NONE = ""
    UPGRADE_REQUIRED = "upgrade-required"
    CORDON_REQUIRED = "cordon-required"
    WAIT_FOR_JOBS_REQUIRED = "wait-for-jobs-required"
    POD_DELETION_REQUIRED = "pod-deletion-required"
    DRAIN_REQUIRED = "drain-required"
    POD_RESTART_REQUIRED = "pod-restart-required"
    VALIDATION_REQUIRED = "validation-required"
    UNCORDON_REQUIRED = "uncordon-required"
    UPGRADE_DONE = "upgrade-done"
    UPGRADE_FAILED = "upgrade-failed"


UNDER_WAY = frozenset(
    {
        State.CORDON_REQUIRED,
        State.WAIT_FOR_JOBS_REQUIRED,
        State.POD_DELETION_REQUIRED,
        State.DRAIN_REQUIRED,
        State.POD_RESTART_REQUIRED,
        State.VALIDATION_REQUIRED,
        State.UNCORDON_REQUIRED,
    }
)
"""The node is out of use for the upgrade's sake."""


def state_of(text: str) -> State | None:
    """None: nobody's word, written by hand."""
    try:
        return State(text)
    except ValueError:
        return None
