"""A run is stopped while a node group is being replaced by a copy: the old one takes pods again, the copy empties and goes. Pure.

Once the old one has begun to go there is no way back to it: it goes to its end, and the copy is a group like any other.
"""

from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from aliquot.eks.plan.calls import call_of
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.steps import Step


def left(steps: Sequence[Step], begun: Sequence[Step], to_come: Sequence[Step]) -> tuple[Step, ...]:
    found: list[Step] = []
    for step in steps:
        act = step.act
        if not isinstance(act, GroupRemoval) or act.first is None or step not in to_come:
            continue
        if act.only_copy:
            # Of a run that was turned before.
            found += [one for one in to_come if _gives_up(one, act)]
        elif step in begun:
            found.append(step)
        else:
            copies = [one for one in begun if _is_copy_of(one, step)]
            if copies and copies[-1] in to_come:
                # It is not there yet, or is somebody else's, whose nodes nobody is to cordon: its removal looks first whose it is.
                found += [one for one in _given_up(steps, copies[-1], step) if _removes(one)]
            elif copies:
                found += _given_up(steps, copies[-1], step)
    return tuple(found)


def before_nodes(undo: Sequence[Step]) -> tuple[Step, ...]:
    """Those that take groups away: EKS takes no control plane back while a group is newer, and nobody rolls one that goes."""
    removals = [step.act for step in undo if isinstance(step.act, GroupRemoval)]
    return tuple(step for step in undo if any(_gives_up(step, one) for one in removals))


def goes(undo: Sequence[Step]) -> Collection[str]:
    """Node groups that are taken away."""
    return {step.act.name for step in undo if isinstance(step.act, GroupRemoval)}


def _gives_up(step: Step, removal: GroupRemoval) -> bool:
    names = {removal.name, removal.first.instead if removal.first is not None else removal.name}
    match step.act:
        case GroupRemoval():
            return step.act == removal
        case GroupDrain():
            return step.act == removal.first
        case SuspendGangs() | ResumeGangs():
            return bool(step.act.places) and names.issuperset(step.act.places)
    return False


def _removes(step: Step) -> bool:
    return isinstance(step.act, GroupRemoval)


def _is_copy_of(step: Step, removal: Step) -> bool:
    """With the place of the group that is removed as its own."""
    return (
        isinstance(step.act, GroupCopy)
        and isinstance(removal.act, GroupRemoval)
        and removal.act.first is not None
        and (step.act.of, step.act.name) == (removal.act.name, removal.act.first.instead)
        and step.hop == removal.hop
    )


def _given_up(steps: Sequence[Step], copied: Step, removal: Step) -> Iterator[Step]:
    assert isinstance(copied.act, GroupCopy)
    name, of = copied.act.name, copied.act.of
    of_hop = [step for step in steps if step.hop == copied.hop]

    def turned(step: Step, part: str, what: str, act: ResumeGangs | SuspendGangs | GroupDrain) -> Step:
        return replace(
            step,
            id=f"{step.hop}/{step.state}/give-up/{name}/{part}",
            what=what,
            act=act,
            disrupts="",
            back="",
        )

    for step in of_hop:
        match step.act:
            case SuspendGangs() if step.act.places == (of,):
                yield turned(
                    step,
                    "uncordon",
                    f"nodes of node group {of} take pods again, and gangs that were suspended for it go on",
                    ResumeGangs(places=(of,)),
                )
                yield turned(
                    step,
                    "suspend",
                    f"nodes of node group {name} are cordoned; gangs on them that can be suspended save what they have done, and are",
                    replace(step.act, places=(name,)),
                )
            case ResumeGangs() if step.act.places == (of,):
                yield turned(
                    step, "resume", f"they go on, on node group {of}", replace(step.act, places=(name,))
                )
            case GroupDrain() if step.act.group == of:
                drain = replace(step.act, group=name, instead=of)
                yield turned(step, "drain", f"node group {name} empties", drain)
                act = GroupRemoval(cluster=copied.act.cluster, name=name, only_copy=True, first=drain)
                yield replace(
                    removal,
                    id=f"{removal.hop}/{removal.state}/give-up/{name}/remove",
                    what=f"node group {name} goes, once it is empty",
                    act=act,
                    call=call_of(act, ""),
                )
