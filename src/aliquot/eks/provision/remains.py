"""What of a cluster there is, by its tags, name and paths: no file and no memory is needed, nor that it was made whole.

What others have made stays: a VPC that was there before, roles that the file named. Node groups and profiles that others have added to
the cluster go with it, as EKS lets none stay, and are told so.
"""

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.provision.looking import keys
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import CLUSTER_TAG, Call, Look

_NONE = frozenset({"ResourceNotFoundException", "NoSuchEntity", "NoSuchEntityException", "NotFoundException"})
KEY_DAYS = 30
"""Until a key is gone for good. As long as KMS allows: what it encrypted is lost with it."""
_BALANCER = "ELB "
"""How descriptions of load balancers' interfaces begin."""
_OF_CONTROLLERS = ("elbv2.k8s.aws/cluster", "aws:eks:cluster-name")
"""Tags of security groups that controllers in the cluster have left, with its name."""


class Stays(Exception):
    """One line: why nothing is taken away, and what to do first."""


class Remain(Struct, frozen=True, kw_only=True):
    stage: int
    """All of one go before the next begins."""
    title: str
    calls: tuple[Call, ...]
    """One after the other; none: it is going already."""
    gone: Look | None = None
    """Finds it until it is gone; None: it is gone when the call is done."""


async def of(api: Api, names: Names, unread: list[str]) -> list[Remain]:
    """In the order in which they go; `unread` gets keys of KMS whose tags may not be read. Raises Failure, Stays."""
    found = [one async for one in _of_eks(api, names)]
    found += [one async for one in _of_ec2(api, names)]
    found += [one async for one in _of_others(api, names, unread)]
    return sorted(found, key=lambda one: one.stage)


def _call(service: str, operation: str, **parameters: Any) -> Call:
    return Call(service=service, operation=operation, parameters=parameters)


async def _of_eks(api: Api, names: Names) -> AsyncIterator[Remain]:
    try:
        cluster = (await api.call("eks", "DescribeCluster", name=names.cluster))["cluster"]
    except Failure as failure:
        if failure.code in _NONE:
            return
        raise
    if cluster.get("tags", {}).get(CLUSTER_TAG) != names.cluster:
        raise Stays(
            f"cluster {names.cluster} was not made by Aliquot (it has no tag {CLUSTER_TAG}): it stays"
        )
    if cluster.get("deletionProtection"):
        raise Stays(
            f"deletion protection of {names.cluster} is on: switch it off first (aws eks update-cluster-config"
            f" --name {names.cluster} --no-deletion-protection)"
        )
    parts = (
        ("node group", "ListNodegroups", "nodegroups", "nodegroupName", "nodegroup", "Nodegroup"),
        (
            "Fargate profile",
            "ListFargateProfiles",
            "fargateProfileNames",
            "fargateProfileName",
            "fargateProfile",
            "FargateProfile",
        ),
    )
    for kind, lists, result, member, at, noun in parts:
        async for name in api.pages("eks", lists, result, clusterName=names.cluster):
            which: dict[str, Any] = {"clusterName": names.cluster, member: name}
            try:
                told = (await api.call("eks", f"Describe{noun}", **which))[at]
            except Failure as failure:
                if failure.code in _NONE:
                    continue
                raise
            ours = told.get("tags", {}).get(CLUSTER_TAG) == names.cluster
            going = told["status"] == "DELETING"
            yield Remain(
                stage=1,
                title=f"{kind} {name}" + ("" if ours else " (not made by Aliquot; it goes with its cluster)"),
                calls=() if going else (_call("eks", f"Delete{noun}", **which),),
                gone=_look("eks", f"Describe{noun}", which, at),
            )
    going = cluster["status"] == "DELETING"
    yield Remain(
        stage=2,
        title=f"cluster {names.cluster} with its add-ons, access entries and pod identities",
        calls=() if going else (_call("eks", "DeleteCluster", name=names.cluster),),
        gone=_look("eks", "DescribeCluster", {"name": names.cluster}, "cluster"),
    )


def _look(service: str, operation: str, parameters: dict[str, Any], at: str, **more: Any) -> Look:
    return Look(
        service=service, operation=operation, parameters=parameters, at=at, absent=tuple(_NONE), **more
    )


