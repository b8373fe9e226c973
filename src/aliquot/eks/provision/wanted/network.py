"""A VPC with a public and a private subnet in each zone, a way out, and the tables that lead there."""

from collections.abc import Iterator
from typing import Any

from aliquot.eks.provision import network
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Call, Look, Ref, Resource
from aliquot.eks.provision.wanted.layout import subnet_key

ANYWHERE = "0.0.0.0/0"
_GONE = ("deleted", "deleting")


def resources(names: Names, cidr: str, zones: tuple[str, ...], nat: str) -> Iterator[Resource]:
    """`nat`: as the file has it."""
    yield _tagged(
        names,
        "vpc",
        f"VPC {cidr}",
        "CreateVpc",
        {"CidrBlock": cidr, "TagSpecifications": names.specification("vpc", "vpc")},
        ("DescribeVpcs", "Vpcs"),
        status="State",
        ready=("available",),
    )
    vpc = Ref("vpc", "VpcId")
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        yield Resource(
            key=f"vpc/{attribute}",
            title=f"{attribute} of the VPC",
            make=Call(
                service="ec2",
                operation="ModifyVpcAttribute",
                parameters={"VpcId": vpc, attribute: {"Value": True}},
            ),
            look=Look(
                service="ec2",
                operation="DescribeVpcAttribute",
                parameters={"VpcId": vpc, "Attribute": attribute[0].lower() + attribute[1:]},
                at="",
                where={f"{attribute}.Value": True},
            ),
        )
    yield from _gateway(names, vpc)
    division = network.divide(cidr, len(zones))
    for private, blocks in ((False, division.public), (True, division.private)):
        for zone, block in zip(zones, blocks, strict=True):
            yield from _subnet(names, vpc, zone, block, private=private)
    yield from _table(names, vpc, "public", [subnet_key(zone, private=False) for zone in zones])
    yield _route("public", {"GatewayId": Ref("internet-gateway", "InternetGatewayId")})
    sources = {"Single": zones[:1], "HighlyAvailable": zones, "Disable": ()}[nat]
    for zone in sources:
        yield from _nat(names, zone)
    for zone in zones:
        yield from _table(names, vpc, f"private/{zone}", [subnet_key(zone, private=True)])
        if sources:
            by = zone if zone in sources else sources[0]
            yield _route(f"private/{zone}", {"NatGatewayId": Ref(f"nat/{by}", "NatGatewayId")})


def _tagged(
    names: Names,
    key: str,
    title: str,
    operation: str,
    parameters: dict[str, Any],
    look: tuple[str, str],
    *,
    filters: str = "Filters",
    after: tuple[str, ...] = (),
    **more: Any,
) -> Resource:
    return Resource(
        key=key,
        title=title,
        make=Call(service="ec2", operation=operation, parameters=parameters),
        look=Look(
            service="ec2", operation=look[0], parameters={filters: names.filters(key)}, at=look[1], **more
        ),
        after=after,
    )


def _gateway(names: Names, vpc: Ref) -> Iterator[Resource]:
    key = "internet-gateway"
    yield _tagged(
        names,
        key,
        "internet gateway",
        "CreateInternetGateway",
        {"TagSpecifications": names.specification("internet-gateway", key)},
        ("DescribeInternetGateways", "InternetGateways"),
    )
    gateway = Ref(key, "InternetGatewayId")
    yield Resource(
        key="internet-gateway/attachment",
        title="internet gateway to the VPC",
        make=Call(
            service="ec2",
            operation="AttachInternetGateway",
            parameters={"InternetGatewayId": gateway, "VpcId": vpc},
        ),
        look=Look(
            service="ec2",
            operation="DescribeInternetGateways",
            parameters={"InternetGatewayIds": [gateway]},
            at="InternetGateways.0.Attachments",
            where={"VpcId": vpc},
        ),
    )


