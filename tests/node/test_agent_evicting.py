"""Pods in the way of a wish: waited for, refused, or evicted, as GPUNode.spec says; and nobody else."""

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.api.gpunode import Disruption, WantedGPU
from aliquot.node.mig.labelled import CONFIG, DISRUPTION
from tests.node.fake_api import wanted
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

SEVENTH = "nvidia.com/mig-1g.10gb"
BEFORE = [("1g.10gb", 0), ("1g.10gb", 1), ("3g.40gb", 4)]


async def held(site: Site, pods: Mapping[str, tuple[str, int]]) -> None:
    """Pods hold slices of the first GPU."""
    cut(site.driver, site.gpus[0], *BEFORE)
    await asyncio.sleep(15)
    for name, (profile, start) in pods.items():
        site.kubelet.hold(name, f"nvidia.com/mig-{profile}", (site.slice_ids(0)[profile, start],))
    site.api.evicted = lambda pod: site.kubelet.release(pod.partition("/")[2])
    await asyncio.sleep(15)


def want(site: Site, *gpus: WantedGPU, disruption: Disruption, deadline_s: int = 600) -> None:
    site.api.want(*gpus)
    node = site.api.gpu_node
    spec = msgspec.structs.replace(node.spec, disruption=disruption, eviction_deadline_seconds=deadline_s)
    site.api.gpu_nodes.put(msgspec.structs.replace(node, spec=spec))


def test_pods_of_what_changes_are_evicted_and_no_others() -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0), "stays": ("3g.40gb", 4)})
        want(site, wanted(site.gpus[0], ("2g.20gb", 0), ("3g.40gb", 4)), disruption=Disruption.EVICT)
        await asyncio.sleep(20)
        assert set(site.api.evictions) == {"default/goes"}
        assert placed(site.driver, site.gpus[0]) == {("2g.20gb", 0), ("3g.40gb", 4)}
        assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")

    run_site("h100-80gb:1:mig", scenario)


def test_a_change_of_mode_evicts_all_of_the_gpu() -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"one": ("1g.10gb", 0), "two": ("3g.40gb", 4)})
        want(site, WantedGPU(uuid=site.gpus[0].uuid, mig=False), disruption=Disruption.EVICT)
        await asyncio.sleep(20)
        assert set(site.api.evictions) == {"default/one", "default/two"}
        assert site.offered() == {"nvidia.com/gpu": 2}

    run_site("h100-80gb:1:mig,h100-80gb:1", scenario)


@pytest.mark.parametrize("disruption", [Disruption.WAIT, Disruption.REFUSE])
def test_without_leave_nobody_is_evicted(disruption: Disruption) -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0)})
        want(site, wanted(site.gpus[0], ("3g.40gb", 4)), disruption=disruption)
        await asyncio.sleep(60)
        assert site.api.evictions == []
        assert placed(site.driver, site.gpus[0]) == set(BEFORE)
        assert site.api.condition("MIGConfigured")[:2] == ("False", "InUse")

    run_site("h100-80gb:1:mig", scenario)


def test_nothing_new_comes_while_evictions_are_waited_for() -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0)})
        site.api.refused_evictions["default/goes"] = "Cannot evict pod as it would violate the budget"
        want(site, wanted(site.gpus[0], ("3g.40gb", 4)), disruption=Disruption.EVICT)
        await asyncio.sleep(30)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        assert site.api.condition("MIGConfigured") == (
            "False",
            "Evicting",
            "GPU 0: waiting for the eviction of default/goes; Cannot evict pod as it would violate the budget",
        )
        # About every five seconds.
        assert 3 <= len(site.api.evictions) <= 8
        site.api.refused_evictions.clear()
        await asyncio.sleep(20)
        assert placed(site.driver, site.gpus[0]) == {("3g.40gb", 4)}

    run_site("h100-80gb:1:mig", scenario)


def test_by_the_deadline_it_is_given_up_and_begun_anew_later() -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0)})
        site.api.refused_evictions["default/goes"] = "its budget does not allow it"
        want(site, wanted(site.gpus[0], ("3g.40gb", 4)), disruption=Disruption.EVICT, deadline_s=30)
        await asyncio.sleep(34)
        assert site.api.condition("MIGConfigured") == (
            "False",
            "NotEvicted",
            "GPU 0: default/goes did not go (its budget does not allow it) within 30 s",
        )
        assert site.offered()[SEVENTH] == 2
        site.api.refused_evictions.clear()
        await asyncio.sleep(60)
        assert placed(site.driver, site.gpus[0]) == {("3g.40gb", 4)}

    run_site("h100-80gb:1:mig", scenario)


def test_a_process_that_belongs_to_no_pod_cannot_be_evicted() -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0)})
        site.driver.start_process(site.slice_ids(0)["1g.10gb", 1], pid=12)
        want(site, wanted(site.gpus[0], ("3g.40gb", 4)), disruption=Disruption.EVICT)
        await asyncio.sleep(30)
        assert site.api.evictions == []
        assert site.api.condition("MIGConfigured")[1] == "InUse"

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize(
    ("annotation", "state", "evicted"),
    [
        (None, "pending", False),
        ("refuse", "failed", False),
        ("Evict", "success", True),
        ("maybe", "failed", False),
    ],
)
def test_the_nodes_annotation_says_what_its_label_may_do(
    annotation: str | None, state: str, evicted: bool
) -> None:
    async def scenario(site: Site) -> None:
        await held(site, {"goes": ("1g.10gb", 0)})
        site.api.label(**{CONFIG: "all-3g.40gb"})
        if annotation is not None:
            site.api.annotate(**{DISRUPTION: annotation})
        await asyncio.sleep(40)
        assert site.api.node_label(MIG_STATE) == state
        assert (site.api.evictions == ["default/goes"]) is evicted

    run_site("h100-80gb:1:mig", scenario)
