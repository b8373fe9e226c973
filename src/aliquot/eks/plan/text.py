"""A plan for a terminal: one line a step; and of a fleet, one line a cluster."""

from collections.abc import Iterator

from aliquot.eks.plan import wording
from aliquot.eks.plan.making import Outcome
from aliquot.eks.plan.plan import Plan
from aliquot.eks.plan.times import duration


def rows(plan: Plan) -> list[list[str]]:
    return [
        [step.id, wording.expected(step), step.call.operation if step.call else "-", step.what]
        for step in plan.steps
    ]


COLUMNS = ["STEP", "EXPECTED", "CALL", "WHAT"]


def summary(plan: Plan) -> Iterator[str]:
    hops = ", ".join(f"{to} {duration(seconds)}" for to, seconds in wording.times(plan).items())
    yield f"{plan.cluster}: {plan.now} to {plan.to}, {len(plan.steps)} steps, {duration(plan.expected_s)} expected (hops alone: {hops})"
    for step in plan.steps:
        if step.disrupts:
            yield f"disturbed by {step.id}: {step.disrupts}"
    yield from wording.costs(plan)
    for note in plan.notes:
        yield f"mind: {note}"
    for one in plan.unchecked:
        yield f"not checked: {one.what}: {one.why}"
    yield f"plan {plan.id}, on state {plan.state_hash[:16]}"


FLEET_COLUMNS = ["CLUSTER", "NOW", "HOPS", "STEPS", "EXPECTED", "USD/HOUR", "NOTE"]


def fleet_row(one: Outcome) -> list[str]:
    plan = one.plan
    if plan is None:
        return [one.cluster, "-", "-", "-", "-", "-", one.why]
    hops = " ".join(str(hop.to) for hop in plan.hops)
    told = plan.costs
    unchecked = f"not checked: {', '.join(one.what for one in plan.unchecked)}" if plan.unchecked else ""
    return [
        plan.cluster,
        str(plan.now),
        hops,
        str(len(plan.steps)),
        duration(plan.expected_s),
        f"{told.now_per_hour:.2f} > {told.then_per_hour:.2f}",
        unchecked or "-",
    ]