async def _of_ec2(api: Api, names: Names) -> AsyncIterator[Remain]:
    tag = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [names.cluster]}]

    async def tagged(operation: str, result: str, filters: str = "Filters") -> list[dict[str, Any]]:
        return [
            one
            async for one in api.pages("ec2", operation, result, **{filters: tag})
            if isinstance(one, dict)
        ]

    for one in await tagged("DescribeLaunchTemplates", "LaunchTemplates"):
        which = {"LaunchTemplateId": one["LaunchTemplateId"]}
        title = f"launch template {one['LaunchTemplateName']}"
        yield Remain(stage=3, title=title, calls=(_call("ec2", "DeleteLaunchTemplate", **which),))
    for one in (await api.call("ec2", "DescribePlacementGroups", Filters=tag))["PlacementGroups"]:
        if one.get("State") not in ("deleting", "deleted"):
            name = one["GroupName"]
            call = _call("ec2", "DeletePlacementGroup", GroupName=name)
            yield Remain(stage=3, title=f"placement group {name}", calls=(call,))
    for one in await tagged("DescribeNatGateways", "NatGateways", "Filter"):
        if one["State"] == "deleted":
            continue
        id_ = one["NatGatewayId"]
        yield Remain(
            stage=3,
            title=f"NAT gateway {id_}",
            calls=() if one["State"] == "deleting" else (_call("ec2", "DeleteNatGateway", NatGatewayId=id_),),
            gone=_look(
                "ec2",
                "DescribeNatGateways",
                {"NatGatewayIds": [id_]},
                "NatGateways",
                without={"State": ("deleted",)},
            ),
        )
    for one in (await api.call("ec2", "DescribeAddresses", Filters=tag))["Addresses"]:
        call = _call("ec2", "ReleaseAddress", AllocationId=one["AllocationId"])
        yield Remain(stage=4, title=f"address {one['PublicIp']}", calls=(call,))
    for one in await tagged("DescribeInternetGateways", "InternetGateways"):
        which = {"InternetGatewayId": one["InternetGatewayId"]}
        detach = [
            _call("ec2", "DetachInternetGateway", VpcId=to["VpcId"], **which)
            for to in one.get("Attachments", ())
        ]
        calls = (*detach, _call("ec2", "DeleteInternetGateway", **which))
        yield Remain(stage=5, title=f"internet gateway {one['InternetGatewayId']}", calls=calls)
    vpcs = await tagged("DescribeVpcs", "Vpcs")
    groups = {one["GroupId"]: one for one in await tagged("DescribeSecurityGroups", "SecurityGroups")}
    for vpc in vpcs:
        async for interface in _left_interfaces(api, names, vpc["VpcId"]):
            yield interface
        groups.update(await _left_groups(api, names, vpc["VpcId"]))
    await _refuse_balancers_elsewhere(api, names, {vpc["VpcId"] for vpc in vpcs})
    for id_, one in groups.items():
        yield Remain(stage=6, title=f"security group {one['GroupName']}", calls=_without_group(id_, one))
    for one in await tagged("DescribeRouteTables", "RouteTables"):
        apart = [
            _call("ec2", "DisassociateRouteTable", AssociationId=to["RouteTableAssociationId"])
            for to in one.get("Associations", ())
            if not to.get("Main")
        ]
        calls = (*apart, _call("ec2", "DeleteRouteTable", RouteTableId=one["RouteTableId"]))
        yield Remain(stage=7, title=f"route table {one['RouteTableId']}", calls=calls)
    for one in await tagged("DescribeSubnets", "Subnets"):
        call = _call("ec2", "DeleteSubnet", SubnetId=one["SubnetId"])
        yield Remain(stage=8, title=f"subnet {one['SubnetId']} ({one['CidrBlock']})", calls=(call,))
    for one in vpcs:
        call = _call("ec2", "DeleteVpc", VpcId=one["VpcId"])
        yield Remain(stage=9, title=f"VPC {one['VpcId']}", calls=(call,))


