"""What AWS says of a cluster: one walk through its pages for each kind of thing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from typing import Any, TypeVar

from msgspec.structs import replace

from aliquot.eks.aws.api import DENIED, THROTTLED, Api, Failure
from aliquot.eks.estate.estate import (
    Addon,
    AddonBuild,
    Cluster,
    Insight,
    InstanceType,
    Issue,
    Nodegroup,
    Reservation,
    SecurityGroup,
    Subnet,
    Template,
)
from aliquot.eks.estate.user_data import decoded
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor

T = TypeVar("T")

_TYPES_A_CALL = 100
"""EC2 takes no more."""

_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


async def told(what: str, unchecked: list[Unchecked], reading: Awaitable[T], otherwise: T) -> T:
    """What a reading gives; where a permission is missing, AWS throttles on and on, or the service has no such call, `otherwise`,
    and it is said so."""
    try:
        return await reading
    except Failure as error:
        passes = error.code in THROTTLED or error.code == "ServerException"
        if not passes and error.code not in DENIED:
            raise
        unchecked.append(Unchecked(what=what, why=error.message, passes=passes))
        return otherwise


async def cluster(api: Api, name: str) -> Cluster:
    """Raises Failure."""
    found = (await api.call("eks", "DescribeCluster", name=name))["cluster"]
    vpc = found.get("resourcesVpcConfig", {})
    groups = [*vpc.get("securityGroupIds", ()), vpc.get("clusterSecurityGroupId", "")]
    return Cluster(
        name=found["name"],
        arn=found.get("arn", ""),
        minor=Minor.parse(found["version"]),
        platform=found.get("platformVersion", ""),
        status=found["status"],
        created_s=found["createdAt"].timestamp(),
        role_arn=found.get("roleArn", ""),
        vpc=vpc.get("vpcId", ""),
        subnets=tuple(vpc.get("subnetIds", ())),
        security_groups=tuple(one for one in groups if one),
        support=found.get("upgradePolicy", {}).get("supportType", "EXTENDED"),
        ip_family=found.get("kubernetesNetworkConfig", {}).get("ipFamily", "ipv4"),
        auto_mode=bool(found.get("computeConfig", {}).get("enabled")),
        endpoint=found.get("endpoint", ""),
        authority=found.get("certificateAuthority", {}).get("data", ""),
        tags=found.get("tags", {}),
        issues=_issues(found),
    )


def _issues(found: Mapping[str, Any]) -> tuple[Issue, ...]:
    return tuple(
        Issue(one.get("code", ""), one.get("message", ""), tuple(one.get("resourceIds", ())))
        for one in found.get("health", {}).get("issues", ())
    )


async def nodegroups(api: Api, name: str) -> tuple[Nodegroup, ...]:
    names = [str(one) async for one in api.pages("eks", "ListNodegroups", "nodegroups", clusterName=name)]
    return tuple(await _each(names, lambda group: _nodegroup(api, name, group)))


async def _nodegroup(api: Api, cluster_name: str, name: str) -> Nodegroup:
    found = (await api.call("eks", "DescribeNodegroup", clusterName=cluster_name, nodegroupName=name))[
        "nodegroup"
    ]
    size, update = found.get("scalingConfig", {}), found.get("updateConfig", {})
    desired = size.get("desiredSize", 0)
    percent = update.get("maxUnavailablePercentage")
    return Nodegroup(
        name=name,
        minor=Minor.parse(found["version"]),
        release=found.get("releaseVersion", ""),
        status=found["status"],
        ami_type=found.get("amiType", ""),
        capacity=found.get("capacityType", "ON_DEMAND"),
        instance_types=tuple(found.get("instanceTypes", ())),
        minimum=size.get("minSize", 0),
        desired=desired,
        maximum=size.get("maxSize", 0),
        subnets=tuple(found.get("subnets", ())),
        strategy=update.get("updateStrategy", "DEFAULT"),
        most_unavailable=update.get("maxUnavailable") or max(1, desired * (percent or 0) // 100),
        most_unavailable_percentage=percent or 0,
        template=found.get("launchTemplate", {}).get("id", ""),
        template_version=str(found.get("launchTemplate", {}).get("version", "")),
        labels=found.get("labels", {}),
        taints=tuple(
            f"{one['key']}={one.get('value', '')}:{_EFFECTS[one['effect']]}"
            for one in found.get("taints", ())
        ),
        role_arn=found.get("nodeRole", ""),
        disk_gib=found.get("diskSize", 0),
        issues=_issues(found),
    )


async def addons(api: Api, name: str) -> tuple[Addon, ...]:
    names = [str(one) async for one in api.pages("eks", "ListAddons", "addons", clusterName=name)]
    return tuple(await _each(names, lambda addon: _addon(api, name, addon)))


async def _addon(api: Api, cluster_name: str, name: str) -> Addon:
    found = (await api.call("eks", "DescribeAddon", clusterName=cluster_name, addonName=name))["addon"]
    return Addon(
        name=name,
        build=found["addonVersion"],
        status=found["status"],
        configuration=found.get("configurationValues", ""),
        role_arn=found.get("serviceAccountRoleArn", ""),
        issues=_issues(found),
    )


async def builds(api: Api, names: tuple[str, ...]) -> tuple[AddonBuild, ...]:
    """Of these add-ons, for all minors. Without a name EKS lists those of every seller."""
    return tuple(chain.from_iterable(await _each(list(names), lambda name: _builds(api, name))))


async def _builds(api: Api, name: str) -> list[AddonBuild]:
    found: list[AddonBuild] = []
    async for addon in api.pages("eks", "DescribeAddonVersions", "addons", addonName=name):
        assert isinstance(addon, dict)
        for version in addon["addonVersions"]:
            fits = version.get("compatibilities", ())
            found.append(
                AddonBuild(
                    addon=name,
                    build=version["addonVersion"],
                    minors=tuple(Minor.parse(one["clusterVersion"]) for one in fits),
                    default_of=tuple(
                        Minor.parse(one["clusterVersion"]) for one in fits if one.get("defaultVersion")
                    ),
                )
            )
    return found


async def subnets(api: Api, vpc: str) -> tuple[Subnet, ...]:
    """All of the VPC: which of them pods are in, only the cluster's own objects say. One that is gone is just not there."""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    return tuple(
        [
            Subnet(
                id=one["SubnetId"],
                zone=one["AvailabilityZone"],
                free=one["AvailableIpAddressCount"],
                for_pods={"Key": "kubernetes.io/role/cni", "Value": "1"} in one.get("Tags", ()),
            )
            async for one in api.pages("ec2", "DescribeSubnets", "Subnets", Filters=of_vpc)
            if isinstance(one, dict)
        ]
    )


