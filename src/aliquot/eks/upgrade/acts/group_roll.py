"""A managed node group, to another release. Never by force: what cannot leave holds it."""

from msgspec import Struct

from aliquot.eks.estate.updates import SeenUpdate, over, updates_of
from aliquot.eks.upgrade.acts.group_copy import group_or_none
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.staying import who_stays
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor

_SETTLED = frozenset({"ACTIVE", "DEGRADED"})
_POLL_S = 30.0
_NOT_EVICTED = "PodEvictionFailure"


class GroupRoll(Struct, frozen=True, tag="nodegroup"):
    cluster: str
    name: str
    minor: Minor
    release: str
    """Empty: its AMI is its launch template's, of which EKS knows no release."""
    template: dict[str, str] = {}
    """`{"id": ..., "version": ...}`; empty: it has none."""
    only_settles: bool = False
    """The run is stopped: an update that is on its way is seen to its end, whatever that is, and none is begun."""


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    minor: str
    release: str = ""
    template_version: str = ""
    updates: tuple[SeenUpdate, ...] = ()
    staying: tuple[str, ...] = ()
    """Pods that did not leave, where the newest update failed for that."""


def call_of(act: GroupRoll, token: str) -> Call:
    parameters = {
        "clusterName": act.cluster,
        "nodegroupName": act.name,
        "force": False,
        "clientRequestToken": token,
    }
    if act.release:
        parameters |= {"version": str(act.minor), "releaseVersion": act.release}
    if act.template:
        parameters["launchTemplate"] = act.template
    return Call("eks", "UpdateNodegroupVersion", parameters)


async def look(act: GroupRoll, doors: Doors) -> Seen:
    whose = {"nodegroupName": act.name}
    if act.only_settles:
        told = await group_or_none(doors, act.cluster, act.name)
        return Seen(status="" if told is None else told["status"], minor="")
    group = (await doors.api.call("eks", "DescribeNodegroup", clusterName=act.cluster, **whose))["nodegroup"]
    updates = await updates_of(doors.api, act.cluster, whose)
    return Seen(
        status=group["status"],
        minor=group["version"],
        release=group.get("releaseVersion", ""),
        template_version=str(group.get("launchTemplate", {}).get("version", "")),
        updates=updates,
        staying=await _staying(doors, updates),
    )


async def _staying(doors: Doors, updates: tuple[SeenUpdate, ...]) -> tuple[str, ...]:
    errors = updates[-1].errors if updates else ()
    nodes = {node for error in errors if error.code == _NOT_EVICTED for node in error.resources}
    return await who_stays(doors.client, nodes) if nodes and doors.client is not None else ()


def judged(act: GroupRoll, seen: Seen, attempt: Attempt) -> Verdict:
    if act.only_settles:
        if seen.status == "UPDATING":
            return Wait(_POLL_S, f"EKS still replaces nodes of node group {act.name}, which nobody can stop")
        return Done(f"EKS replaces no nodes of node group {act.name} any more")
    has_template = seen.template_version == act.template.get("version", seen.template_version)
    has_release = not act.release or (seen.minor, seen.release) == (str(act.minor), act.release)
    subject = Subject(
        what=f"node group {act.name} of {act.cluster} to {act.release or f'launch template {act.template}'}",
        reached=has_template and has_release,
        settled=seen.status in _SETTLED,
        status=seen.status,
        updates=seen.updates,
    )
    verdict = judge(subject, call_of(act, attempt.token), before=attempt.before)
    if isinstance(verdict, Hold) and seen.staying:
        return Hold(f"{verdict.why}; there stay {'; '.join(seen.staying)}", verdict.todo)
    return verdict


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
