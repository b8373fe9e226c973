"""A time in which nothing is done, and things are looked at: the next hop ends the right to take this one back."""

import msgspec
from msgspec import Struct

from aliquot.eks.upgrade.acts.cluster_counts import kept_name
from aliquot.eks.upgrade.alarms import Alarm, alarms, new
from aliquot.eks.upgrade.counts import Counts
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait

_LOOK_S = 60.0


class Soak(Struct, frozen=True, tag="soak"):
    cluster: str
    seconds: float
    hop: str = ""
    """What was ill before that hop is nothing new. Empty: nobody looked then."""


def lasting(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds:.0f} s"


class Seen(Struct, frozen=True, kw_only=True):
    alarms: tuple[Alarm, ...]


async def look(act: Soak, doors: Doors) -> Seen:
    return Seen(alarms=await alarms(doors.api, act.cluster))


def judged(act: Soak, seen: Seen, attempt: Attempt) -> Verdict:
    kept = attempt.kept.get(kept_name(act.hop))
    before = () if kept is None else msgspec.convert(kept, Counts).alarms
    found = new(before, seen.alarms)
    # It goes on for a day: what comes later is not what was accepted.
    open_ = [one for one in found if not attempt.accepted(f"{one.of}: {one.issue.code}")]
    if open_:
        said = "; ".join(map(str, open_))
        return Hold(
            f"{act.cluster} is not well: {said}",
            "mend it, then retry; or live with it (retry --accept), or go back while there is time",
        )
    left_s = attempt.began_s + act.seconds - attempt.now_s
    if left_s > 0:
        return Wait(min(left_s, _LOOK_S), f"{act.cluster} soaks, {left_s / 3600:.1f} h are left")
    if found:
        return Done(
            f"{act.cluster} has soaked for {lasting(act.seconds)}; {attempt.accepted_by} accepted: {'; '.join(map(str, found))}"
        )
    old = "; ".join(map(str, seen.alarms))
    also = f"; as before the hop: {old}" if old else ""
    return Done(f"nothing new was wrong with {act.cluster} for {lasting(act.seconds)}{also}")


DOING = Doing(look=look, judge=judged, heeds_accept=True)