async def templates(api: Api, groups: tuple[Nodegroup, ...]) -> tuple[Template, ...]:
    """Of each launch template that a group has: the versions that groups have, the default and the newest."""
    versions: dict[str, set[str]] = {}
    for group in groups:
        if group.template:
            versions.setdefault(group.template, {"$Default", "$Latest"}).add(group.template_version)
    found = await _each(
        sorted(versions.items()), lambda one: _versions_of(api, one[0], sorted(one[1] - {""}))
    )
    return tuple(chain.from_iterable(found))


async def template(api: Api, id_: str, version: str) -> Template:
    """One version; of one that is not there, that it is gone. Raises Failure."""
    found = [one for one in await _versions_of(api, id_, [version]) if one.version == version]
    return found[0] if found else Template(id=id_, version=version, gone=True)


async def _versions_of(api: Api, id_: str, wanted: list[str]) -> list[Template]:
    try:
        found = {
            str(one["VersionNumber"]): _template(one)
            async for one in api.pages(
                "ec2",
                "DescribeLaunchTemplateVersions",
                "LaunchTemplateVersions",
                LaunchTemplateId=id_,
                Versions=wanted,
            )
            if isinstance(one, dict)
        }
    except Failure as error:
        if not error.code.startswith("InvalidLaunchTemplate"):
            raise
        return [Template(id=id_, version="", gone=True)]
    newest = max((int(version) for version in found), default=0)
    return [replace(one, is_latest=int(one.version) == newest) for one in found.values()]


