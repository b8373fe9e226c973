"""The control plane, to the next minor, or back to the one before."""

from msgspec import Struct

from aliquot.eks.estate.updates import SeenUpdate, over, updates_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Verdict
from aliquot.eks.versions.minor import Minor

_SETTLED = frozenset({"ACTIVE"})


class ControlPlane(Struct, frozen=True, tag="control-plane"):
    cluster: str
    now: Minor
    to: Minor


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    version: str
    updates: tuple[SeenUpdate, ...] = ()


def call_of(act: ControlPlane, token: str) -> Call:
    """Never by force."""
    return Call(
        "eks",
        "UpdateClusterVersion",
        {"name": act.cluster, "version": str(act.to), "clientRequestToken": token},
    )


async def look(act: ControlPlane, doors: Doors) -> Seen:
    cluster = (await doors.api.call("eks", "DescribeCluster", name=act.cluster))["cluster"]
    return Seen(
        status=cluster["status"],
        version=cluster["version"],
        updates=await updates_of(doors.api, act.cluster, {}),
    )


def judged(act: ControlPlane, seen: Seen, attempt: Attempt) -> Verdict:
    subject = Subject(
        what=f"control plane of {act.cluster} to {act.to}",
        reached=seen.version == str(act.to),
        settled=seen.status in _SETTLED,
        status=seen.status,
        updates=seen.updates,
        against=_against(act, seen),
    )
    return judge(subject, call_of(act, attempt.token), before=attempt.before)


def _against(act: ControlPlane, seen: Seen) -> str:
    if seen.version != str(act.now):
        return f"it is at {seen.version}, and this plan leads from {act.now} to {act.to}: plan anew"
    return ""


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
