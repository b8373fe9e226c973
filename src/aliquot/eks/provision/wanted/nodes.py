"""Managed node groups, each with a launch template: disks, interfaces for EFA, placement, reserved capacity."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import UNSET

from aliquot.eks.provision import amis, roles
from aliquot.eks.provision.cluster_config.not_done import Path
from aliquot.eks.provision.cluster_config.reading import Wanted
from aliquot.eks.provision.cluster_config.schema import NodeGroup
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Call, Look, Ref, Resource
from aliquot.eks.provision.site import Site
from aliquot.eks.provision.wanted import iam
from aliquot.eks.provision.wanted.cluster import CLUSTER
from aliquot.eks.provision.wanted.layout import Layout, of_group

EFA_GROUP = "security-group/efa"
_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}
_ROOT, _BOTTLEROCKET_DATA = "/dev/xvda", "/dev/xvdb"
_NONE = ("ResourceNotFoundException",)


def group_key(name: str) -> str:
    return f"nodegroup/{name}"


def resources(
    wanted: Wanted, names: Names, site: Site, layout: Layout, *, cni_on_nodes: bool, after: Sequence[str]
) -> Iterator[Resource]:
    """Raises DocumentError. `after`: what has to be there before a node can join."""
    groups = wanted.config.groups
    shared: list[str] = []
    if any(not group.iam.role_arn and not group.iam.policy_arns for group in groups):
        made = list(_role(names, "node", (), cni_on_nodes=cni_on_nodes))
        shared = [one.key for one in made]
        yield from made
    if any(group.efa for group in groups):
        yield from _efa_group(names, layout.vpc)
    for number, group in enumerate(groups):
        place: Path = ("managedNodeGroups", number)
        subnets = of_group(wanted, site, layout, number)
        try:
            ami = amis.ami_type(group.ami_family, [site.types[name] for name in group.types])
        except ValueError as error:
            raise wanted.wrong((*place, "amiFamily"), str(error)) from None
        before = list(after)
        role: Ref | str = group.iam.role_arn
        if group.iam.policy_arns:
            own = list(_role(names, f"node.{group.name}", group.iam.policy_arns, cni_on_nodes=cni_on_nodes))
            before += [one.key for one in own]
            yield from own
            role = iam.arn(f"node.{group.name}")
        elif not role:
            before += shared
            role = iam.arn("node")
        if group.efa:
            _check_efa(wanted, site, group, place)
            before += [f"{EFA_GROUP}/{way}" for way in ("in", "out")]
        if group.placement is not None and not group.placement.group:
            yield _placement(names, group)
        yield _template(names, group, site)
        yield _group(wanted, names, group, ami, role, subnets, before)


def _check_efa(wanted: Wanted, site: Site, group: NodeGroup, place: Path) -> None:
    without = [name for name in group.types if not site.types[name].efa_interfaces]
    if without:
        raise wanted.wrong((*place, "efaEnabled"), f"{without[0]} has no EFA: take it out, or another type")


def _role(names: Names, what: str, more: Sequence[str], *, cni_on_nodes: bool) -> Iterator[Resource]:
    own = (*roles.NODES, *((roles.CNI,) if cni_on_nodes else ()))
    policies = dict.fromkeys((*(names.policy(name) for name in own), *more))
    yield from iam.role(names, what, roles.trust_service("ec2.amazonaws.com"), policies)


def _efa_group(names: Names, vpc: Ref | str) -> Iterator[Resource]:
    """All that its members send each other, and by a rule that names the group: EFA's traffic passes by no other."""
    yield Resource(
        key=EFA_GROUP,
        title="security group of EFA",
        make=Call(
            service="ec2",
            operation="CreateSecurityGroup",
            parameters={
                "GroupName": f"{names.cluster}-efa",
                "Description": f"EFA between nodes of EKS cluster {names.cluster}",
                "VpcId": vpc,
                "TagSpecifications": names.specification("security-group", EFA_GROUP),
            },
        ),
        look=Look(
            service="ec2",
            operation="DescribeSecurityGroups",
            parameters={"Filters": names.filters(EFA_GROUP)},
            at="SecurityGroups",
        ),
    )
    group = Ref(EFA_GROUP, "GroupId")
    for way, operation, rules in (
        ("in", "AuthorizeSecurityGroupIngress", "IpPermissions"),
        ("out", "AuthorizeSecurityGroupEgress", "IpPermissionsEgress"),
    ):
        yield Resource(
            key=f"{EFA_GROUP}/{way}",
            title=f"EFA {way} between its members",
            make=Call(
                service="ec2",
                operation=operation,
                parameters={
                    "GroupId": group,
                    "IpPermissions": [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}],
                },
            ),
            look=Look(
                service="ec2",
                operation="DescribeSecurityGroups",
                parameters={"GroupIds": [group]},
                at=f"SecurityGroups.0.{rules}",
                where={"UserIdGroupPairs.0.GroupId": group},
            ),
        )


def _placement(names: Names, group: NodeGroup) -> Resource:
    key = f"placement-group/{group.name}"
    name = names.placement(group.name)
    return Resource(
        key=key,
        title=f"placement group {name}",
        make=Call(
            service="ec2",
            operation="CreatePlacementGroup",
            parameters={
                "GroupName": name,
                "Strategy": "cluster",
                "TagSpecifications": names.specification("placement-group", key),
            },
        ),
        look=Look(
            service="ec2",
            operation="DescribePlacementGroups",
            parameters={"Filters": names.filters(key)},
            at="PlacementGroups",
            without={"State": ("deleting", "deleted")},
            status="State",
            ready=("available",),
        ),
    )


