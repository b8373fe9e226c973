"""A plan for a terminal: one line a step."""

from collections.abc import Iterator

from aliquot.eks.plan import wording
from aliquot.eks.plan.plan import Plan
from aliquot.eks.plan.times import duration


def rows(plan: Plan) -> list[list[str]]:
    """Step, expected, what, whom it disturbs."""
    return [[step.id, wording.expected(step), step.what, step.disrupts or "-"] for step in plan.steps]


COLUMNS = ["STEP", "EXPECTED", "WHAT", "DISTURBS"]


def summary(plan: Plan) -> Iterator[str]:
    hops = ", ".join(f"{to} {duration(seconds)}" for to, seconds in wording.times(plan).items())
    yield f"{plan.cluster}: {plan.now} to {plan.to}, {len(plan.steps)} steps, {duration(plan.expected_s)} expected (hops alone: {hops})"
    yield from wording.costs(plan)
    for note in plan.notes:
        yield f"mind: {note}"
    for one in plan.unchecked:
        yield f"not checked: {one.what}: {one.why}"
    yield f"plan {plan.id}, on state {plan.state_hash[:16]}"
