"""How many of what there is, and what is ill: kept before the upgrade, compared after it."""

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.estate.objects import Node
from aliquot.eks.estate.reading_aws import nodegroups
from aliquot.eks.upgrade.alarms import alarms
from aliquot.eks.upgrade.counts import Counts, RunningPod, RunningWorkload, count, missing
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.troubles import troubles
from aliquot.eks.upgrade.verdicts import Done, Hold, Keep, Verdict, Wait
from aliquot.kube.client import Client
from aliquot.kube.resources import DAEMONSETS, DEPLOYMENTS, NODES, PODS, STATEFULSETS

KEPT = "counts"
_LOOK_S = 20.0
_WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)


class CountBefore(Struct, frozen=True, tag="count-before"):
    hop: str
    """Each hop is compared with how it was before that hop."""
    cluster: str = ""
    """Of EKS, which is asked for its health, too; empty: it is not."""


class CountAfter(Struct, frozen=True, tag="count-after"):
    hop: str
    cluster: str = ""
    """Of EKS, which is asked how many nodes its groups are to have; empty: it is not."""
    settle_s: float = 900.0
    """Until then pods may still be on their way."""
    instead: dict[str, str] = {}
    """By node group that is gone, the one that stands in for it."""


class SeenAfter(Struct, frozen=True, kw_only=True):
    counts: Counts
    sizes: dict[str, int] = {}
    """Nodes that groups are to have."""


def kept_name(hop: str) -> str:
    return f"{KEPT}/{hop}"


async def look_before(act: CountBefore, doors: Doors) -> Counts:
    seen = replace(await _counts(doors.kube), troubles=await troubles(doors.kube))
    return replace(seen, alarms=await alarms(doors.api, act.cluster)) if act.cluster else seen


async def look_after(act: CountAfter, doors: Doors) -> SeenAfter:
    groups = await nodegroups(doors.api, act.cluster) if act.cluster else ()
    return SeenAfter(counts=await _counts(doors.kube), sizes={group.name: group.desired for group in groups})


async def _counts(kube: Client) -> Counts:
    workloads = []
    for resource in _WORKLOADS:
        listed = await kube.list(resource, into=RunningWorkload)
        workloads += [(resource.kind, one) for one in listed.items]
    nodes = await kube.list(NODES, into=Node)
    pods = await kube.list(PODS, into=RunningPod)
    return count(nodes.items, pods.items, workloads)


def judged_before(act: CountBefore, seen: Counts, attempt: Attempt) -> Verdict:
    name = kept_name(act.hop)
    if name in attempt.kept:
        return Done("counted")
    return Keep(name, msgspec.to_builtins(seen))


def judged_after(act: CountAfter, seen: SeenAfter, attempt: Attempt) -> Verdict:
    kept = attempt.kept.get(kept_name(act.hop))
    if kept is None:
        return Hold(
            f"how much there was before {act.hop} is not in the journal",
            "look yourself whether all is there; then go back, or plan anew",
        )
    before = msgspec.convert(kept, Counts)
    gone = missing(before, seen.counts, seen.sizes, act.instead)
    if not gone:
        restarts = seen.counts.restarts - before.restarts
        told = f"; {restarts} more restarts in kube-system" if restarts > 0 else ""
        return Done(f"all that there was is there{told}")
    if attempt.accepted_by:
        return Done(f"{attempt.accepted_by} accepted: {'; '.join(gone)}")
    if attempt.now_s - attempt.began_s < act.settle_s:
        return Wait(
            _LOOK_S, f"not yet as before: {gone[0]}" + (f", and {len(gone) - 1} more" if gone[1:] else "")
        )
    return Hold(
        f"not as it was before: {'; '.join(gone)}",
        "mend it, then retry; or live with it (retry --accept), or go back",
    )


BEFORE = Doing(look=look_before, judge=judged_before)
AFTER = Doing(look=look_after, judge=judged_after, heeds_accept=True)
