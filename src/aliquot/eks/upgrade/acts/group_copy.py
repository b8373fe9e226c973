"""A managed node group like another one, at another minor: a canary for a while, or the one that takes its place.

It bears the run in its tags, so that nobody takes somebody else's group for it, or deletes that.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aliquot.eks.aws.api import Failure
from aliquot.eks.upgrade.acts.group_issues import told_issues
from aliquot.eks.upgrade.canaries import left_out, todo, told_left_out
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor

COPY_OF = "aliquot.dev/copy-of"
RUN = "aliquot.dev/run"
"""Tags of the copy: of which group it is one, and which run made it."""
_POLL_S = 30.0
_FAILED = frozenset({"CREATE_FAILED", "DELETE_FAILED"})


class Taint(Struct, frozen=True, kw_only=True):
    key: str
    value: str = ""
    effect: str = "NO_SCHEDULE"
    """As EKS writes it."""


class GroupCopy(Struct, frozen=True, kw_only=True, tag="group-copy"):
    cluster: str
    name: str
    of: str
    minor: Minor
    release: str
    """Empty: its AMI is its launch template's."""
    template: dict[str, str] = {}
    """`{"id": ..., "version": ...}`; empty: as the other one has it."""
    size: int | None
    """Nodes; None: as many as the other one has by then. How far it may grow and shrink is the other one's; a canary does neither."""
    taints: tuple[Taint, ...] = ()
    """On top of those of the other one."""
    labels: dict[str, str] = {}
    """On top, too."""
    canary: bool = False
    """It is looked at and goes: nobody updates it, mends it, or adds to it. A person may go on without."""


class Seen(Struct, frozen=True, kw_only=True):
    like: dict[str, Any] = {}
    """The other one, as EKS tells of it; not asked for where the copy is there."""
    status: str = ""
    """Of the copy; empty: it is not there."""
    arn: str = ""
    tags: dict[str, str] = {}
    issues: tuple[str, ...] = ()


def call_like(act: GroupCopy, like: Mapping[str, Any], token: str, run: str) -> Call:
    """`like`: the other one, as DescribeNodegroup tells of it. Empty token and run: as it is shown in a plan."""
    template = act.template or {
        key: str(one) for key, one in like.get("launchTemplate", {}).items() if key in ("id", "version")
    }
    limits = like.get("scalingConfig", {})
    size = limits.get("desiredSize", 0) if act.size is None else act.size
    least, most = (size, size) if act.canary else (limits.get("minSize", 0), limits.get("maxSize", size))
    of_template = ("diskSize", "remoteAccess") if not template else ()
    of_lasting = ("updateConfig", "nodeRepairConfig", "warmPoolConfig") if not act.canary else ()
    parameters: dict[str, Any] = {
        "clusterName": act.cluster,
        "nodegroupName": act.name,
        "scalingConfig": {
            "minSize": least,
            "maxSize": most,
            "desiredSize": min(max(size, least), most),
        },
        "subnets": list(like["subnets"]),
        "nodeRole": like["nodeRole"],
        **{
            key: like[key]
            for key in ("instanceTypes", "capacityType", *of_template, *of_lasting)
            if like.get(key)
        },
        "labels": {**like.get("labels", {}), **act.labels},
        "taints": _taints(act, like),
        "tags": {
            **{key: one for key, one in like.get("tags", {}).items() if not key.startswith("aws:")},
            COPY_OF: act.of,
            **({RUN: run} if run else {}),
        },
    }
    if act.release:
        parameters |= {
            "amiType": like["amiType"],
            "version": str(act.minor),
            "releaseVersion": act.release,
        }
    if template:
        parameters["launchTemplate"] = template
    if token:
        parameters["clientRequestToken"] = token
    return Call("eks", "CreateNodegroup", parameters)


def _taints(act: GroupCopy, like: Mapping[str, Any]) -> list[dict[str, str]]:
    on_top = {(one.key, one.effect): one for one in act.taints}
    return [
        *(dict(one) for one in like.get("taints", ()) if (one["key"], one["effect"]) not in on_top),
        *(
            {"key": one.key, "effect": one.effect, **({"value": one.value} if one.value else {})}
            for one in on_top.values()
        ),
    ]


async def look(act: GroupCopy, doors: Doors) -> Seen:
    told = await group_or_none(doors, act.cluster, act.name)
    if told is None:
        like = await doors.api.call("eks", "DescribeNodegroup", clusterName=act.cluster, nodegroupName=act.of)
        return Seen(like=like["nodegroup"])
    return Seen(
        status=told["status"],
        arn=told.get("nodegroupArn", ""),
        tags=told.get("tags", {}),
        issues=told_issues(told),
    )


async def group_or_none(doors: Doors, cluster: str, name: str) -> dict[str, Any] | None:
    """As DescribeNodegroup tells of it; None: it is not there. Raises Failure."""
    try:
        answer = await doors.api.call("eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name)
    except Failure as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    found: dict[str, Any] = answer["nodegroup"]
    return found


def judged(act: GroupCopy, seen: Seen, attempt: Attempt) -> Verdict:
    decision = left_out(attempt) if act.canary else None
    if decision is not None:
        return Done(told_left_out(decision))
    named = f"node group {act.name} of {act.cluster}"
    if not seen.status:
        return call_like(act, seen.like, attempt.token, attempt.run)
    if (seen.tags.get(RUN), seen.tags.get(COPY_OF)) != (attempt.run, act.of):
        return Hold(
            f"{named} is there, and this run did not make it",
            "see whose it is; once nobody needs it, delete it, and retry",
        )
    issues = f": {'; '.join(seen.issues)}" if seen.issues else ""
    match seen.status:
        case "ACTIVE":
            return Done(f"{named} is there, like {act.of} and of {act.minor}")
        case "CREATE_FAILED" | "DELETE_FAILED" if set(_failed(seen)) & set(attempt.before):
            # It failed before a person said to try again.
            return Call("eks", "DeleteNodegroup", {"clusterName": act.cluster, "nodegroupName": act.name})
        case "CREATE_FAILED" | "DEGRADED" | "DELETE_FAILED":
            way_on = todo(act.of) if act.canary else "put that right, then retry; or go back"
            return Hold(f"{named} is {seen.status}{issues}", way_on)
    return Wait(_POLL_S, f"{named} is {seen.status}{issues}")


def _failed(seen: Seen) -> tuple[str, ...]:
    return (f"{seen.arn} {seen.status}",) if seen.status in _FAILED else ()


DOING = Doing(look=look, judge=judged, mark=_failed)
