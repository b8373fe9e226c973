"""A region as a test wants it."""

from typing import Any

from msgspec.structs import replace

from aliquot.eks.provision.cluster_config.reading import Wanted, parse
from aliquot.eks.provision.site import Builds, InstanceType, Site
from aliquot.eks.provision.wanted.graph import Graph, graph
from aliquot.eks.versions import calendar
from tests.eks.provision.accounts import TODAY

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
EVERYWHERE = frozenset(ZONES)
TYPES = (
    InstanceType(name="m5.large", arm=False, zones=EVERYWHERE),
    InstanceType(name="m7g.large", arm=True, zones=EVERYWHERE),
    InstanceType(name="g5.xlarge", arm=False, gpus="NVIDIA", zones=EVERYWHERE),
    InstanceType(name="g5g.xlarge", arm=True, gpus="NVIDIA", zones=EVERYWHERE),
    InstanceType(name="g4ad.xlarge", arm=False, gpus="AMD", zones=EVERYWHERE),
    InstanceType(name="trn1.2xlarge", arm=False, neuron=True, zones=EVERYWHERE),
    InstanceType(
        name="p4d.24xlarge",
        arm=False,
        gpus="NVIDIA",
        efa_interfaces=4,
        zones=frozenset({"eu-west-1b", "eu-west-1c"}),
    ),
    InstanceType(name="p5.48xlarge", arm=False, gpus="NVIDIA", efa_interfaces=32),
)
SITE = Site(
    account="123456789012",
    calendar=calendar.shipped(),
    zones=ZONES,
    types={one.name: one for one in TYPES},
    subnets={},
    reservations={},
    builds={
        name: Builds(("v2.1.0-eksbuild.1", "v2.0.0-eksbuild.3", "v2.0.0-eksbuild.2"), "v2.0.0-eksbuild.3")
        for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver")
    },
)


def wanted(text: str) -> Wanted:
    return parse(text, source="cluster.yaml")


def planned(text: str, **site: Any) -> Graph:
    return graph(wanted(text), replace(SITE, **site), TODAY)
