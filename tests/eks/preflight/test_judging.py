"""A whole preflight: a cluster with problems planted at AWS and in its API server, read and judged."""

from datetime import date
from typing import Any

from aliquot.clock import SystemClock
from aliquot.eks.aws.api import Failure
from aliquot.eks.estate.reading import from_aws, with_objects
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.preflight.checks.table import CHECKS, TITLES
from aliquot.eks.preflight.judging import judge
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.preflight.verdict import Code, FailOn
from aliquot.eks.versions import removals
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, PODS
from tests.eks.estate.test_reading_kubernetes import client, cluster, filled
from tests.eks.fake.worlds import Account


def door(account: Account) -> Direct:
    return Direct(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()},
            ("ec2", "DescribeInstanceTypes"): lambda _: {"InstanceTypes": []},
        },
    )


async def read(account: Account, **more: Any) -> Subject:
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        budget = {
            "metadata": {"name": "never", "namespace": "shop"},
            "spec": {"maxUnavailable": 0, "selector": {}},
        }
        await admin.create(PODDISRUPTIONBUDGETS, budget)
        container = {
            "name": "c",
            "image": "pytorch/pytorch:2.9.0-cuda13.0-cudnn9-runtime",
            "resources": {"limits": {"nvidia.com/gpu": "8"}},
        }
        waiting = {
            "metadata": {"name": "train-0", "namespace": "shop"},
            "spec": {"nodeSelector": {"pool": "train"}, "containers": [container]},
        }
        await admin.create(PODS, waiting)
        estate = await from_aws(door(account), "prod", clock=SystemClock())
        estate = await with_objects(estate, admin, removals.shipped(), helm=True)
        await admin.close()
    return Subject(
        name="prod",
        now=estate.cluster.minor,
        to=Minor(1, 32),
        today=date(2026, 10, 1),
        has=frozenset(Need),
        sightings=estate.sightings,
        estate=estate,
        unchecked=estate.unchecked,
        **more,
    )


async def test_what_is_planted_is_found_and_blocks() -> None:
    account = Account()
    account.cluster("1.31")
    account.nodegroup(
        "gpu",
        2,
        amiType="AL2023_x86_64_NVIDIA",
        releaseVersion="1.31.7-20250620",
        instanceTypes=["p5.48xlarge"],
        labels={"pool": "train"},
    )
    account.free["subnet-b"] = 4
    result = judge(await read(account), CHECKS)
    blocking = {(one.check, one.what) for one in result.findings if one.blocks}
    assert ("free-addresses", "subnet subnet-b") in blocking
    assert ("budgets", "PodDisruptionBudget shop/never") in blocking
    assert ("removed-apis", "PodDisruptionBudget shop/web") in blocking
    assert ("gpu-driver", "node group gpu") in blocking
    assert result.code(FailOn.BLOCK, unchecked_passes=True) is Code.BLOCKED


async def test_what_could_not_be_read_passes_nothing() -> None:
    account = Account()
    account.cluster("1.31")
    account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="ListNodegroups", code="AccessDeniedException", message="no")
    ]
    result = judge(await read(account), CHECKS)
    assert "node groups" in {one.what for one in result.unchecked}
    assert result.passed == ()


def test_each_check_has_a_title() -> None:
    assert {check.id for check in CHECKS} < set(TITLES)
