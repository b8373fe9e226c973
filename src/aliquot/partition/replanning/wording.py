"""A plan in numbers, as sentences: what it does, and how far from the best it may be."""

from aliquot.partition.replanning.plan import Create, Destroy, Plan
from aliquot.partition.replanning.solving import Reached


def done_in_words(plan: Plan) -> str:
    """`2 of 3 waiting pods admitted, 1 pod moved; 2 slices made, 1 destroyed`"""
    made = sum(1 for op in plan.operations if isinstance(op, Create))
    gone = sum(1 for op in plan.operations if isinstance(op, Destroy))
    return (
        f"{len(plan.admitted)} of {_counted(len(plan.admitted) + len(plan.waiting), 'waiting pod')} admitted, "
        f"{_counted(len(plan.evicted), 'pod')} moved; {_counted(made, 'slice')} made, {gone} destroyed"
    )


def gaps_in_words(plan: Plan) -> list[str]:
    """Aim by aim, where it is not known to be the best; nothing where all are."""
    return [text for reached in plan.reached if (text := gap_in_words(reached))]


def gap_in_words(reached: Reached) -> str:
    """Empty: there is none."""
    if reached.proven:
        return ""
    aim, _, rest = reached.aim.partition(" ")
    names = {
        "admitted": f"memory admitted of priority {rest}",
        "evictions": f"evictions {rest}".strip(),
        "operations": "slices made and destroyed",
        "loss": "worth of what is free",
    }
    if reached.bound is None:
        return f"{names[aim]}: time was up before it was known how good it is"
    word = "at most" if aim == "admitted" else "at least"
    unit = 64 if aim == "admitted" else 1
    size = " GPUs" if aim == "admitted" else ""
    if aim == "loss":
        return f"{names[aim]}: may be better, by at most {reached.value - reached.bound:,.0f}"
    return (
        f"{names[aim]}: {reached.value / unit:,.6g}{size}, {word} {reached.bound / unit:,.6g} could be "
        f"(gap {reached.gap:.2%})"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
