"""An add-on of EKS, to another build. What people changed of it stays (PRESERVE)."""

from msgspec import Struct

from aliquot.eks.estate.updates import SeenUpdate, over, updates_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Verdict

_SETTLED = frozenset({"ACTIVE", "DEGRADED", "UPDATE_FAILED", "CREATE_FAILED"})
"""In which EKS begins an update. A degraded add-on may be what the update is to mend."""


class AddonBuild(Struct, frozen=True, tag="addon"):
    cluster: str
    name: str
    build: str
    configuration: str = ""
    """Its configuration values, as they are: what is left out of the call, EKS takes for none."""
    role_arn: str = ""
    """The role of its service account, as it is: where it is left out, the add-on is left with the role of the nodes. Of associations for
    pod identity EKS says that they stay when they are left out."""


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    build: str
    updates: tuple[SeenUpdate, ...] = ()


def call_of(act: AddonBuild, token: str) -> Call:
    parameters = {
        "clusterName": act.cluster,
        "addonName": act.name,
        "addonVersion": act.build,
        "resolveConflicts": "PRESERVE",
        "clientRequestToken": token,
    }
    if act.configuration:
        parameters["configurationValues"] = act.configuration
    if act.role_arn:
        parameters["serviceAccountRoleArn"] = act.role_arn
    return Call("eks", "UpdateAddon", parameters)


async def look(act: AddonBuild, doors: Doors) -> Seen:
    whose = {"addonName": act.name}
    addon = (await doors.api.call("eks", "DescribeAddon", clusterName=act.cluster, **whose))["addon"]
    return Seen(
        status=addon["status"],
        build=addon["addonVersion"],
        updates=await updates_of(doors.api, act.cluster, whose),
    )


def judged(act: AddonBuild, seen: Seen, attempt: Attempt) -> Verdict:
    subject = Subject(
        what=f"add-on {act.name} of {act.cluster} to {act.build}",
        reached=seen.build == act.build,
        settled=seen.status in _SETTLED,
        status=seen.status,
        updates=seen.updates,
    )
    return judge(subject, call_of(act, attempt.token), before=attempt.before)


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
