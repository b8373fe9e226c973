"""An add-on of EKS, to another build: with what it has by then, and done once it is as well as it was before."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.estate.updates import Progress, SeenUpdate, over, updates_of
from aliquot.eks.upgrade.acts import addon_workloads
from aliquot.eks.upgrade.acts.addon_workloads import Rollout
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.updates import POLL_S, Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Keep, Verdict, Wait

_ILL = "DEGRADED"
_FAILED = frozenset({"UPDATE_FAILED", "CREATE_FAILED"})
_SETTLED = frozenset({"ACTIVE", _ILL}) | _FAILED
"""In which EKS begins an update. A degraded add-on may be what the update is to mend."""
_SETTLE_S = 1200.0
"""From the update's beginning: until then its pods may still be on their way."""


class Conflicts(StrEnum):
    """What becomes of fields that somebody has changed in the cluster."""

    PRESERVE = "PRESERVE"
    OVERWRITE = "OVERWRITE"
    NONE = "NONE"


class AddonBuild(Struct, frozen=True, tag="addon"):
    cluster: str
    name: str
    build: str
    configuration: str = ""
    """Its configuration values when it was planned. What is left out of the call, EKS takes for none."""
    role_arn: str = ""
    """The role of its service account, then: where it is left out, the add-on is left with the role of the nodes. Of associations for
    pod identity EKS says that they stay when they are left out."""
    conflicts: Conflicts = Conflicts.PRESERVE


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    build: str
    configuration: str = ""
    role_arn: str = ""
    issues: tuple[str, ...] = ()
    updates: tuple[SeenUpdate, ...] = ()
    workloads: tuple[Rollout, ...] = ()


class Before(Struct, frozen=True, kw_only=True):
    """How well it was before its update."""

    ill: bool = False
    missing: dict[str, int] = {}
    """Pods, by workload."""


def call_of(act: AddonBuild, token: str) -> Call:
    parameters = {
        "clusterName": act.cluster,
        "addonName": act.name,
        "addonVersion": act.build,
        "resolveConflicts": str(act.conflicts),
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
        configuration=addon.get("configurationValues", ""),
        role_arn=addon.get("serviceAccountRoleArn", ""),
        issues=tuple(_issues(addon)),
        updates=await updates_of(doors.api, act.cluster, whose),
        workloads=await addon_workloads.look(act.name, doors),
    )


def _issues(addon: dict[str, Any]) -> Iterator[str]:
    for one in addon.get("health", {}).get("issues", ()):
        yield f"{one.get('code', 'Unknown')}: {one.get('message', '')}".removesuffix(": ")


def judged(act: AddonBuild, seen: Seen, attempt: Attempt) -> Verdict:
    subject = Subject(
        what=f"add-on {act.name} of {act.cluster} to {act.build}",
        reached=seen.build == act.build and seen.status not in _FAILED,
        settled=seen.status in _SETTLED,
        status=seen.status,
        updates=seen.updates,
    )
    kept = f"{attempt.step}/addon-before"
    running = any(one.progress is Progress.IN_PROGRESS for one in seen.updates)
    if not subject.reached and not running and kept not in attempt.kept:
        return Keep(kept, msgspec.to_builtins(_as_it_is(seen)))
    # What people changed of it since it was planned counts: a hold may have told them to.
    asked = replace(act, configuration=seen.configuration, role_arn=seen.role_arn)
    verdict = judge(subject, call_of(asked, attempt.token), before=attempt.before)
    if not isinstance(verdict, Done):
        return verdict
    worse = tuple(_worse(seen, msgspec.convert(attempt.kept.get(kept, {}), Before)))
    if not worse:
        return verdict
    if attempt.now_s - attempt.began_s < _SETTLE_S:
        return Wait(POLL_S, f"{subject.what}: {worse[0]}")
    return Hold(f"{subject.what}: {'; '.join(worse)}", "see why its pods do not come; then retry, or go back")


def _as_it_is(seen: Seen) -> Before:
    missing = {one.name: one.missing for one in seen.workloads if one.missing}
    return Before(ill=seen.status == _ILL, missing=missing)


def _worse(seen: Seen, before: Before) -> Iterator[str]:
    """What was not well before the update, either, holds nobody up."""
    if seen.status == _ILL and not before.ill:
        yield f"it is {seen.status}" + "".join(f", {one}" for one in seen.issues)
    for one in seen.workloads:
        if one.missing > before.missing.get(one.name, 0):
            yield str(one)


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
