"""Clusters of a test, made as the product makes them."""

from typing import Any

from aliquot.eks.provision.asking import site
from aliquot.eks.provision.creating import Creation
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.patience import Patient
from aliquot.eks.provision.wanted.addons import chosen
from aliquot.eks.provision.wanted.graph import Graph, graph
from aliquot.eks.versions import calendar
from tests.eks.provision.accounts import REGION, TODAY, Aws, pause
from tests.eks.provision.files import GPU
from tests.eks.provision.sites import wanted

NAMES = Names("prod", REGION, {})


async def plan(aws: Aws, text: str) -> Graph:
    file = wanted(text)
    names = [addon.name for addon in chosen(file.config)]
    return graph(
        file,
        await site(Patient(aws, pause), file.config, file.minor, names, calendar.shipped(), TODAY),
        TODAY,
    )


async def create(aws: Aws, text: str = GPU) -> Creation:
    creation = Creation(aws, "prod", pause=pause, tell=lambda line: None)
    await creation.run((await plan(aws, text)).resources)
    return creation


def ours(aws: Aws, kind: str) -> list[dict[str, Any]]:
    """Of EC2, by the tag of the cluster."""
    tag = [{"Name": "tag:aliquot.dev/cluster", "Values": ["prod"]}]
    ec2 = aws.client("ec2")
    found: list[dict[str, Any]] = {
        "vpc": lambda: ec2.describe_vpcs(Filters=tag)["Vpcs"],
        "subnet": lambda: ec2.describe_subnets(Filters=tag)["Subnets"],
        "address": lambda: ec2.describe_addresses(Filters=tag)["Addresses"],
        "nat": lambda: ec2.describe_nat_gateways(Filter=tag)["NatGateways"],
        "table": lambda: ec2.describe_route_tables(Filters=tag)["RouteTables"],
        "gateway": lambda: ec2.describe_internet_gateways(Filters=tag)["InternetGateways"],
        "template": lambda: ec2.describe_launch_templates(Filters=tag)["LaunchTemplates"],
    }[kind]()
    return found


KINDS = ("vpc", "subnet", "address", "nat", "table", "gateway", "template")


def left(aws: Aws) -> list[str]:
    """Of the cluster, looked for without the product."""
    found = [kind for kind in KINDS for one in ours(aws, kind) if one.get("State") != "deleted"]
    found += list(aws.world.clusters)
    found += [one["RoleName"] for one in aws.client("iam").list_roles(PathPrefix="/aliquot/")["Roles"]]
    found += [
        one["Arn"] for one in aws.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    ]
    kms = aws.client("kms")
    states = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    found += [one["KeyId"] for one in states if one["KeyState"] != "PendingDeletion"]
    found += [one["AliasName"] for one in kms.list_aliases()["Aliases"] if "aliquot" in one["AliasName"]]
    found += [one["logGroupName"] for one in aws.client("logs").describe_log_groups()["logGroups"]]
    groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
    return found + [one["GroupName"] for one in groups if one["GroupName"] != "default"]
