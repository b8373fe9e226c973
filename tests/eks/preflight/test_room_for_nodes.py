"""Nodes that come on top while a group is replaced: what they take of quotas and subnets, and what their launch template brings."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, InstanceType, Quota, Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.quotas import CODES, GP3_STORAGE, code_of
from aliquot.eks.preflight.checks import launch_templates, pod_addresses, quotas
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.surge import nodes_on_top
from tests.eks.preflight.estates import M132, estate, group, nodes, pods, subnet, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO
STANDARD, P, SPOT = "L-1216C47A", "L-417A185B", "L-34B43A08"


def severities(found: Any) -> list[Severity | str]:
    return ["unchecked" if isinstance(one, Unchecked) else one.severity for one in found]


@pytest.mark.parametrize(
    ("settings", "nodes"),
    [
        ({}, 4),
        ({"most_unavailable": 7}, 7),
        ({"subnets": ("s-a",)}, 2),
        ({"strategy": "MINIMAL"}, 0),
        ({"desired": 0}, 0),
        ({"subnets": ("s-x",)}, 0),
        ({"copied": True, "desired": 3}, 3),
        ({"copied": True, "desired": 3, "strategy": "MINIMAL", "subnets": ("s-x",)}, 3),
    ],
)
def test_how_many_nodes_come_on_top(settings: dict[str, Any], nodes: int) -> None:
    one = group(**settings)
    assert nodes_on_top(estate(nodegroups=(one,)), one) == nodes


@pytest.mark.parametrize(
    ("instance_type", "spot", "code"),
    [
        ("m7i.large", False, STANDARD),
        ("c7gn.xlarge", True, SPOT),
        ("is4gen.large", False, STANDARD),
        ("im4gn.large", False, STANDARD),
        ("p5.48xlarge", False, P),
        ("p5.48xlarge", True, "L-C4BD4855"),
        ("p4d.24xlarge", True, "L-7212CCBC"),
        ("p6-b200.48xlarge", True, ""),
        ("g6e.xlarge", False, "L-DB2E81BA"),
        ("vt1.3xlarge", False, "L-DB2E81BA"),
        ("inf2.xlarge", False, "L-1945791B"),
        ("dl1.24xlarge", False, "L-6E869C2A"),
        ("hpc7a.96xlarge", False, "L-F7808C92"),
        ("trn2.48xlarge", False, "L-2C3B7624"),
        ("x2iedn.xlarge", False, "L-7295265B"),
        ("u-6tb1.metal", False, "L-43DA4232"),
        ("mac2.metal", False, ""),
        ("7up", False, ""),
    ],
)
def test_which_quota_counts_an_instance(instance_type: str, spot: bool, code: str) -> None:
    assert code_of(instance_type, spot=spot) == code
    assert not code or code in CODES


def quota(code: str, limit: float, used: float = 0.0) -> Quota:
    return Quota(code=code, name=code, limit=limit, used=used)


MANY = quota(GP3_STORAGE, 50)


@pytest.mark.parametrize(
    ("of_group", "there", "found"),
    [
        # Four nodes of four vCPUs come on top, with 20 GiB each.
        ({}, (quota(STANDARD, 100, 84), MANY), []),
        ({}, (quota(STANDARD, 100, 85), MANY), [BLOCK]),
        ({}, (quota(STANDARD, 100, 120), MANY), [BLOCK]),
        ({"capacity": "SPOT"}, (quota(STANDARD, 0), quota(SPOT, 16), MANY), []),
        ({"capacity": "SPOT"}, (quota(STANDARD, 0), quota(SPOT, 15), MANY), [BLOCK]),
        ({"strategy": "MINIMAL"}, (quota(STANDARD, 0), MANY), []),
        ({"capacity": "CAPACITY_BLOCK"}, (quota(STANDARD, 0), MANY), []),
        ({"instance_types": ("p5.48xlarge",)}, (quota(P, 767), MANY), [BLOCK]),
        ({"instance_types": ("p5.48xlarge",)}, (quota(P, 768), MANY), []),
        ({"instance_types": ("m7i.xlarge", "m7i.2xlarge")}, (quota(STANDARD, 31), MANY), [BLOCK]),
        ({"instance_types": ("x9.huge",)}, (quota(STANDARD, 31), MANY), ["unchecked"]),
        ({}, (MANY,), ["unchecked"]),
        ({}, (quota(STANDARD, 100), quota(GP3_STORAGE, 50, 49.93)), [BLOCK]),
        ({"disk_gib": 1000}, (quota(STANDARD, 100), quota(GP3_STORAGE, 50, 47)), [BLOCK]),
        ({"disk_gib": 700}, (quota(STANDARD, 100), quota(GP3_STORAGE, 50, 47)), []),
        ({"template": "lt-1", "template_version": "2"}, (quota(STANDARD, 100), quota(GP3_STORAGE, 3)), [BLOCK]),
        ({}, (), []),
    ],
)  # fmt: skip
def test_quotas(of_group: dict[str, Any], there: tuple[Quota, ...], found: list[Any]) -> None:
    kinds = (
        InstanceType(name="m7i.xlarge", vcpus=4),
        InstanceType(name="m7i.2xlarge", vcpus=8),
        InstanceType(name="p5.48xlarge", vcpus=192),
    )
    one = group(**{"instance_types": ("m7i.xlarge",), **of_group})
    template = Template(id="lt-1", version="2", disk_gib=1024)
    judged = list(
        quotas.judge(estate(nodegroups=(one,), quotas=there, instance_types=kinds, templates=(template,)))
    )
    assert severities(judged) == found


def test_a_quota_says_what_is_missing() -> None:
    there = estate(
        nodegroups=(group(instance_types=("m7i.xlarge",)),),
        instance_types=(InstanceType(name="m7i.xlarge", vcpus=4),),
        quotas=(quota(STANDARD, 32, 20), MANY),
    )
    (found,) = quotas.judge(there)
    assert isinstance(found, Finding)
    assert "4 nodes more of m7i.xlarge take 16 vCPUs" in found.why
    assert "12 of 32 are left" in found.why


LARGE = InstanceType(name="m7i.large", interfaces=3, addresses=10)


def networked(free: tuple[int, int], env: dict[str, str] | None, pods_each: int = 8, **more: Any) -> Estate:
    """Two zones, a group whose fullest node has so many pods; four nodes come on top, two in each zone."""
    labels = {"eks.amazonaws.com/nodegroup": "web"}
    on_host = {"metadata": {"name": "h"}, "spec": {"nodeName": "a", "hostNetwork": True}}
    of_pods = [
        {"metadata": {"name": str(number)}, "spec": {"nodeName": "a"}, "status": {"phase": "Running"}}
        for number in range(pods_each)
    ]
    variables = [{"name": name, "value": value} for name, value in (env or {}).items()]
    container = {"name": "aws-node", "env": variables}
    agent = {
        "metadata": {"name": "aws-node", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    eni_configs = more.pop("eni_configs", ())
    objects = Objects(
        nodes=nodes({"metadata": {"name": "a", "labels": labels}}),
        pods=pods(on_host, *of_pods),
        workloads={"DaemonSet": workloads(agent)} if env is not None else {},
        things={"ENIConfig": tuple({"metadata": {"name": one}, "spec": {"subnet": one}} for one in eni_configs)},
    )  # fmt: skip
    settings: dict[str, Any] = {
        "nodegroups": (group("web", instance_types=("m7i.large",)),),
        "instance_types": (LARGE,),
        "subnets": (subnet("s-a", free[0]), subnet("s-b", free[1]), subnet("pod-a", 500), subnet("pod-b", 9)),
        "objects": objects,
        **more,
    }
    return estate(**settings)


CUSTOM = {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"}
TARGETS = {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}


@pytest.mark.parametrize(
    ("free", "env", "pods_each", "found"),
    [
        # Nine pods fit one interface of ten addresses; one more interface is kept warm: 2 x 20.
        ((40, 40), {}, 8, []),
        ((40, 39), {}, 8, [WARN]),
        ((40, 18), {}, 8, [WARN]),
        ((40, 17), {}, 8, [BLOCK]),
        ((20, 20), {"WARM_ENI_TARGET": "0"}, 8, []),
        ((59, 60), {}, 10, [WARN]),
        ((60, 60), {}, 25, []),
        # 8 pods and 2 to spare take two interfaces: 2 x 12.
        ((24, 24), TARGETS, 8, []),
        ((24, 23), TARGETS, 8, [WARN]),
        ((12, 12), {"MINIMUM_IP_TARGET": "5"}, 1, []),
        # One prefix for 8 pods, one warm, on one interface: 2 x 33.
        ((66, 66), {"ENABLE_PREFIX_DELEGATION": "true"}, 8, []),
        ((66, 65), {"ENABLE_PREFIX_DELEGATION": "true"}, 8, [WARN]),
        ((34, 34), {"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "1"}, 8, []),
        # Another network gives pods their addresses.
        ((0, 0), None, 8, []),
    ],
)
def test_addresses_for_pods(
    free: tuple[int, int], env: dict[str, str] | None, pods_each: int, found: list[Severity]
) -> None:
    assert severities(pod_addresses.judge(networked(free, env, pods_each))) == found


def test_with_custom_networking_pods_are_in_other_subnets() -> None:
    there = networked((100, 100), CUSTOM, eni_configs=("pod-a", "pod-b"))
    (found,) = pod_addresses.judge(there)
    assert isinstance(found, Finding)
    assert (found.severity, found.where) == (BLOCK, "ENIConfig, subnets of eu-west-1b: pod-b")
    gone = networked((100, 100), CUSTOM, eni_configs=("pod-a", "pod-b", "pod-x"))
    assert severities(pod_addresses.judge(gone)) == ["unchecked", BLOCK]
    none = networked((100, 100), CUSTOM)
    assert severities(pod_addresses.judge(none)) == [BLOCK, BLOCK]


@pytest.mark.parametrize(
    ("env", "found"),
    [({}, []), ({"ENABLE_SUBNET_DISCOVERY": "false"}, [BLOCK])],
)
def test_subnets_that_are_tagged_for_pods_count(env: dict[str, str], found: list[Severity]) -> None:
    there = networked((100, 4), env)
    tagged = replace(subnet("t-b", 100), for_pods=True)
    assert severities(pod_addresses.judge(replace(there, subnets=(*there.subnets, tagged)))) == found


def test_what_is_not_known_of_a_type_is_not_passed() -> None:
    assert severities(pod_addresses.judge(networked((0, 0), {}, instance_types=()))) == ["unchecked"]


def test_ipv6_has_room() -> None:
    there = networked((0, 0), {})
    ipv6 = replace(there, cluster=replace(there.cluster, ip_family="ipv6"))
    assert severities(pod_addresses.judge(ipv6)) == []


def version(number: int, **more: Any) -> Template:
    return Template(id="lt-1", version=str(number), **more)


@pytest.mark.parametrize(
    ("used", "of_group", "versions", "found"),
    [
        ("3", {}, (version(3, is_default=True, is_latest=True),), []),
        ("3", {}, (version(3, is_default=True), version(4, is_latest=True)), [INFO]),
        ("3", {}, (version(3), version(4, is_default=True, is_latest=True)), [WARN]),
        ("4", {}, (version(3, is_default=True), version(4, is_latest=True)), [WARN]),
        ("3", {}, (version(3, is_default=True, is_latest=True, image="ami-1"),), [WARN]),
        ("3", {"ami_type": "CUSTOM"}, (version(3, is_default=True, is_latest=True),), [WARN]),
        ("3", {}, (version(3, is_default=True), version(4, is_latest=True, image="ami-1")), [INFO]),
        ("3", {}, (Template(id="lt-1", version="", gone=True),), [BLOCK]),
        ("3", {}, (), []),
        ("", {"template": ""}, (version(3, image="ami-1"),), []),
    ],
)
def test_launch_templates(
    used: str, of_group: dict[str, Any], versions: tuple[Template, ...], found: list[Severity]
) -> None:
    one = group(**{"template": "lt-1", "template_version": used, **of_group})
    assert severities(launch_templates.judge(estate(nodegroups=(one,), templates=versions), M132)) == found
