"""A person says yes to this very plan, at this gate of it."""

from msgspec import Struct

from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict

APPROVE = "approve"
"""The kind of the decision, of a step; its body has the plan's hash. Without a step it is of every gate."""


class Approval(Struct, frozen=True, tag="approval"):
    hash: str
    """Of the plan as it was shown."""


async def look(act: Approval, doors: Doors) -> None:
    return None


def judged(act: Approval, _seen: None, attempt: Attempt) -> Verdict:
    for decision in attempt.decisions:
        of_this = decision.step in ("", attempt.step) and decision.body.get("hash") == act.hash
        if decision.kind == APPROVE and of_this:
            return Done(f"approved by {decision.by}")
    return Hold("nobody has approved it yet", f"aliquot eks approve {attempt.run}")


DOING = Doing(look=look, judge=judged)
