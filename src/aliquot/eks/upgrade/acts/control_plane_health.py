"""The API server after its upgrade: does it answer, in the new minor, to all that it answered before?"""

import json

import msgspec
from msgspec import Struct

from aliquot.eks.upgrade.acts.cluster_counts import kept_name
from aliquot.eks.upgrade.counts import Counts
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.troubles import Trouble, new, troubles
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor

_LOOK_S = 15.0
_SETTLE_S = 600.0


class ControlPlaneHealth(Struct, frozen=True, tag="control-plane-health"):
    minor: Minor


class Seen(Struct, frozen=True, kw_only=True):
    version: str
    troubles: tuple[Trouble, ...] = ()


async def look(act: ControlPlaneHealth, doors: Doors) -> Seen:
    version = json.loads(await doors.kube.get_raw("/version")).get("gitVersion", "")
    return Seen(version=version, troubles=await troubles(doors.kube))


def judged(act: ControlPlaneHealth, seen: Seen, attempt: Attempt) -> Verdict:
    """What was wrong before the hop, too, holds nobody up."""
    kept = attempt.kept.get(kept_name(str(act.minor)))
    before = () if kept is None else msgspec.convert(kept, Counts).troubles
    wrong = [str(one) for one in new(before, seen.troubles)]
    try:
        right = Minor.parse(seen.version) == act.minor
    except ValueError:
        right = False
    if not right:
        wrong.insert(0, f"it says that it is {seen.version or 'nothing'}, not {act.minor}")
    if not wrong:
        old = "; ".join(map(str, seen.troubles))
        also = f", but for what was so before: {old}" if old else ""
        return Done(f"the API server is {seen.version}, and well{also}")
    said = "; ".join(wrong)
    if right and attempt.accepted_by:
        return Done(f"the API server is {seen.version}; {attempt.accepted_by} accepted: {said}")
    if attempt.now_s - attempt.began_s < _SETTLE_S:
        return Wait(_LOOK_S, wrong[0])
    return Hold(
        f"the API server is not well: {said}",
        "mend it, then retry; or live with it (retry --accept), or go back",
    )


DOING = Doing(look=look, judge=judged, heeds_accept=True)
