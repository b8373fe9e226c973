"""EKS add-ons."""

from typing import Any

from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.refusals import in_use, not_now, wrong
from aliquot.eks.fake.rules import access, addon_settings, finding
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.world import Addon, Cluster, World, at

_AS_ASKED = {"serviceAccountRoleArn": "ServiceAccountRoleArn", "configurationValues": "ConfigurationValues"}
"""Of an update: how its parameters are called among those that it tells of."""


def create(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    name = call["addonName"]
    names = {"clusterName": cluster.name, "addonName": name}
    if name in cluster.addons:
        raise in_use("Addon already exists.", **names)
    version = _version(world, cluster, name, call.get("addonVersion"))
    addon_settings.check(name, call.get("configurationValues"), names)
    told: dict[str, Any] = {
        "addonName": name,
        "clusterName": cluster.name,
        "status": "CREATING",
        "addonVersion": version,
        "health": {"issues": []},
        "addonArn": world.arn("addon", cluster.name, name, world.id()),
        "createdAt": at(now_s),
        "modifiedAt": at(now_s),
        "tags": call.get("tags", {}),
        "publisher": "eks",
        "owner": "aws",
    }
    if "serviceAccountRoleArn" in call:
        told["serviceAccountRoleArn"] = call["serviceAccountRoleArn"]
    if "configurationValues" in call:
        told["configurationValues"] = call["configurationValues"]
    if "podIdentityAssociations" in call:
        told["podIdentityAssociations"] = _identities(world, cluster, told, call, now_s)
    fault = world.faults.take(Kind.FAIL, "CreateAddon")
    cluster.addons[name] = Addon(
        told=told, due_s=now_s + world.durations.addon, failing=fault.issue() if fault else None
    )
    return {"addon": told}


def _identities(
    world: World, cluster: Cluster, told: dict[str, Any], call: dict[str, Any], now_s: float
) -> list[str]:
    """ARNs of the associations that are the add-on's own from now on. Raises Refused."""
    name = told["addonName"]
    wanted = call["podIdentityAssociations"]
    accounts = [account for account, _ in addon_settings.ROLES.get(name, ())]
    for one in wanted:
        if one["serviceAccount"] not in accounts:
            raise wrong(
                f"Service account {one['serviceAccount']} is none of add-on {name} that takes a role",
                clusterName=cluster.name,
                addonName=name,
            )
    namespace = addon_settings.namespace(name)
    return access.set_owned(world, cluster, told["addonArn"], namespace, wanted, now_s)


def _version(world: World, cluster: Cluster, name: str, version: str | None) -> str:
    names = {"clusterName": cluster.name, "addonName": name}
    if name not in world.known.addons:
        raise wrong(f"Addon {name} specified is not supported", **names)
    if version is None:
        default = world.known.default_build(name, cluster.minor)
        if default is None:
            raise wrong(f"Addon {name} is not supported in Kubernetes version {cluster.minor}", **names)
        return default.version
    build = world.known.build(name, version)
    if build is None or cluster.minor not in build.minors:
        raise wrong(
            f"Addon version specified is not supported: {name} {version}, Kubernetes version {cluster.minor}",
            **names,
        )
    return version


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    return {"addon": finding.addon(cluster, call["addonName"]).told}


def list_addons(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"addons": sorted(finding.cluster(world, call["clusterName"]).addons)}


def update(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    addon = finding.addon(cluster, call["addonName"])
    name = call["addonName"]
    names = {"clusterName": cluster.name, "addonName": name}
    if addon.told["status"] in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(f"Addon {name} cannot be updated: it is {addon.told['status']}", **names)
    version = _version(world, cluster, name, call.get("addonVersion", addon.told["addonVersion"]))
    addon_settings.check(name, call.get("configurationValues"), names)
    resolve = call.get("resolveConflicts", "NONE")
    params = {"AddonVersion": version, "ResolveConflicts": resolve}
    # What is left out is taken away: of the role the API reference says so.
    changes: dict[str, Any] = {"addonVersion": version, **{key: call.get(key) for key in _AS_ASKED}}
    params |= {name: call[key] for key, name in _AS_ASKED.items() if key in call}
    if "podIdentityAssociations" in call:
        changes["podIdentityAssociations"] = _identities(world, cluster, addon.told, call, now_s)
        params["PodIdentityAssociations"] = call["podIdentityAssociations"]
    answer = begin(
        world,
        cluster,
        "UpdateAddon",
        "AddonUpdate",
        params,
        now_s,
        due_s=now_s + world.durations.addon,
        of=f"addon/{name}",
        changes=changes,
    )
    begun = cluster.updates[answer["update"]["id"]]
    if addon.drifted and resolve == "NONE" and not begun.errors:
        begun.errors = [
            {
                "errorCode": "ConfigurationConflict",
                "errorMessage": f"Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts: {name} .spec",
                "resourceIds": [name],
            }
        ]
    if addon.drifted and resolve == "OVERWRITE":
        addon.drifted = False
    addon.told["status"] = "UPDATING"
    addon.due_s = begun.due_s
    return answer


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    addon = finding.addon(cluster, call["addonName"])
    if addon.told["status"] == "DELETING":
        raise not_now(f"Addon {call['addonName']} is being deleted", clusterName=cluster.name)
    addon.told["status"] = "DELETING"
    addon.due_s = now_s + world.durations.addon
    return {"addon": addon.told}


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    for name, addon in list(cluster.addons.items()):
        if addon.due_s is None or addon.due_s > now_s:
            continue
        addon.due_s = None
        if addon.told["status"] == "DELETING":
            access.set_owned(world, cluster, addon.told["addonArn"], "", [], now_s)
            del cluster.addons[name]
            continue
        if addon.told["status"] == "CREATING" and addon.failing is not None:
            addon.told |= {"status": "CREATE_FAILED", "health": {"issues": [addon.failing]}}
            continue
        failed = _finish(cluster, addon, name)
        addon.told["status"] = "UPDATE_FAILED" if failed else "ACTIVE"


def _finish(cluster: Cluster, addon: Addon, name: str) -> bool:
    """Whether the update of it that is just over has failed."""
    over = [
        one for one in cluster.updates.values() if one.of == f"addon/{name}" and one.status != "InProgress"
    ]
    if not over or addon.told["status"] != "UPDATING":
        return False
    last = over[-1]
    if last.errors:
        addon.told["health"] = {
            "issues": [
                {"code": one["errorCode"], "message": one["errorMessage"], "resourceIds": one["resourceIds"]}
                for one in last.errors
            ]
        }
        return True
    told = {**addon.told, **last.changes, "health": {"issues": []}}
    addon.told = {key: value for key, value in told.items() if value is not None}
    return False
