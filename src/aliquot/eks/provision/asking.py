"""Asks AWS for a `Site`. Reads only."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.provision.cluster_config.schema import ClusterConfig
from aliquot.eks.provision.site import Builds, ExistingSubnet, InstanceType, Reservation, Site
from aliquot.eks.versions import live
from aliquot.eks.versions.calendar import Calendar, Support
from aliquot.eks.versions.minor import Minor

_NO_CONTROL_PLANES = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""Zones that the EKS user guide takes out (Network requirements)."""
_SUPPORT = {
    "STANDARD_SUPPORT": Support.STANDARD,
    "EXTENDED_SUPPORT": Support.EXTENDED,
    "UNSUPPORTED": Support.ENDED,
}
_NO_SUCH_TYPE = "InvalidInstanceType"
_NO_SUCH_SUBNET = "InvalidSubnetID.NotFound"
_NO_SUCH_RESERVATION = ("InvalidCapacityReservationId.NotFound", "InvalidCapacityReservationId.Malformed")


async def site(
    api: Api, config: ClusterConfig, minor: Minor, addons: Iterable[str], calendar: Calendar, today: date
) -> Site:
    """`addons`: those that will be made. Raises Failure."""
    who = await api.call("sts", "GetCallerIdentity")
    minors = [
        one
        async for one in api.pages("eks", "DescribeClusterVersions", "clusterVersions", includeAll=True)
        if isinstance(one, dict)
    ]
    zones = await api.call("ec2", "DescribeAvailabilityZones")
    return Site(
        account=who["Account"],
        calendar=live.over(calendar, minors, today),
        support={
            Minor.parse(one["clusterVersion"]): _SUPPORT[status]
            for one in minors
            if (status := one.get("versionStatus", "")) in _SUPPORT
        },
        zones=tuple(
            sorted(
                zone["ZoneName"]
                for zone in zones["AvailabilityZones"]
                if zone.get("ZoneType", "availability-zone") == "availability-zone"
                and zone.get("State", "available") == "available"
                and zone.get("ZoneId") not in _NO_CONTROL_PLANES
            )
        ),
        types=await _types(api, sorted({name for group in config.groups for name in group.types})),
        subnets=await _subnets(api, config),
        reservations=await _reservations(api, config),
        builds={name: one for name in addons if (one := await _builds(api, name, minor)) is not None},
        policies=frozenset(
            [
                one["arn"]
                async for one in api.pages("eks", "ListAccessPolicies", "accessPolicies")
                if isinstance(one, dict)
            ]
            if any(entry.policies for entry in config.access.entries)
            else ()
        ),
    )


async def _types(api: Api, names: list[str]) -> dict[str, InstanceType]:
    if not names:
        return {}
    offered: dict[str, set[str]] = {}
    filters = [{"Name": "instance-type", "Values": names}]
    async for one in api.pages(
        "ec2",
        "DescribeInstanceTypeOfferings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=filters,
    ):
        assert isinstance(one, dict)
        offered.setdefault(one["InstanceType"], set()).add(one["Location"])
    found: dict[str, InstanceType] = {}
    for name in names:
        try:
            told = (await api.call("ec2", "DescribeInstanceTypes", InstanceTypes=[name]))["InstanceTypes"]
        except Failure as failure:
            if failure.code == _NO_SUCH_TYPE:
                continue
            raise
        if told:
            found[name] = _type(told[0], frozenset(offered.get(name, ())))
    return found


def _type(told: dict[str, Any], zones: frozenset[str]) -> InstanceType:
    network = told.get("NetworkInfo", {})
    makers = {gpu.get("Manufacturer", "") for gpu in told.get("GpuInfo", {}).get("Gpus", ())}
    efa = network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 1) if network.get("EfaSupported") else 0
    return InstanceType(
        name=told["InstanceType"],
        arm="arm64" in told.get("ProcessorInfo", {}).get("SupportedArchitectures", ()),
        gpus=", ".join(sorted(makers)),
        neuron="NeuronInfo" in told or "InferenceAcceleratorInfo" in told,
        efa_interfaces=min(efa, network.get("MaximumNetworkCards", efa)) if efa else 0,
        zones=zones,
    )


async def _subnets(api: Api, config: ClusterConfig) -> dict[str, ExistingSubnet]:
    found: dict[str, ExistingSubnet] = {}
    named = {**config.vpc.subnets.public, **config.vpc.subnets.private}
    for id_ in sorted({one.id for one in named.values()}):
        try:
            answer = await api.call("ec2", "DescribeSubnets", SubnetIds=[id_])
        except Failure as failure:
            if failure.code == _NO_SUCH_SUBNET:
                continue
            raise
        for one in answer["Subnets"]:
            found[id_] = ExistingSubnet(id=id_, zone=one["AvailabilityZone"], vpc=one["VpcId"])
    return found


async def _reservations(api: Api, config: ClusterConfig) -> dict[str, Reservation]:
    targets = [group.reservation.target for group in config.groups if group.reservation is not None]
    found: dict[str, Reservation] = {}
    for id_ in sorted({target.id for target in targets if target is not None and target.id}):
        try:
            answer = await api.call("ec2", "DescribeCapacityReservations", CapacityReservationIds=[id_])
        except Failure as failure:
            if failure.code in _NO_SUCH_RESERVATION:
                continue
            raise
        for one in answer["CapacityReservations"]:
            found[id_] = Reservation(
                id=id_, type=one["InstanceType"], zone=one["AvailabilityZone"], state=one["State"]
            )
    return found


async def _builds(api: Api, name: str, minor: Minor) -> Builds | None:
    try:
        told = [
            one
            async for one in api.pages(
                "eks", "DescribeAddonVersions", "addons", addonName=name, kubernetesVersion=str(minor)
            )
            if isinstance(one, dict)
        ]
    except Failure as failure:
        if failure.code in ("ResourceNotFoundException", "InvalidParameterException"):
            return None
        raise
    versions = [one for addon in told for one in addon.get("addonVersions", ())]
    if not versions:
        return None
    default = next(
        (
            one["addonVersion"]
            for one in versions
            for fit in one.get("compatibilities", ())
            if fit.get("clusterVersion") == str(minor) and fit.get("defaultVersion")
        ),
        versions[0]["addonVersion"],
    )
    return Builds(tuple(one["addonVersion"] for one in versions), default)