async def _left_interfaces(api: Api, names: Names, vpc: str) -> AsyncIterator[Remain]:
    """Those that nodes have left behind in a VPC of ours. Raises Stays where load balancers stand in it."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    async for one in api.pages("ec2", "DescribeNetworkInterfaces", "NetworkInterfaces", Filters=filters):
        assert isinstance(one, dict)
        description = str(one.get("Description", ""))
        if description.startswith(_BALANCER):
            raise _stands(names, vpc, description)
        if one.get("Status") == "available":
            id_ = one["NetworkInterfaceId"]
            call = _call("ec2", "DeleteNetworkInterface", NetworkInterfaceId=id_)
            yield Remain(stage=6, title=f"network interface {id_} {description}".rstrip(), calls=(call,))


async def _refuse_balancers_elsewhere(api: Api, names: Names, ours: set[str]) -> None:
    """In a VPC that was there before, load balancers of others stay, and those of this cluster's controllers are known by the tags
    of their security groups. Raises Stays."""
    for filters in (
        {"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{names.cluster}"]},
        {"Name": "tag:elbv2.k8s.aws/cluster", "Values": [names.cluster]},
    ):
        async for one in api.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=[filters]):
            assert isinstance(one, dict)
            if one.get("VpcId") in ours:
                continue
            of_group = [{"Name": "group-id", "Values": [one["GroupId"]]}]
            async for interface in api.pages(
                "ec2", "DescribeNetworkInterfaces", "NetworkInterfaces", Filters=of_group
            ):
                assert isinstance(interface, dict)
                if str(interface.get("Description", "")).startswith(_BALANCER):
                    raise _stands(names, one["VpcId"], interface["Description"])


def _stands(names: Names, vpc: str, description: str) -> Stays:
    return Stays(
        f"a load balancer stands in {vpc} ({description}): delete the Services of type LoadBalancer, Ingresses and"
        f" Gateways of {names.cluster} first, for nobody takes it away after the cluster"
    )


async def _left_groups(api: Api, names: Names, vpc: str) -> dict[str, dict[str, Any]]:
    """Those of controllers in the cluster."""
    found = {}
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    async for one in api.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=filters):
        assert isinstance(one, dict)
        tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
        owned = f"kubernetes.io/cluster/{names.cluster}" in tags
        if owned or any(tags.get(key) == names.cluster for key in _OF_CONTROLLERS):
            found[one["GroupId"]] = one
    return found


def _without_group(id_: str, one: dict[str, Any]) -> tuple[Call, ...]:
    """Rules first: groups that name one another cannot go."""
    calls = []
    for rules, operation in (
        ("IpPermissions", "RevokeSecurityGroupIngress"),
        ("IpPermissionsEgress", "RevokeSecurityGroupEgress"),
    ):
        named = [
            {
                **{key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule},
                "UserIdGroupPairs": [{"GroupId": pair["GroupId"]} for pair in rule["UserIdGroupPairs"]],
            }
            for rule in one.get(rules, ())
            if rule.get("UserIdGroupPairs")
        ]
        if named:
            calls.append(_call("ec2", operation, GroupId=id_, IpPermissions=named))
    return (*calls, _call("ec2", "DeleteSecurityGroup", GroupId=id_))


async def _of_others(api: Api, names: Names, unread: list[str]) -> AsyncIterator[Remain]:
    async for key in keys(api, names.cluster, unread):
        yield Remain(
            stage=10,
            title=f"key {key['KeyId']}: for good in {KEY_DAYS} days",
            calls=(_call("kms", "ScheduleKeyDeletion", KeyId=key["KeyId"], PendingWindowInDays=KEY_DAYS),),
        )
    aliases = [
        one
        async for one in api.pages("kms", "ListAliases", "Aliases")
        if isinstance(one, dict) and one["AliasName"] == names.alias
    ]
    if aliases:
        call = _call("kms", "DeleteAlias", AliasName=names.alias)
        yield Remain(stage=10, title=names.alias, calls=(call,))
    async for remain in _logs(api, names):
        yield remain
    async for remain in _providers(api, names):
        yield remain
    async for one in api.pages("iam", "ListRoles", "Roles", PathPrefix=names.role_path):
        assert isinstance(one, dict)
        yield await _role(api, one["RoleName"])


async def _logs(api: Api, names: Names) -> AsyncIterator[Remain]:
    prefix = names.log_group
    async for one in api.pages("logs", "DescribeLogGroups", "logGroups", logGroupNamePrefix=prefix):
        if not isinstance(one, dict) or one["logGroupName"] != prefix:
            continue
        arn = one["arn"].removesuffix(":*")
        tags = (await api.call("logs", "ListTagsForResource", resourceArn=arn)).get("tags", {})
        if tags.get(CLUSTER_TAG) == names.cluster:
            call = _call("logs", "DeleteLogGroup", logGroupName=prefix)
            yield Remain(stage=10, title=f"log group {prefix}, with its logs", calls=(call,))


async def _providers(api: Api, names: Names) -> AsyncIterator[Remain]:
    listed = await api.call("iam", "ListOpenIDConnectProviders")
    for one in listed["OpenIDConnectProviderList"]:
        which = {"OpenIDConnectProviderArn": one["Arn"]}
        try:
            told = await api.call("iam", "GetOpenIDConnectProvider", **which)
        except Failure as failure:
            if failure.code in _NONE:
                continue
            raise
        tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags", ())}
        # IAM is of all regions, and another may have a cluster of that name.
        if tags.get(CLUSTER_TAG) == names.cluster and f".{names.region}." in one["Arn"]:
            call = _call("iam", "DeleteOpenIDConnectProvider", **which)
            yield Remain(stage=10, title=f"OIDC provider {one['Arn'].rpartition('/')[2]}", calls=(call,))


async def _role(api: Api, name: str) -> Remain:
    calls = [
        _call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=one["PolicyArn"])
        async for one in api.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=name)
        if isinstance(one, dict)
    ]
    calls += [
        _call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=one)
        async for one in api.pages("iam", "ListRolePolicies", "PolicyNames", RoleName=name)
    ]
    return Remain(stage=11, title=f"role {name}", calls=(*calls, _call("iam", "DeleteRole", RoleName=name)))
