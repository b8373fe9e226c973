"""Insights: what EKS itself has against the next minor, or against going back. Looked at anew once a day, or when asked for."""

import uuid
from collections.abc import Callable
from typing import Any

from aliquot.eks.fake.fleet import Requested
from aliquot.eks.fake.known import number
from aliquot.eks.fake.refusals import in_use, not_found
from aliquot.eks.fake.rules import finding
from aliquot.eks.fake.world import Cluster, World, at

_DAY_S = 86400.0
ENDS: dict[tuple[str, str], tuple[str, str]] = {
    ("flowcontrol.apiserver.k8s.io", "v1beta3"): ("1.32", "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io", "v1beta2"): ("1.29", "flowcontrol.apiserver.k8s.io/v1"),
    ("networking.k8s.io", "v1beta1"): ("1.37", "networking.k8s.io/v1"),
    ("storage.k8s.io", "v1beta1"): ("1.37", "storage.k8s.io/v1"),
}
"""By group and version: the minor that stops serving it, and what does serve it. Of those that EKS serves."""


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    if cluster.told["status"] not in ("ACTIVE", "UPDATING"):
        return
    refreshed = cluster.refreshed
    if refreshed is None or now_s - refreshed[0] >= _DAY_S:
        cluster.refreshed = (now_s, now_s + world.durations.insights)
    elif (not cluster.insights and now_s >= refreshed[1]) or _due(cluster, now_s):
        before = {one["id"]: one for one in cluster.insights}
        cluster.insights = [_since(one, before.get(one["id"])) for one in look(world, cluster, now_s)]


def _since(one: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """It stands as it did, where its status is the same."""
    if before is None or before["insightStatus"]["status"] != one["insightStatus"]["status"]:
        return one
    return {**one, "lastTransitionTime": before["lastTransitionTime"]}


def _due(cluster: Cluster, now_s: float) -> bool:
    """A refresh is over, and what is told is older."""
    assert cluster.refreshed is not None
    told = cluster.insights[0]["lastRefreshTime"].timestamp() if cluster.insights else 0.0
    return told < cluster.refreshed[1] <= now_s


def look(world: World, cluster: Cluster, now_s: float) -> list[dict[str, Any]]:
    found = []
    now = number(cluster.minor)
    for minor in (f"1.{now + 1}", f"1.{now + 2}"):
        if world.known.minor(minor) is None:
            continue
        # ERROR is of the next minor; what breaks later is a WARNING.
        bad = "ERROR" if number(minor) == now + 1 else "WARNING"
        found += [
            _kubelets(cluster, minor, bad),
            _kube_proxy(cluster, minor, bad),
            _addons(world, cluster, minor, bad),
            _apis(world, cluster, minor, bad),
            _health(cluster, minor, bad),
        ]
    if cluster.upgraded_from:
        found.append(_back(world, cluster, cluster.upgraded_from))
    stamp = {"lastRefreshTime": at(now_s), "lastTransitionTime": at(now_s)}
    return [{**one, **stamp} for one in found]


def _insight(
    cluster: Cluster, name: str, category: str, minor: str, status: str, reason: str, **more: Any
) -> dict[str, Any]:
    key = f"{cluster.told['arn']}/{cluster.told['createdAt']}/{category}/{name}/{minor}"
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
        "name": name,
        "category": category,
        "kubernetesVersion": minor,
        "description": f"Checks for {name.lower()}",
        "insightStatus": {"status": status, "reason": reason},
        "recommendation": more.pop("recommendation", "None."),
        "additionalInfo": {},
        "resources": more.pop("resources", []),
        "categorySpecificSummary": more,
    }


def _nodes(cluster: Cluster, fits: Callable[[str], bool], bad: str, why: str) -> list[dict[str, Any]]:
    """Node groups, and nodes of Fargate, whose minor does not fit, as an insight names them."""
    status = {"status": bad, "reason": why}
    groups = [
        {"insightStatus": status, "arn": group.told["nodegroupArn"]}
        for group in cluster.nodegroups.values()
        if not fits(group.told["version"])
    ]
    nodes = [
        {"insightStatus": status, "kubernetesResourceUri": f"/api/v1/nodes/{machine.name}"}
        for machine in cluster.fargate_nodes.values()
        if not fits(machine.minor)
    ]
    return groups + nodes


def _names(resources: list[dict[str, Any]]) -> str:
    """`.../nodegroup/prod/gpu/ID`, `/api/v1/nodes/fargate-1`."""
    return ", ".join(
        one["arn"].split("/")[2] if "arn" in one else one["kubernetesResourceUri"].rpartition("/")[2]
        for one in resources
    )


