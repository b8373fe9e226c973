"""What steps do to a cluster at AWS, and the rule for each over what was seen of it."""

from typing import TypeAlias

from msgspec import Struct

from aliquot.eks.upgrade.updates import SeenUpdate, Subject
from aliquot.eks.upgrade.verdicts import Call
from aliquot.eks.versions.minor import Minor


class ControlPlane(Struct, frozen=True, tag="control-plane"):
    """To the next minor, or back to the one before."""

    cluster: str
    now: Minor
    to: Minor


class AddonBuild(Struct, frozen=True, tag="addon"):
    cluster: str
    name: str
    build: str
    configuration: str = ""
    """Its configuration values, as they are: what is left out of the call, EKS takes for none."""


class GroupRoll(Struct, frozen=True, tag="nodegroup"):
    cluster: str
    name: str
    minor: Minor
    release: str
    template: dict[str, str] = {}
    """`{"id": ..., "version": ...}`; empty: it has none."""


Act: TypeAlias = ControlPlane | AddonBuild | GroupRoll


def call_of(act: Act, token: str) -> Call:
    """The one call that an act may come to. Never by force."""
    if isinstance(act, ControlPlane):
        return Call(
            "eks",
            "UpdateClusterVersion",
            {"name": act.cluster, "version": str(act.to), "clientRequestToken": token},
        )
    if isinstance(act, AddonBuild):
        parameters = {
            "clusterName": act.cluster,
            "addonName": act.name,
            "addonVersion": act.build,
            "resolveConflicts": "PRESERVE",
            "clientRequestToken": token,
        }
        if act.configuration:
            parameters["configurationValues"] = act.configuration
        return Call("eks", "UpdateAddon", parameters)
    group = {
        "clusterName": act.cluster,
        "nodegroupName": act.name,
        "version": str(act.minor),
        "releaseVersion": act.release,
        "force": False,
        "clientRequestToken": token,
    }
    return Call(
        "eks", "UpdateNodegroupVersion", {**group, "launchTemplate": act.template} if act.template else group
    )


class Seen(Struct, frozen=True, kw_only=True):
    """What AWS says of what an act is about, now."""

    status: str
    version: str
    """A minor; of an add-on its build."""
    release: str = ""
    template_version: str = ""
    updates: tuple[SeenUpdate, ...] = ()
    """The newest last."""


_SETTLED = {
    ControlPlane: frozenset({"ACTIVE"}),
    AddonBuild: frozenset({"ACTIVE", "DEGRADED", "UPDATE_FAILED", "CREATE_FAILED"}),
    GroupRoll: frozenset({"ACTIVE", "DEGRADED"}),
}
"""In which EKS begins an update. A degraded add-on or group may be what the update is to mend."""


def subject(act: Act, seen: Seen) -> Subject:
    return Subject(
        what=_what(act),
        reached=_reached(act, seen),
        settled=seen.status in _SETTLED[type(act)],
        status=seen.status,
        updates=seen.updates,
        against=_against(act, seen),
    )


def _what(act: Act) -> str:
    if isinstance(act, ControlPlane):
        return f"control plane of {act.cluster} to {act.to}"
    if isinstance(act, AddonBuild):
        return f"add-on {act.name} of {act.cluster} to {act.build}"
    return f"node group {act.name} of {act.cluster} to {act.release}"


def _reached(act: Act, seen: Seen) -> bool:
    if isinstance(act, ControlPlane):
        return seen.version == str(act.to)
    if isinstance(act, AddonBuild):
        return seen.version == act.build
    template = act.template.get("version", seen.template_version)
    return (seen.version, seen.release, seen.template_version) == (str(act.minor), act.release, template)


def _against(act: Act, seen: Seen) -> str:
    if isinstance(act, ControlPlane) and seen.version != str(act.now):
        return f"it is at {seen.version}, and this plan leads from {act.now} to {act.to}: plan anew"
    return ""