def _subnet(names: Names, vpc: Ref, zone: str, block: str, *, private: bool) -> Iterator[Resource]:
    key = subnet_key(zone, private=private)
    role = "kubernetes.io/role/internal-elb" if private else "kubernetes.io/role/elb"
    tags = {role: "1", f"kubernetes.io/cluster/{names.cluster}": "shared"}
    yield _tagged(
        names,
        key,
        f"{'private' if private else 'public'} subnet {block} in {zone}",
        "CreateSubnet",
        {
            "VpcId": vpc,
            "CidrBlock": block,
            "AvailabilityZone": zone,
            "TagSpecifications": names.specification("subnet", key, tags),
        },
        ("DescribeSubnets", "Subnets"),
        status="State",
        ready=("available",),
    )
    if not private:
        subnet = Ref(key, "SubnetId")
        yield Resource(
            key=f"{key}/addresses",
            title=f"public addresses in {zone}",
            make=Call(
                service="ec2",
                operation="ModifySubnetAttribute",
                parameters={"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": True}},
            ),
            look=Look(
                service="ec2",
                operation="DescribeSubnets",
                parameters={"SubnetIds": [subnet]},
                at="Subnets",
                where={"MapPublicIpOnLaunch": True},
            ),
        )


def _nat(names: Names, zone: str) -> Iterator[Resource]:
    address, key = f"address/{zone}", f"nat/{zone}"
    yield _tagged(
        names,
        address,
        f"address of the NAT gateway in {zone}",
        "AllocateAddress",
        {"Domain": "vpc", "TagSpecifications": names.specification("elastic-ip", address)},
        ("DescribeAddresses", "Addresses"),
    )
    yield _tagged(
        names,
        key,
        f"NAT gateway in {zone}",
        "CreateNatGateway",
        {
            "SubnetId": Ref(subnet_key(zone, private=False), "SubnetId"),
            "AllocationId": Ref(address, "AllocationId"),
            "TagSpecifications": names.specification("natgateway", key),
        },
        ("DescribeNatGateways", "NatGateways"),
        filters="Filter",
        after=("internet-gateway/attachment",),
        without={"State": _GONE},
        status="State",
        ready=("available",),
        failed=("failed",),
        why="FailureMessage",
    )


def table_key(name: str) -> str:
    return f"route-table/{name}"


def _table(names: Names, vpc: Ref, name: str, subnets: list[str]) -> Iterator[Resource]:
    key = table_key(name)
    yield _tagged(
        names,
        key,
        f"route table {name}",
        "CreateRouteTable",
        {"VpcId": vpc, "TagSpecifications": names.specification("route-table", key)},
        ("DescribeRouteTables", "RouteTables"),
    )
    table = Ref(key, "RouteTableId")
    for subnet in subnets:
        of = Ref(subnet, "SubnetId")
        yield Resource(
            key=f"{key}/{subnet}",
            title=f"route table {name} for {subnet}",
            make=Call(
                service="ec2",
                operation="AssociateRouteTable",
                parameters={"RouteTableId": table, "SubnetId": of},
            ),
            look=Look(
                service="ec2",
                operation="DescribeRouteTables",
                parameters={"RouteTableIds": [table]},
                at="RouteTables.0.Associations",
                where={"SubnetId": of},
            ),
        )


def route_key(name: str) -> str:
    return f"{table_key(name)}/out"


def _route(name: str, to: dict[str, Ref]) -> Resource:
    table = Ref(table_key(name), "RouteTableId")
    return Resource(
        key=route_key(name),
        title=f"way out of route table {name}",
        make=Call(
            service="ec2",
            operation="CreateRoute",
            parameters={"RouteTableId": table, "DestinationCidrBlock": ANYWHERE, **to},
        ),
        look=Look(
            service="ec2",
            operation="DescribeRouteTables",
            parameters={"RouteTableIds": [table]},
            at="RouteTables.0.Routes",
            where={"DestinationCidrBlock": ANYWHERE},
        ),
        after=("internet-gateway/attachment",),
    )
