"""Minors that are offered, and builds of add-ons."""

from datetime import UTC, datetime, time
from typing import Any

from aliquot.eks.fake.known import KnownMinor
from aliquot.eks.fake.refusals import not_found, wrong
from aliquot.eks.fake.rules import addon_settings
from aliquot.eks.fake.world import World, at


def describe_cluster_versions(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    wanted = call.get("clusterVersions")
    status = call.get("versionStatus") or (call.get("status") or "").upper().replace("-", "_")
    offered = [one for one in world.known.minors if one.status(at(now_s).date())]
    newest = _default(world, now_s)
    rows = []
    for one in reversed(offered):
        its = one.status(at(now_s).date())
        if wanted and one.minor not in wanted:
            continue
        if status and its != status:
            continue
        if not (wanted or status or call.get("includeAll")) and its == "UNSUPPORTED":
            continue
        if call.get("defaultOnly") and one.minor != newest:
            continue
        rows.append(_row(one, str(its), one.minor == newest))
    return {"clusterVersions": rows}


def _row(one: KnownMinor, status: str, default: bool) -> dict[str, Any]:
    def begins(day: Any) -> datetime:
        return datetime.combine(day, time(), UTC)

    return {
        "clusterVersion": one.minor,
        "clusterType": "eks",
        "defaultPlatformVersion": "eks.1",
        "defaultVersion": default,
        "releaseDate": begins(one.released),
        "endOfStandardSupportDate": begins(one.standard_until),
        "endOfExtendedSupportDate": begins(one.extended_until),
        "status": status.lower().replace("_", "-"),
        "versionStatus": status,
    }


def _default(world: World, now_s: float) -> str:
    """The newest but one month of them: EKS lets a minor settle before it is the default."""
    today = at(now_s).date()
    settled = [one for one in world.known.minors if (today - one.released).days >= 30 and one.status(today)]
    return settled[-1].minor if settled else ""


def creatable(world: World, minor: str | None, now_s: float) -> str:
    """The minor of a new cluster. Raises Refused."""
    chosen = minor or _default(world, now_s)
    known = world.known.minor(chosen)
    if known is None or known.status(at(now_s).date()) not in ("STANDARD_SUPPORT", "EXTENDED_SUPPORT"):
        raise wrong(f"unsupported Kubernetes version {chosen}")
    return chosen


def describe_addon_versions(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    name, minor = call.get("addonName"), call.get("kubernetesVersion")
    if name and name not in world.known.addons:
        raise not_found("addon", name, addonName=name)
    addons = []
    for addon, builds in world.known.addons.items():
        if (name and addon != name) or not _wanted(addon, call):
            continue
        versions = [
            {
                "addonVersion": build.version,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "fargate"] if addon == "coredns" else ["ec2"],
                "compatibilities": [
                    {
                        "clusterVersion": one,
                        "platformVersions": ["*"],
                        "defaultVersion": one in build.default_of,
                    }
                    for one in build.minors
                    if not minor or one == minor
                ],
                "requiresConfiguration": False,
                "requiresIamPermissions": addon in addon_settings.ROLES,
            }
            for build in builds
            if not minor or minor in build.minors
        ]
        if versions:
            addons.append(
                {
                    "addonName": addon,
                    "type": _type(addon),
                    "addonVersions": versions,
                    "publisher": "eks",
                    "owner": "aws",
                    "defaultNamespace": addon_settings.namespace(addon),
                }
            )
    return {"addons": addons}


def _type(addon: str) -> str:
    if addon in ("vpc-cni", "kube-proxy", "coredns"):
        return "networking"
    if addon.endswith("-csi-driver") or addon == "snapshot-controller":
        return "storage"
    return "observability" if addon in _WATCHING else "security" if "identity" in addon else "other"


_WATCHING = ("eks-node-monitoring-agent", "metrics-server", "amazon-cloudwatch-observability")


def _wanted(addon: str, call: dict[str, Any]) -> bool:
    its = {"types": _type(addon), "publishers": "eks", "owners": "aws"}
    return all(value in call[key] for key, value in its.items() if call.get(key))


def describe_addon_configuration(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    name, version = call["addonName"], call["addonVersion"]
    if world.known.build(name, version) is None:
        raise not_found("addon version", f"{name}:{version}", addonName=name)
    return {
        "addonName": name,
        "addonVersion": version,
        "configurationSchema": addon_settings.schema(name),
        "podIdentityConfiguration": addon_settings.roles(name),
    }