def _template(names: Names, group: NodeGroup, site: Site) -> Resource:
    key = f"launch-template/{group.name}"
    data: dict[str, Any] = {
        "BlockDeviceMappings": [_disk(group)],
        "MetadataOptions": {
            "HttpTokens": "required",
            # Pods that are not on the host's network are one hop further.
            "HttpPutResponseHopLimit": 1 if group.no_pod_imds else 2,
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": names.pairs(group_key(group.name), group.tags)}
            for kind in ("instance", "volume", "network-interface")
        ],
    }
    if group.efa:
        data["NetworkInterfaces"] = _interfaces(min(site.types[name].efa_interfaces for name in group.types))
    if group.placement is not None:
        made = Ref(f"placement-group/{group.name}", "GroupName")
        data["Placement"] = {"GroupName": group.placement.group or made}
    reservation = group.reservation
    if reservation is not None and reservation.target is not None:
        target = reservation.target
        data["CapacityReservationSpecification"] = {
            "CapacityReservationTarget": {"CapacityReservationId": target.id}
            if target.id
            else {"CapacityReservationResourceGroupArn": target.group_arn}
        }
    elif reservation is not None and reservation.preference is not None:
        data["CapacityReservationSpecification"] = {"CapacityReservationPreference": reservation.preference}
    if group.market is not None:
        data["InstanceMarketOptions"] = {"MarketType": group.market.type}
    return Resource(
        key=key,
        title=f"launch template {names.template(group.name)}",
        make=Call(
            service="ec2",
            operation="CreateLaunchTemplate",
            parameters={
                "LaunchTemplateName": names.template(group.name),
                "LaunchTemplateData": data,
                "TagSpecifications": names.specification("launch-template", key),
            },
        ),
        look=Look(
            service="ec2",
            operation="DescribeLaunchTemplates",
            parameters={"Filters": names.filters(key)},
            at="LaunchTemplates",
        ),
    )


def _disk(group: NodeGroup) -> dict[str, Any]:
    disk: dict[str, Any] = {
        "VolumeSize": group.volume_size_gib,
        "VolumeType": group.volume_type,
        "Encrypted": group.volume_encrypted,
        "DeleteOnTermination": True,
    }
    if group.volume_key:
        disk["KmsKeyId"] = group.volume_key
    if group.volume_iops is not UNSET:
        disk["Iops"] = group.volume_iops
    if group.volume_throughput_mib is not UNSET:
        disk["Throughput"] = group.volume_throughput_mib
    # Bottlerocket keeps images and pods' data on its second disk.
    bottlerocket = group.ami_family.startswith("Bottlerocket")
    return {"DeviceName": _BOTTLEROCKET_DATA if bottlerocket else _ROOT, "Ebs": disk}


def _interfaces(count: int) -> list[dict[str, Any]]:
    """One on each network card. Where a template has interfaces, EKS adds no group of its own: the cluster's is named here."""
    groups = [Ref(CLUSTER, "resourcesVpcConfig.clusterSecurityGroupId"), Ref(EFA_GROUP, "GroupId")]
    return [
        {
            "DeviceIndex": 0 if card == 0 else 1,
            "NetworkCardIndex": card,
            "InterfaceType": "efa",
            "Groups": groups,
            "DeleteOnTermination": True,
        }
        for card in range(count)
    ]


def _group(
    wanted: Wanted,
    names: Names,
    group: NodeGroup,
    ami: str,
    role: Ref | str,
    subnets: list[Ref | str],
    before: list[str],
) -> Resource:
    key = group_key(group.name)
    least, size, most = group.sizes
    capacity = "SPOT" if group.spot else "CAPACITY_BLOCK" if group.market is not None else "ON_DEMAND"
    parameters: dict[str, Any] = {
        "clusterName": names.cluster,
        "nodegroupName": group.name,
        "scalingConfig": {"minSize": least, "maxSize": most, "desiredSize": size},
        "subnets": subnets,
        "instanceTypes": list(group.types),
        "amiType": ami,
        "nodeRole": role,
        "capacityType": capacity,
        "launchTemplate": {"id": Ref(f"launch-template/{group.name}", "LaunchTemplateId"), "version": "1"},
        "version": str(wanted.minor),
        "tags": names.labels(key, group.tags),
    }
    if group.labels:
        parameters["labels"] = group.labels
    if group.taints:
        parameters["taints"] = [
            {"key": one.key, "effect": _EFFECTS[one.effect], **({"value": one.value} if one.value else {})}
            for one in group.taints
        ]
    if group.release:
        parameters["releaseVersion"] = group.release
    if group.update is not None:
        parameters["updateConfig"] = _given(
            maxUnavailable=group.update.unavailable,
            maxUnavailablePercentage=group.update.unavailable_percent,
            updateStrategy=group.update.strategy,
        )
    if group.repair is not None:
        parameters["nodeRepairConfig"] = _given(
            enabled=group.repair.enabled,
            maxUnhealthyNodeThresholdCount=group.repair.unhealthy_count,
            maxUnhealthyNodeThresholdPercentage=group.repair.unhealthy_percent,
            maxParallelNodesRepairedCount=group.repair.parallel_count,
            maxParallelNodesRepairedPercentage=group.repair.parallel_percent,
        )
    return Resource(
        key=key,
        title=f"node group {group.name}: {size} of {', '.join(group.types)}, {ami}",
        make=Call(service="eks", operation="CreateNodegroup", parameters=parameters),
        look=Look(
            service="eks",
            operation="DescribeNodegroup",
            parameters={"clusterName": names.cluster, "nodegroupName": group.name},
            at="nodegroup",
            absent=_NONE,
            status="status",
            ready=("ACTIVE", "UPDATING", "DEGRADED"),
            failed=("CREATE_FAILED", "DELETING", "DELETE_FAILED"),
            why="health.issues",
        ),
        after=tuple(before),
    )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not UNSET}
