"""Every call that a plan will make, against AWS' own model of the service, before anybody approves it."""

from aliquot.eks.aws.model import against_model
from aliquot.eks.plan.calls import call_of
from aliquot.eks.upgrade.steps import Step, token


def wrong(run: str, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """A line for each call that AWS would not take."""
    return tuple(
        f"step {step.id}: {call.service}:{call.operation}: {line}"
        for step in steps
        if (call := call_of(step.act, token(run, step.id, 0)) or step.call) is not None
        for line in against_model(call.service, call.operation, call.parameters)
    )
