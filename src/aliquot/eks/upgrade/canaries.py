"""A GPU node that is tried before those that work: what a person may decide of it, and what is said where it is not well."""

from aliquot.eks.upgrade.doing import Attempt, Decision

LEAVE_OUT = "no-gpu-canary"
"""The kind of decision: the run goes on without its canaries, this one and those to come."""


def left_out(attempt: Attempt) -> Decision | None:
    return next((one for one in attempt.decisions if one.kind == LEAVE_OUT), None)


def told_left_out(decision: Decision) -> str:
    return f"left out, as {decision.by} decided"


def todo(of: str) -> str:
    """`of`: the group whose nodes it is tried for."""
    return (
        f"node group {of} is as it was: put that right, then retry; or go on without a canary "
        "(aliquot eks retry CLUSTER --no-gpu-canary); or go back, which removes it"
    )
