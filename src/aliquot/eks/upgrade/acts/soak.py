"""A time in which nothing is done, and things are looked at: the next hop ends the right to take this one back."""

from msgspec import Struct

from aliquot.eks.estate import reading_aws as aws
from aliquot.eks.estate.estate import Issue
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait

_LOOK_S = 60.0


class Soak(Struct, frozen=True, tag="soak"):
    cluster: str
    seconds: float


def lasting(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds:.0f} s"


class Alarm(Struct, frozen=True):
    of: str
    issue: Issue


class Seen(Struct, frozen=True, kw_only=True):
    alarms: tuple[Alarm, ...]
    """What EKS says of the health of the cluster, its groups and add-ons."""


async def look(act: Soak, doors: Doors) -> Seen:
    cluster = await aws.cluster(doors.api, act.cluster)
    alarms = [Alarm(act.cluster, issue) for issue in cluster.issues]
    for group in await aws.nodegroups(doors.api, act.cluster):
        alarms += [Alarm(f"node group {group.name}", issue) for issue in group.issues]
    for addon in await aws.addons(doors.api, act.cluster):
        alarms += [Alarm(f"add-on {addon.name}", issue) for issue in addon.issues]
    return Seen(alarms=tuple(alarms))


def judged(act: Soak, seen: Seen, attempt: Attempt) -> Verdict:
    if seen.alarms:
        said = "; ".join(f"{one.of}: {one.issue.code}: {one.issue.message}" for one in seen.alarms)
        return Hold(
            f"{act.cluster} is not well: {said}", "mend it, then retry; or go back while there is time"
        )
    left_s = attempt.began_s + act.seconds - attempt.now_s
    if left_s > 0:
        return Wait(min(left_s, _LOOK_S), f"{act.cluster} soaks, {left_s / 3600:.1f} h are left")
    return Done(f"{act.cluster} was well for {lasting(act.seconds)}")


DOING = Doing(look=look, judge=judged)