def _template(one: Mapping[str, Any]) -> Template:
    data = one.get("LaunchTemplateData", {})
    reservation = data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    user_data, unreadable = "", ""
    try:
        user_data = decoded(data.get("UserData", ""))
    except ValueError as error:
        unreadable = str(error)
    interfaces = data.get("NetworkInterfaces", ())
    security = [
        *data.get("SecurityGroupIds", ()),
        *(one for nic in interfaces for one in nic.get("Groups", ())),
    ]
    return Template(
        id=one["LaunchTemplateId"],
        version=str(one["VersionNumber"]),
        is_default=bool(one.get("DefaultVersion")),
        image=data.get("ImageId", ""),
        user_data=user_data,
        user_data_unreadable=unreadable,
        efa=sum(1 for nic in interfaces if "efa" in nic.get("InterfaceType", "")),
        instance_type=data.get("InstanceType", ""),
        market=data.get("InstanceMarketOptions", {}).get("MarketType", ""),
        security_groups=tuple(dict.fromkeys(security)),
        reservation=reservation.get("CapacityReservationId", "")
        or reservation.get("CapacityReservationResourceGroupArn", ""),
        placement_group=data.get("Placement", {}).get("GroupName", ""),
        disk_gib=sum(one.get("Ebs", {}).get("VolumeSize", 0) for one in data.get("BlockDeviceMappings", ())),
    )


async def instance_types(
    api: Api, groups: tuple[Nodegroup, ...], templates: tuple[Template, ...] = ()
) -> tuple[InstanceType, ...]:
    """Also those that only a launch template names."""
    names = _type_names(groups, templates)
    found: list[InstanceType] = []
    for begin in range(0, len(names), _TYPES_A_CALL):
        asked = names[begin : begin + _TYPES_A_CALL]
        async for one in api.pages("ec2", "DescribeInstanceTypes", "InstanceTypes", InstanceTypes=asked):
            assert isinstance(one, dict)
            found.append(_instance_type(one))
    return tuple(found)


def _type_names(groups: tuple[Nodegroup, ...], templates: tuple[Template, ...]) -> list[str]:
    said = {one for group in groups for one in group.instance_types}
    return sorted(said | {one.instance_type for one in templates if one.instance_type})


async def reservations(
    api: Api, groups: tuple[Nodegroup, ...], templates: tuple[Template, ...]
) -> tuple[Reservation, ...]:
    """Of these instance types, in use or still to begin; asked for only where some group may run on one."""
    names = _type_names(groups, templates)
    reserved = any(group.capacity == "CAPACITY_BLOCK" for group in groups) or any(
        one.reservation or one.market == "capacity-block" for one in templates
    )
    if not names or not (reserved or any(name.startswith(("p", "g")) for name in names)):
        return ()
    filters = [
        {"Name": "instance-type", "Values": names},
        {"Name": "state", "Values": ["active", "pending", "scheduled"]},
    ]
    return tuple(
        [
            _reservation(one)
            async for one in api.pages(
                "ec2", "DescribeCapacityReservations", "CapacityReservations", Filters=filters
            )
            if isinstance(one, dict)
        ]
    )


def _reservation(one: Mapping[str, Any]) -> Reservation:
    ends = one.get("EndDate")
    return Reservation(
        id=one["CapacityReservationId"],
        instance_type=one.get("InstanceType", ""),
        total=one.get("TotalInstanceCount", 0),
        available=one.get("AvailableInstanceCount", 0),
        block=one.get("ReservationType") == "capacity-block",
        ends_s=ends.timestamp() if ends else None,
    )


