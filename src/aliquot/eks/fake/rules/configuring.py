"""How a cluster's configuration is changed: one kind at a time, each by an update."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aliquot.eks.fake.refusals import not_now, wrong
from aliquot.eks.fake.rules import finding, placing
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import Cluster, World, at

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ENDPOINT = frozenset({"endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"})
PLACES = frozenset({"subnetIds", "securityGroupIds"})
AUTO_MODE = ("computeConfig", "kubernetesNetworkConfig", "storageConfig")
COMPONENTS = ("kubeApiServerConfig", "kubeSchedulerConfig", "kubeControllerManagerConfig")
_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
_KEY = re.compile(r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/.+")


@dataclass(frozen=True)
class Change:
    """What a call asks of a cluster: the update's type and parameters, and what is set in the end."""

    type: str
    params: dict[str, Any]
    sets: dict[str, Any]


def update_config(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.idle(world, call["name"])
    kinds = [kind for kind in _KINDS if any(key in call for key in kind)]
    if len(kinds) != 1:
        raise wrong(
            "Exactly one kind of configuration can be changed at a time"
            if kinds
            else "The type for cluster update was not provided.",
            clusterName=cluster.name,
        )
    change = _KINDS[kinds[0]](world, cluster, call, now_s, around)
    if all(cluster.told.get(key) == value for key, value in change.sets.items()):
        raise wrong("Cluster is already at the desired configuration", clusterName=cluster.name)
    return begin(
        world,
        cluster,
        "UpdateClusterConfig",
        change.type,
        change.params,
        now_s,
        due_s=now_s + world.durations.update_config,
        changes=change.sets,
    )


def logging(wanted: dict[str, Any], now: dict[str, Any] | None = None) -> dict[str, Any]:
    """What DescribeCluster tells once `wanted` is laid over `now`: types that are on, and those that are off."""
    on: set[str] = set()
    for setup in (now or {}).get("clusterLogging", []) + wanted.get("clusterLogging", []):
        types = set(setup.get("types", ()))
        on = on | types if setup.get("enabled") else on - types
    sets = ((True, [one for one in LOG_TYPES if one in on]), (False, [o for o in LOG_TYPES if o not in on]))
    return {"clusterLogging": [{"types": types, "enabled": enabled} for enabled, types in sets if types]}


def endpoint(vpc: dict[str, Any], name: str) -> None:
    """Raises Refused where nobody could reach it."""
    if not vpc["endpointPublicAccess"] and not vpc["endpointPrivateAccess"]:
        raise wrong("Private and public endpoint access cannot be false", clusterName=name)
    bad = [one for one in vpc["publicAccessCidrs"] if not _is_network(one)]
    if bad:
        raise wrong(f"The following CIDRs are invalid in publicAccessCidrs: {bad}", clusterName=name)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def encryption(wanted: Iterable[dict[str, Any]], name: str) -> None:
    """Raises Refused."""
    for one in wanted:
        if one.get("resources") != ["secrets"]:
            raise wrong("encryptionConfig: resources can be secrets alone", clusterName=name)
        if not _KEY.fullmatch(one.get("provider", {}).get("keyArn", "")):
            raise wrong("encryptionConfig: keyArn has to be the ARN of a KMS key", clusterName=name)


def _vpc(world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings) -> Change:
    wanted, now = call["resourcesVpcConfig"], cluster.told["resourcesVpcConfig"]
    told = {**now, **wanted}
    kinds = {
        "EndpointAccessUpdate": ENDPOINT & set(wanted),
        "VpcConfigUpdate": PLACES & set(wanted),
        "ControlPlaneEgressUpdate": {"controlPlaneEgressMode"} & set(wanted),
    }
    types = [type_ for type_, keys in kinds.items() if keys]
    if len(types) != 1:
        raise wrong("Only one type of update can be allowed.", clusterName=cluster.name)
    if types == ["EndpointAccessUpdate"]:
        endpoint(told, cluster.name)
    if "subnetIds" in wanted:
        places = around.subnets(wanted["subnetIds"])
        if {one.vpc for one in places} != {now["vpcId"]}:
            raise wrong("Subnets have to be of the cluster's VPC", clusterName=cluster.name)
        if not {one.zone for one in places} <= cluster.zones:
            raise wrong(
                "Subnets have to be in the availability zones that the cluster was created in",
                clusterName=cluster.name,
            )
        placing.two_zones(places, cluster.name)
        placing.enough_addresses(places, cluster.name)
    names = {
        "endpointPublicAccess": "EndpointPublicAccess",
        "endpointPrivateAccess": "EndpointPrivateAccess",
        "publicAccessCidrs": "PublicAccessCidrs",
        "subnetIds": "Subnets",
        "securityGroupIds": "SecurityGroups",
        "controlPlaneEgressMode": "ControlPlaneEgressMode",
    }
    params = {names[key]: value for key, value in wanted.items()}
    return Change(types[0], params, {"resourcesVpcConfig": told})


def _logging(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> Change:
    told = logging(call["logging"], cluster.told["logging"])
    if told == cluster.told["logging"]:
        raise wrong("No changes needed for the logging config provided", clusterName=cluster.name)
    return Change("LoggingUpdate", {"ClusterLogging": call["logging"]}, {"logging": told})


def _access(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> Change:
    now = cluster.told["accessConfig"]["authenticationMode"]
    mode = call["accessConfig"].get("authenticationMode", now)
    if _MODES.index(mode) not in (_MODES.index(now), _MODES.index(now) + 1):
        raise wrong(f"Unsupported authentication mode update from {now} to {mode}", clusterName=cluster.name)
    told = {"authenticationMode": mode}
    return Change("AccessConfigUpdate", {"AuthenticationMode": mode}, {"accessConfig": told})


def _support(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> Change:
    known = world.known.minor(cluster.minor)
    status = known.status(at(now_s).date()) if known else None
    if call["upgradePolicy"].get("supportType") == "STANDARD" and status == "EXTENDED_SUPPORT":
        raise not_now("Extended support cannot be disabled once a cluster is in it", clusterName=cluster.name)
    told = {**cluster.told["upgradePolicy"], **call["upgradePolicy"]}
    return Change("UpgradePolicyUpdate", {"UpgradePolicy": told}, {"upgradePolicy": told})


def _auto_mode(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> Change:
    """Compute, load balancing and storage are switched together."""
    network = call.get("kubernetesNetworkConfig", {})
    if set(network) - {"elasticLoadBalancing"}:
        raise wrong("The network of services is fixed once a cluster is created", clusterName=cluster.name)
    switches = (
        call.get("computeConfig", {}).get("enabled"),
        network.get("elasticLoadBalancing", {}).get("enabled"),
        call.get("storageConfig", {}).get("blockStorage", {}).get("enabled"),
    )
    if None in switches or len(set(switches)) != 1:
        raise wrong(
            "For EKS Auto Mode, please ensure that all required configs, including computeConfig, "
            "kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.",
            clusterName=cluster.name,
        )
    params = {
        "ComputeConfig": call["computeConfig"],
        "KubernetesNetworkConfig": network,
        "StorageConfig": call["storageConfig"],
    }
    sets = {key: {**cluster.told.get(key, {}), **call[key]} for key in AUTO_MODE}
    return Change("AutoModeUpdate", params, sets)


def _components(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> Change:
    sets = {key: {**cluster.told.get(key, {}), **call[key]} for key in COMPONENTS if key in call}
    params = {f"{key[0].upper()}{key[1:]}": value for key, value in sets.items()}
    return Change("ControlPlaneComponentConfigUpdate", params, sets)


def _tier(world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings) -> Change:
    now, told = cluster.told["controlPlaneScalingConfig"], call["controlPlaneScalingConfig"]
    params = {"UpdatedTier": told.get("tier", ""), "PreviousTier": now["tier"]}
    return Change("ControlPlaneScalingConfigUpdate", params, {"controlPlaneScalingConfig": {**now, **told}})


Kind = Callable[[World, Cluster, dict[str, Any], float, Surroundings], Change]


def _plain(key: str, type_: str, param: str) -> Kind:
    """What is set as it is given."""

    def kind(
        world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
    ) -> Change:
        return Change(type_, {param: call[key]}, {key: call[key]})

    return kind


_KINDS: dict[tuple[str, ...], Kind] = {
    ("resourcesVpcConfig",): _vpc,
    ("logging",): _logging,
    ("accessConfig",): _access,
    ("upgradePolicy",): _support,
    ("deletionProtection",): _plain("deletionProtection", "DeletionProtectionUpdate", "DeletionProtection"),
    ("zonalShiftConfig",): _plain("zonalShiftConfig", "ZonalShiftConfigUpdate", "ZonalShiftConfig"),
    ("remoteNetworkConfig",): _plain(
        "remoteNetworkConfig", "RemoteNetworkConfigUpdate", "RemoteNetworkConfig"
    ),
    ("controlPlaneScalingConfig",): _tier,
    AUTO_MODE: _auto_mode,
    COMPONENTS: _components,
}


def associate_encryption(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """It cannot be undone, and the key cannot be changed."""
    cluster = finding.idle(world, call["clusterName"])
    if cluster.told["encryptionConfig"]:
        raise wrong("Encryption is already enabled, and cannot be changed", clusterName=cluster.name)
    encryption(call["encryptionConfig"], cluster.name)
    return begin(
        world,
        cluster,
        "AssociateEncryptionConfig",
        "AssociateEncryptionConfig",
        {"EncryptionConfig": call["encryptionConfig"]},
        now_s,
        due_s=now_s + world.durations.update_config,
        changes={"encryptionConfig": call["encryptionConfig"]},
    )
