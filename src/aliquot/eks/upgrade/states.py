"""What an upgrade goes through, in order. Once for each hop, but the first two and the last."""

from enum import StrEnum


class State(StrEnum):
    DISCOVER = "discover"
    PLAN_HOPS = "plan-hops"
    REFRESH_INSIGHTS = "refresh-insights"
    PREFLIGHT = "preflight"
    APPROVE = "approve"
    BACKUP = "backup"
    FREEZE = "freeze"
    PRE_ADDONS = "pre-addons"
    PRE_NODES = "pre-nodes"
    CONTROL_PLANE = "control-plane"
    CP_VERIFY = "control-plane-verify"
    CORE_ADDONS = "core-addons"
    CANARY_NODES = "canary-nodes"
    GPU_DRAIN_PREP = "gpu-drain-prep"
    NODES = "nodes"
    GPU_RESTORE = "gpu-restore"
    FARGATE = "fargate"
    KUBE_PROXY = "kube-proxy"
    PLATFORM = "platform"
    UNFREEZE = "unfreeze"
    VERIFY = "verify"
    SOAK = "soak"
    ROLLBACK = "rollback"
    DONE = "done"


class Abort(StrEnum):
    """What can be done instead of going on."""

    FREE = "free"
    """Stop: nothing has been changed that anybody would miss."""
    UNDO = "undo"
    """Stop, and put back what was changed so far; the control plane is as it was."""
    ROLLBACK = "rollback"
    """Hold, go on, or roll back within seven days."""


def abort_at(state: State) -> Abort:
    order = list(State)
    if order.index(state) < order.index(State.BACKUP):
        return Abort.FREE
    return Abort.UNDO if order.index(state) <= order.index(State.CONTROL_PLANE) else Abort.ROLLBACK