async def security_groups(
    api: Api, cluster: Cluster, templates: tuple[Template, ...]
) -> tuple[SecurityGroup, ...]:
    """Of launch templates with EFA; where one names none, those of the cluster."""
    with_efa = [one for one in templates if one.efa]
    ids = sorted({id_ for one in with_efa for id_ in one.security_groups or cluster.security_groups})
    if not ids:
        return ()
    return tuple(
        [
            SecurityGroup(
                id=one["GroupId"],
                from_itself=_to_itself(one["GroupId"], one.get("IpPermissions", ())),
                to_itself=_to_itself(one["GroupId"], one.get("IpPermissionsEgress", ())),
            )
            async for one in api.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", GroupIds=ids)
            if isinstance(one, dict)
        ]
    )


def _to_itself(id_: str, rules: Any) -> bool:
    return any(
        str(rule.get("IpProtocol")) == "-1"
        and any(pair.get("GroupId") == id_ for pair in rule.get("UserIdGroupPairs", ()))
        for rule in rules
    )


def _instance_type(one: Mapping[str, Any]) -> InstanceType:
    gpus = one.get("GpuInfo", {}).get("Gpus", ())
    network = one.get("NetworkInfo", {})
    return InstanceType(
        name=one["InstanceType"],
        gpus=sum(gpu.get("Count", 0) for gpu in gpus),
        gpu=gpus[0].get("Name", "") if gpus else "",
        gpu_maker=gpus[0].get("Manufacturer", "") if gpus else "",
        vcpus=one.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        interfaces=network.get("MaximumNetworkInterfaces", 0),
        addresses=network.get("Ipv4AddressesPerInterface", 0),
    )


async def insights(api: Api, name: str, category: str) -> tuple[Insight, ...]:
    """With details of those that do not pass."""
    listed = [
        one
        async for one in api.pages(
            "eks", "ListInsights", "insights", clusterName=name, filter={"categories": [category]}
        )
        if isinstance(one, dict)
    ]
    return tuple(await _each(listed, lambda one: _insight(api, name, one)))


async def _insight(api: Api, name: str, listed: Mapping[str, Any]) -> Insight:
    status = listed["insightStatus"]["status"]
    details: tuple[str, ...] = ()
    if status != "PASSING":
        try:
            whole = (await api.call("eks", "DescribeInsight", clusterName=name, id=listed["id"]))["insight"]
        except Failure as error:
            # EKS has looked anew since the list: its word counts as it was then, without details.
            if error.code != "ResourceNotFoundException":
                raise
        else:
            details = tuple(_details(whole.get("categorySpecificSummary", {})))
    return Insight(
        id=listed["id"],
        name=listed["name"],
        category=listed["category"],
        minor=listed.get("kubernetesVersion", ""),
        status=status,
        reason=listed["insightStatus"].get("reason", ""),
        refreshed_s=listed["lastRefreshTime"].timestamp() if "lastRefreshTime" in listed else 0.0,
        details=details,
    )


def _details(summary: Mapping[str, Any]) -> list[str]:
    found = []
    for one in summary.get("deprecationDetails", ()):
        clients = ", ".join(
            f"{client.get('userAgent', '?')} ({client.get('numberOfRequestsLast30Days', 0)} in 30 days)"
            for client in one.get("clientStats", ())
        )
        found.append(
            f"{one.get('usage', '')} by {clients or 'nobody who is named'}; use {one.get('replacedWith', '')}"
        )
    for one in summary.get("addonCompatibilityDetails", ()):
        fits = ", ".join(one.get("compatibleVersions", ())) or "none"
        found.append(f"add-on {one.get('name', '')}: builds that go with it: {fits}")
    return found


async def _each(items: list[Any], read: Callable[[Any], Awaitable[T]]) -> list[T]:
    """In the order of the items; the door bounds how many at once."""
    return list(await asyncio.gather(*(read(item) for item in items)))
