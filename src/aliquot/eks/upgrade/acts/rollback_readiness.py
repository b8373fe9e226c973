"""Whether EKS goes back, asked just before it is asked to."""

from msgspec import Struct

from aliquot.eks.estate import reading_aws as aws
from aliquot.eks.estate.estate import Cluster, Insight, Nodegroup
from aliquot.eks.estate.updates import SeenUpdate, updates_of
from aliquot.eks.upgrade import way_back
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict
from aliquot.eks.versions.minor import Minor


class RollbackReadiness(Struct, frozen=True, tag="rollback-readiness"):
    cluster: str
    to: Minor


class Seen(Struct, frozen=True, kw_only=True):
    cluster: Cluster
    updates: tuple[SeenUpdate, ...]
    insights: tuple[Insight, ...]
    groups: tuple[Nodegroup, ...] = ()
    read_s: float
    """By AWS' clock."""


async def look(act: RollbackReadiness, doors: Doors) -> Seen:
    return Seen(
        cluster=await aws.cluster(doors.api, act.cluster),
        updates=await updates_of(doors.api, act.cluster, {}),
        insights=await aws.insights(doors.api, act.cluster, "ROLLBACK_READINESS"),
        groups=await aws.nodegroups(doors.api, act.cluster),
        read_s=doors.aws_time.now(),
    )


def judged(act: RollbackReadiness, seen: Seen, attempt: Attempt) -> Verdict:
    if seen.cluster.minor == act.to:
        return Done(f"{act.cluster} is at {act.to}")
    reasons = way_back.against(seen.cluster, seen.updates, act.to, seen.read_s)
    if reasons:
        return Hold("; ".join(reasons), "there is no way back: go on instead")
    newer = [f"{one.name} ({one.minor})" for one in seen.groups if one.minor > act.to]
    if newer:
        return Hold(
            f"node groups of {act.cluster} are newer than {act.to}: {', '.join(newer)}",
            f"aliquot eks rollback {act.cluster} once more: it takes them along",
        )
    reasons = way_back.unready(seen.insights, act.to)
    if reasons:
        return Hold(f"EKS is not ready to go back: {'; '.join(reasons)}", "put that right, then retry")
    return Done(f"nothing speaks against {act.to}")


DOING = Doing(look=look, judge=judged)
