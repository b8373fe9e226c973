"""Gangs that this run suspended go on, each once; and nodes that it cordoned take pods again. Also the way back of a run that is called off.

What bears no mark of the run was suspended by somebody else, and stays so.
"""

from collections.abc import Collection

from msgspec import Struct

from aliquot.eks.estate.gangs import Gang, Thing
from aliquot.eks.upgrade.acts.gang_suspension import AS_WRITTEN, Record, records
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import writing
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY, SUSPENDED_BY, SUSPENDED_FOR
from aliquot.eks.upgrade.gpu_roll.reading import Scene, scene
from aliquot.eks.upgrade.verdicts import Done, Keep, Verdict, Wait, Writes

POLL_S = 10.0


class ResumeGangs(Struct, frozen=True, kw_only=True, tag="resume-gangs", rename=AS_WRITTEN):
    places: tuple[str, ...] = ()
    """Those for which they were suspended; empty: all."""
    run: str = ""
    """Whose; empty: of the run that this is a step of."""
    uncordons: bool = True
    """No: the nodes are to be emptied, and gangs go on elsewhere."""
    limit_s: float = 600.0
    """For their pods to run again. Who does not by then is told, and gone on from: others may have come before it."""


async def look(act: ResumeGangs, doors: Doors) -> Scene:
    return await scene(doors.kube, with_marked=True)


def judged(act: ResumeGangs, seen: Scene, attempt: Attempt) -> Verdict:
    run = act.run or attempt.run
    uncordon = [
        writing.uncordon(node)
        for node in (seen.within(act.places) if act.places else seen.nodes)
        if act.uncordons and node.metadata.annotations.get(CORDONED_BY) == run
    ]
    if uncordon:
        return Writes(tuple(uncordon))
    ours = [thing for thing in seen.marked if _is_ours(act, thing, run)]
    early = _names(attempt, f"{attempt.step}/early/")
    if fresh := [str(one) for one in ours if not writing.is_suspended(one) and str(one) not in early]:
        return _kept(attempt, f"{attempt.step}/early/", fresh)
    resumed = _names(attempt, f"{attempt.step}/resumed/")
    if fresh := [str(thing) for thing in ours if str(thing) not in resumed]:
        return _kept(attempt, f"{attempt.step}/resumed/", fresh)
    if ours:
        return Writes(tuple(writing.resume(thing) for thing in ours))
    behind = [line for record in _records(attempt, resumed) if (line := _behind(record, seen.gangs))]
    if behind and attempt.now_s - attempt.began_s < act.limit_s:
        return Wait(POLL_S, behind[0])
    told = [f"{', '.join(sorted(resumed - early))}: resumed"] if resumed - early else []
    told += behind
    if early:
        told.append(f"{', '.join(sorted(early))}: resumed by somebody while this run had it suspended")
    if lost := _lost(act, attempt, {str(thing) for thing in seen.marked}):
        told.append(f"{', '.join(lost)}: suspended by this run, and now gone or somebody else's")
    return Done("; ".join(told) or "no gang was suspended")


def _names(attempt: Attempt, prefix: str) -> set[str]:
    return {one for name, value in attempt.kept.items() if name.startswith(prefix) for one in value}


def _kept(attempt: Attempt, prefix: str, fresh: list[str]) -> Keep:
    return Keep(f"{prefix}{sum(1 for name in attempt.kept if name.startswith(prefix))}", fresh)


def _lost(act: ResumeGangs, attempt: Attempt, marked: Collection[str]) -> list[str]:
    """Deleted by somebody, or its mark was taken away."""
    ever = {one for name, value in attempt.kept.items() if "/resumed/" in name for one in value}
    return sorted(
        {
            target
            for name in attempt.kept
            if "/gangs/" in name
            for record in records(attempt.kept, name)
            if not act.places or set(act.places).intersection(record.places)
            for target in record.targets
            if target not in ever and target not in marked
        }
    )


def _is_ours(act: ResumeGangs, thing: Thing, run: str) -> bool:
    marks = thing.metadata.annotations
    if marks.get(SUSPENDED_BY) != run:
        return False
    return not act.places or bool(set(act.places).intersection(marks.get(SUSPENDED_FOR, "").split(",")))


def _records(attempt: Attempt, resumed: Collection[str]) -> list[Record]:
    """Of the gangs of these, the newest of each, as far as this run kept them."""
    found: dict[str, Record] = {}
    for name in attempt.kept:
        if "/gangs/" in name:
            for record in records(attempt.kept, name):
                if set(record.targets).intersection(resumed):
                    known = found.get(record.name)
                    if known is None or known.asked_s < record.asked_s:
                        found[record.name] = record
    return list(found.values())


def _behind(record: Record, gangs: tuple[Gang, ...]) -> str:
    """Empty: as many of its pods run as did."""
    pods = [pod for gang in gangs for pod in gang.pods if _of(record, gang)]
    running = sum(1 for pod in pods if pod.status.phase == "Running")
    return "" if running >= record.pods else f"{record.name}: {running} of {record.pods} pods run"


def _of(record: Record, gang: Gang) -> bool:
    return any(root.key in record.roots for root in gang.roots)


RESUME = Doing(look=look, judge=judged)