def _kubelets(cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    old = _nodes(cluster, lambda its: number(its) >= number(minor) - 3, bad, f"too old for {minor}")
    status = bad if old else "PASSING"
    reason = f"Nodes too old for {minor}: {_names(old)}" if old else "Kubelet versions are supported"
    return _insight(
        cluster, "Kubelet version skew", "UPGRADE_READINESS", minor, status, reason, resources=old
    )


def _kube_proxy(cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    addon = cluster.addons.get("kube-proxy")
    its = ".".join(addon.told["addonVersion"].removeprefix("v").split(".")[:2]) if addon else ""
    old = bool(its) and number(its) < number(minor) - 3
    reason = f"kube-proxy {its} is too old for {minor}" if old else "kube-proxy versions are supported"
    status = bad if old else "PASSING"
    return _insight(cluster, "kube-proxy version skew", "UPGRADE_READINESS", minor, status, reason)


def _health(cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    codes = [one["code"] for one in cluster.told["health"]["issues"]]
    reason = f"Cluster health issues: {', '.join(codes)}" if codes else "No cluster health issues detected."
    status = bad if codes else "PASSING"
    return _insight(cluster, "Cluster health issues", "UPGRADE_READINESS", minor, status, reason)


def _misfits(world: World, cluster: Cluster, minor: str) -> list[dict[str, Any]]:
    """Add-ons that do not go with a minor, and builds of theirs that do."""
    found = []
    for name, addon in cluster.addons.items():
        build = world.known.build(name, addon.told["addonVersion"])
        if build is None or minor not in build.minors:
            fits = [one.version for one in world.known.addons.get(name, ()) if minor in one.minors]
            found.append({"name": name, "compatibleVersions": fits})
    return found


def _addons(world: World, cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    details = _misfits(world, cluster, minor)
    listed = ", ".join(one["name"] for one in details)
    reason = f"Add-ons not compatible with {minor}: {listed}" if details else "All add-ons are compatible"
    return _insight(
        cluster,
        "EKS add-on version compatibility",
        "UPGRADE_READINESS",
        minor,
        bad if details else "PASSING",
        reason,
        addonCompatibilityDetails=details,
    )


def _apis(world: World, cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    by_api: dict[tuple[str, str, str], list[Requested]] = {}
    for one in world.fleet.requested(cluster.name):
        if ENDS.get((one.group, one.version), ("", ""))[0] == minor:
            by_api.setdefault((one.group, one.version, one.resource), []).append(one)
    details = [
        {
            "usage": f"/apis/{group}/{version}/{resource}",
            "replacedWith": f"/apis/{ENDS[group, version][1]}/{resource}",
            "stopServingVersion": minor,
            "startServingReplacementVersion": "1.29",
            "clientStats": [
                {
                    "userAgent": one.user_agent,
                    "numberOfRequestsLast30Days": one.times,
                    "lastRequestTime": at(one.last_s),
                }
                for one in uses
            ],
        }
        for (group, version, resource), uses in by_api.items()
    ]
    status = bad if details else "PASSING"
    reason = (
        "Deprecated API usage detected within last 30 days"
        if details
        else "No deprecated API usage detected within the last 30 days."
    )
    return _insight(
        cluster,
        f"Deprecated APIs removed in Kubernetes v{minor}",
        "UPGRADE_READINESS",
        minor,
        status,
        reason,
        deprecationDetails=details,
    )


def _back(world: World, cluster: Cluster, minor: str) -> dict[str, Any]:
    newer = _nodes(cluster, lambda its: number(its) <= number(minor), "ERROR", f"newer than {minor}")
    details = _misfits(world, cluster, minor)
    parts = [f"nodes newer than {minor}: {_names(newer)}"] if newer else []
    if details:
        parts.append(f"add-ons not compatible with {minor}: {', '.join(one['name'] for one in details)}")
    return _insight(
        cluster,
        "Rollback readiness",
        "ROLLBACK_READINESS",
        minor,
        "ERROR" if parts else "PASSING",
        "; ".join(parts) or "Nothing speaks against it",
        resources=newer,
        addonCompatibilityDetails=details,
        recommendation=f"Bring nodes and add-ons back to {minor} before the control plane."
        if parts
        else "None.",
    )


def failing(world: World, cluster: Cluster, category: str, minor: str, now_s: float) -> list[str]:
    """Names of those of status ERROR, looked at now."""
    return [
        one["name"]
        for one in look(world, cluster, now_s)
        if (one["category"], one["kubernetesVersion"]) == (category, minor)
        and one["insightStatus"]["status"] == "ERROR"
    ]


_SUMMARY = (
    "id",
    "name",
    "category",
    "kubernetesVersion",
    "lastRefreshTime",
    "lastTransitionTime",
    "description",
    "insightStatus",
)


def list_insights(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    wanted = call.get("filter", {})

    def fits(one: dict[str, Any]) -> bool:
        return (
            one["category"] in wanted.get("categories", [one["category"]])
            and one["kubernetesVersion"] in wanted.get("kubernetesVersions", [one["kubernetesVersion"]])
            and one["insightStatus"]["status"] in wanted.get("statuses", [one["insightStatus"]["status"]])
        )

    return {"insights": [{key: one[key] for key in _SUMMARY} for one in cluster.insights if fits(one)]}


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    found = next((one for one in cluster.insights if one["id"] == call["id"]), None)
    if found is None:
        raise not_found("insight", call["id"], clusterName=cluster.name)
    return {"insight": found}


def start_refresh(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    if cluster.refreshed is not None and cluster.refreshed[0] <= now_s < cluster.refreshed[1]:
        raise in_use("An insights refresh is in progress", clusterName=cluster.name)
    cluster.refreshed = (now_s, now_s + world.durations.insights)
    return {"message": "Insights refresh has begun", "status": "IN_PROGRESS"}


def describe_refresh(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    if cluster.refreshed is None:
        raise not_found("insights refresh", cluster.name, clusterName=cluster.name)
    began, ends = cluster.refreshed
    if now_s < ends:
        return {"status": "IN_PROGRESS", "startedAt": at(began)}
    return {"status": "COMPLETED", "startedAt": at(began), "endedAt": at(ends)}
