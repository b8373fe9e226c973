"""What runs the cluster besides EKS' own: is it well, and does it go with the new minor?"""

from msgspec import Struct

from aliquot.eks.upgrade.acts.cluster_counts import kept_name
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import DEPLOYMENTS

_LOOK_S = 15.0
_SETTLE_S = 600.0
_PLATFORM = (
    "aliquot-operator",
    "aliquot-scheduler",
    "aws-load-balancer-controller",
    "cluster-autoscaler",
    "coredns",
    "ebs-csi-controller",
    "gpu-operator",
    "karpenter",
    "kueue-controller-manager",
    "metrics-server",
)
"""Deployments by name, or by the end of it (a release's name may stand before)."""


class PlatformHealth(Struct, frozen=True, tag="platform"):
    minor: Minor


class Part(Struct, frozen=True, kw_only=True):
    name: str
    """`namespace/name`."""
    wanted: int
    ready: int
    rolled_out: bool
    image: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.ready} of {self.wanted} ready"


class Seen(Struct, frozen=True):
    parts: tuple[Part, ...]


async def look(act: PlatformHealth, doors: Doors) -> Seen:
    parts = []
    for one in (await doors.kube.list(DEPLOYMENTS)).items:
        metadata, spec, status = one["metadata"], one.get("spec", {}), one.get("status", {})
        if not metadata["name"].endswith(_PLATFORM):
            continue
        wanted = spec.get("replicas", 1)
        containers = spec.get("template", {}).get("spec", {}).get("containers", [{}])
        parts.append(
            Part(
                name=f"{metadata['namespace']}/{metadata['name']}",
                wanted=wanted,
                ready=status.get("readyReplicas", 0),
                rolled_out=status.get("updatedReplicas", 0) >= wanted,
                image=containers[0].get("image", ""),
            )
        )
    return Seen(tuple(parts))


def judged(act: PlatformHealth, seen: Seen, attempt: Attempt) -> Verdict:
    """What was not well before the hop, either, holds nobody up; where that was not counted, nothing does."""
    before = attempt.kept.get(kept_name(str(act.minor)), {}).get("ready", {})
    ill = [one for one in seen.parts if one.ready < one.wanted or not one.rolled_out]
    worse = [one for one in ill if before.get(f"Deployment {one.name}", 0) > one.ready]
    if worse and not attempt.accepted_by and attempt.now_s - attempt.began_s < _SETTLE_S:
        return Wait(_LOOK_S, str(worse[0]))
    if worse and not attempt.accepted_by:
        said = "; ".join(map(str, worse))
        return Hold(
            f"not well: {said}",
            "mend it, or put its former release back; then retry; or live with it (retry --accept)",
        )
    told = f"{len(seen.parts) - len(ill)} of {len(seen.parts)} parts of the platform are well"
    if worse:
        told += f"; {attempt.accepted_by} accepted: {'; '.join(map(str, worse))}"
    old = [one for one in ill if one not in worse]
    if old:
        told += f"; not well, and not before: {'; '.join(map(str, old))}"
    behind = [
        one for one in seen.parts if one.name.endswith("cluster-autoscaler") and not _of(one, act.minor)
    ]
    if behind:
        told += f"; the cluster autoscaler is to be of the cluster's minor: {behind[0].image} is not"
    return Done(told)


def _of(part: Part, minor: Minor) -> bool:
    try:
        return Minor.parse(part.image.rpartition(":")[2]) == minor
    except ValueError:
        return True


DOING = Doing(look=look, judge=judged, heeds_accept=True)
