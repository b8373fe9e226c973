"""A managed node group goes. EKS empties its nodes first, within their budgets, and for minutes only: whoever is to leave has left before."""

from msgspec import Struct

from aliquot.eks.upgrade.acts import group_drain
from aliquot.eks.upgrade.acts.group_copy import COPY_OF, RUN, group_or_none
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_issues import told_issues
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Keep, Verdict, Wait

_POLL_S = 30.0
_ON_ITS_WAY = frozenset({"CREATING", "UPDATING"})
"""EKS deletes none that is."""
_GONE = frozenset({"CREATE_FAILED", "DELETING", "DELETE_FAILED"})


class GroupRemoval(Struct, frozen=True, kw_only=True, tag="group-removal"):
    cluster: str
    name: str
    only_copy: bool
    """Only if this run made it as a copy of another one."""
    first: GroupDrain | None = None
    """How it is emptied, should anybody be there once more; None: whoever is there leaves as EKS has it."""


class Seen(Struct, frozen=True, kw_only=True):
    status: str = ""
    """Empty: it is gone."""
    tags: dict[str, str] = {}
    issues: tuple[str, ...] = ()
    drained: group_drain.Seen | None = None
    instead_gone: bool = False
    """The one that was to have its place."""


def call_of(act: GroupRemoval, _token: str = "") -> Call:
    """EKS takes no token for it."""
    return Call("eks", "DeleteNodegroup", {"clusterName": act.cluster, "nodegroupName": act.name})


async def look(act: GroupRemoval, doors: Doors) -> Seen:
    told = await group_or_none(doors, act.cluster, act.name)
    if told is None:
        return Seen()
    return Seen(
        status=told["status"],
        tags=told.get("tags", {}),
        issues=told_issues(told),
        drained=None if act.first is None else await group_drain.look(act.first, doors),
        instead_gone=act.first is not None and await _is_gone(doors, act.cluster, act.first.instead),
    )


async def _is_gone(doors: Doors, cluster: str, name: str) -> bool:
    told = await group_or_none(doors, cluster, name)
    return told is None or told["status"] in _GONE


def judged(act: GroupRemoval, seen: Seen, attempt: Attempt) -> Verdict:
    named = f"node group {act.name} of {act.cluster}"
    if not seen.status:
        return Done(f"{named} is gone")
    if act.only_copy and (seen.tags.get(RUN) != attempt.run or COPY_OF not in seen.tags):
        # Somebody made it before the copy came to be, so that there is none to take away.
        return Done(f"{named} stays: this run did not make it")
    begun = f"{attempt.step}/deleting/{attempt.token}"
    if seen.status == "DELETING":
        return Wait(_POLL_S, f"{named} is DELETING") if begun in attempt.kept else Keep(begun, act.name)
    if seen.status in _ON_ITS_WAY:
        return Wait(_POLL_S, f"{named} is {seen.status}: it is deleted once it is not")
    if seen.status == "DELETE_FAILED" and begun in attempt.kept:
        said = "; ".join(seen.issues) or "EKS does not say why"
        return Hold(f"{named} could not be deleted: {said}", "put that right, then retry")
    if act.first is not None and seen.instead_gone:
        return Hold(
            f"{named} stays: node group {act.first.instead}, which was to have its place, is gone",
            f"abort or roll back, or see to it that there is one again, then retry; to be without both, delete {act.name} yourself, then retry",
        )
    if act.first is not None and seen.drained is not None:
        emptied = group_drain.judged(act.first, seen.drained, attempt)
        if not isinstance(emptied, Done):
            return emptied
    return call_of(act)


DOING = Doing(look=look, judge=judged)
