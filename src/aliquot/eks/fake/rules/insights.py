"""Insights: what EKS itself has against the next minor, or against going back. Looked at anew once a day, or when asked for."""

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
        cluster.insights = look(world, cluster, now_s)


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
            _kubelets(world, cluster, minor, bad),
            _addons(world, cluster, minor, bad),
            _apis(world, cluster, minor, bad),
        ]
    if cluster.upgraded_from:
        found.append(_back(world, cluster, cluster.upgraded_from))
    stamp = {"lastRefreshTime": at(now_s), "lastTransitionTime": at(now_s)}
    return [{**one, **stamp} for one in found]


def _insight(
    world: World, name: str, category: str, minor: str, status: str, reason: str, **more: Any
) -> dict[str, Any]:
    return {
        "id": world.id(),
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


def _kubelets(world: World, cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    old = [
        group.told["nodegroupName"]
        for group in cluster.nodegroups.values()
        if number(group.told["version"]) < number(minor) - 3
    ]
    old += [
        machine.name
        for machine in cluster.fargate_nodes.values()
        if number(machine.minor) < number(minor) - 3
    ]
    status = bad if old else "PASSING"
    reason = f"Nodes too old for {minor}: {', '.join(old)}" if old else "Kubelet versions are supported"
    return _insight(world, "Kubelet version skew", "UPGRADE_READINESS", minor, status, reason)


def _addons(world: World, cluster: Cluster, minor: str, bad: str) -> dict[str, Any]:
    details, wrong = [], []
    for name, addon in cluster.addons.items():
        build = world.known.build(name, addon.told["addonVersion"])
        if build is None or minor not in build.minors:
            wrong.append(name)
            fits = [one.version for one in world.known.addons.get(name, ()) if minor in one.minors]
            details.append({"name": name, "compatibleVersions": fits})
    status = bad if wrong else "PASSING"
    reason = (
        f"Add-ons not compatible with {minor}: {', '.join(wrong)}" if wrong else "All add-ons are compatible"
    )
    return _insight(
        world,
        "EKS add-on version compatibility",
        "UPGRADE_READINESS",
        minor,
        status,
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
        world,
        f"Deprecated APIs removed in Kubernetes v{minor}",
        "UPGRADE_READINESS",
        minor,
        status,
        reason,
        deprecationDetails=details,
    )


def _back(world: World, cluster: Cluster, minor: str) -> dict[str, Any]:
    newer = [
        group.told["nodegroupName"]
        for group in cluster.nodegroups.values()
        if number(group.told["version"]) > number(minor)
    ]
    newer += [
        machine.name for machine in cluster.fargate_nodes.values() if number(machine.minor) > number(minor)
    ]
    wrong = [
        name
        for name, addon in cluster.addons.items()
        if (build := world.known.build(name, addon.told["addonVersion"])) is None or minor not in build.minors
    ]
    parts = [f"nodes newer than {minor}: {', '.join(newer)}"] if newer else []
    parts += [f"add-ons not compatible with {minor}: {', '.join(wrong)}"] if wrong else []
    status = "ERROR" if parts else "PASSING"
    return _insight(
        world,
        "Rollback readiness",
        "ROLLBACK_READINESS",
        minor,
        status,
        "; ".join(parts) or "Nothing speaks against it",
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
