"""GPUs of new nodes are cut as those before them were, by somebody else's MIG manager or Aliquot's agent, on an emulated cluster."""

import asyncio
import contextlib
from typing import Any

from msgspec.structs import replace

from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT, RestoreGpus, SaveGpus
from aliquot.eks.upgrade.gpu_roll.layouts import CONFIG
from aliquot.eks.upgrade.gpu_roll.marks import RESTORED_FROM
from aliquot.eks.versions.minor import Minor
from aliquot.kube import crds
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import GPUNODES, NODES
from tests.eks.upgrade.acts.worlds import World, on_virtual_time

SAVE = SaveGpus(cluster="prod", groups=("gpu",))
RESTORE = RestoreGpus(groups=("gpu",), minor=Minor(1, 32), limit_s=300.0)
WAIT = Approval("h")
ZONE = "topology.kubernetes.io/zone"
OFFERS = {"all-1g.10gb": {"nvidia.com/mig-1g.10gb": "7"}, "all-disabled": {"nvidia.com/gpu": "1"}}


async def node(world: World, name: str, zone: str, minor: str, **labels: str) -> None:
    meta = {"name": name, "labels": {GROUP_LABEL: "gpu", ZONE: zone, **labels}}
    taints = [{"key": STARTUP_TAINT, "effect": "NoSchedule"}] if minor == "1.32" else []
    await world.kube.create(NODES, {"metadata": meta, "spec": {"taints": taints}})
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": f"v{minor}.4-eks-1"},
        "allocatable": {"cpu": "8", "nvidia.com/gpu": "1"},
    }
    await world.kube.patch(NODES, name, {"status": status}, subresource="status")


async def mig_manager(world: World, broken: str = "") -> None:
    """NVIDIA's: follows the label, 20 s behind."""
    done: dict[str, str] = {}
    while True:
        for one in (await world.kube.list(NODES)).items:
            name, labels = one["metadata"]["name"], one["metadata"]["labels"]
            if CONFIG in labels and done.get(name) != labels[CONFIG] and name != broken:
                with contextlib.suppress(ApiError):
                    await asyncio.sleep(20)
                    gone = dict.fromkeys(key for offer in OFFERS.values() for key in offer)
                    status = {"allocatable": {**gone, **OFFERS[labels[CONFIG]]}}
                    await world.kube.patch(NODES, name, {"status": status}, subresource="status")
                    told = {"metadata": {"labels": {MIG_STATE: "success"}}}
                    await world.kube.patch(NODES, name, told)
                    done[name] = labels[CONFIG]
        await asyncio.sleep(1)


async def rolled(world: World, *zones: str) -> None:
    """New nodes in the place of the old ones."""
    for one in (await world.kube.list(NODES)).items:
        await world.kube.delete(NODES, one["metadata"]["name"])
    for number, zone in enumerate(zones):
        await node(world, f"new-{number}", zone, "1.32")


async def labels(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await world.kube.get(NODES, name))["metadata"]["labels"]
    return found


def keys_of(found: dict[str, Any]) -> list[str]:
    return [one["key"] for one in found["spec"].get("taints", ())]


@on_virtual_time
async def test_labels_come_back_in_their_zones_and_are_waited_for(world: World) -> None:
    world.account.nodegroup("gpu", 2)
    await node(world, "old-0", "a", "1.31", team="vision", **{CONFIG: "all-1g.10gb"})
    await node(world, "old-1", "b", "1.31", **{CONFIG: "all-disabled"})
    manager = asyncio.create_task(mig_manager(world))
    await asyncio.sleep(60)
    held = await world.go(SAVE, WAIT, RESTORE)
    assert held is not None
    # One more than before, too.
    await rolled(world, "b", "a", "b")
    before_s = world.clock.now()
    assert await world.approved("h") is None
    assert 20 < world.clock.now() - before_s < 200
    assert (await labels(world, "new-0"))[CONFIG] == "all-disabled"
    assert (await labels(world, "new-1"))[CONFIG] == "all-1g.10gb"
    assert (await labels(world, "new-1"))["team"] == "vision"
    for number, place in ((0, "old-1"), (1, "old-0"), (2, "-")):
        found = await world.kube.get(NODES, f"new-{number}")
        assert found["metadata"]["annotations"][RESTORED_FROM] == place
        assert STARTUP_TAINT not in keys_of(found), "who is whole takes pods"
    manager.cancel()
    await asyncio.gather(manager, return_exceptions=True)


@on_virtual_time
async def test_who_is_not_cut_in_time_is_named_with_what_it_lacks(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    await node(world, "old-0", "a", "1.31", **{CONFIG: "all-1g.10gb"})
    manager = asyncio.create_task(mig_manager(world, broken="new-0"))
    await asyncio.sleep(60)
    await world.go(SAVE, WAIT, RESTORE)
    await rolled(world, "a")
    held = await world.approved("h")
    assert held is not None
    assert f"node new-0: {CONFIG}=all-1g.10gb is not taken up" in held.why
    assert "node new-0: 0 nvidia.com/mig-1g.10gb, old-0 had 7" in held.why
    assert STARTUP_TAINT in keys_of(await world.kube.get(NODES, "new-0")), "it is kept away from"
    manager.cancel()
    await asyncio.gather(manager, return_exceptions=True)
    manager = asyncio.create_task(mig_manager(world))
    assert await world.again() is None
    manager.cancel()
    await asyncio.gather(manager, return_exceptions=True)


@on_virtual_time
async def test_what_was_cut_by_hand_is_cut_so_on_other_gpus(world: World) -> None:
    await crds.install(world.kube)
    world.account.nodegroup("gpu", 1)
    await node(world, "old-0", "a", "1.31")

    async def agent(name: str, *uuids: str) -> None:
        await world.kube.create(GPUNODES, {"metadata": {"name": name}, "spec": {}})
        gpus = [
            {
                "uuid": uuid,
                "index": index,
                "product": "H100",
                "board": "h100-80gb",
                "memoryMib": 81559,
                "migMode": "Enabled",
            }
            for index, uuid in enumerate(uuids)
        ]
        await world.kube.patch(GPUNODES, name, {"status": {"gpus": gpus}}, subresource="status")

    await agent("old-0", "GPU-a", "GPU-b")
    cut = {"mig": True, "instances": [{"start": 0, "profile": "3g.40gb"}]}
    spec = {"partitioning": "static", "gpus": [{"uuid": "GPU-b", **cut}]}
    await world.kube.patch(GPUNODES, "old-0", {"spec": spec})
    await world.go(SAVE, WAIT, RESTORE)
    await world.kube.delete(GPUNODES, "old-0")
    await rolled(world, "a")

    async def late() -> None:
        await asyncio.sleep(60)
        await agent("new-0", "GPU-x", "GPU-y")

    coming = asyncio.create_task(late())
    assert await world.approved("h") is None
    await coming
    found = (await world.kube.get(GPUNODES, "new-0"))["spec"]
    assert found == {"partitioning": "static", "gpus": [{"uuid": "GPU-y", **cut}]}


@on_virtual_time
async def test_without_what_was_kept_nothing_is_made_up(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    await node(world, "new-0", "a", "1.32")
    held = await world.go(RESTORE)
    assert held is not None
    assert "is not in the journal" in held.why


@on_virtual_time
async def test_a_run_that_is_turned_before_nodes_have_it_all_gives_it_to_those_after_them(
    world: World,
) -> None:
    world.account.nodegroup("gpu", 1)
    await node(world, "old-0", "a", "1.31", team="vision", **{CONFIG: "all-1g.10gb"})
    manager = asyncio.create_task(mig_manager(world))
    await asyncio.sleep(60)
    await world.go(SAVE, WAIT, SAVE, Approval("back"), RESTORE)
    # Nobody gives these what they are to have: the run is turned here, and saves again.
    await rolled(world, "a")
    assert await world.approved("h") is not None
    await world.kube.delete(NODES, "new-0")
    await node(world, "back-0", "a", "1.32")
    assert await world.approved("back") is None
    found = await labels(world, "back-0")
    assert (found["team"], found[CONFIG]) == ("vision", "all-1g.10gb")
    manager.cancel()
    await asyncio.gather(manager, return_exceptions=True)


@on_virtual_time
async def test_what_somebody_changed_since_is_what_the_next_hop_keeps(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    await node(world, "old-0", "a", "1.31", team="vision", **{CONFIG: "all-1g.10gb"})
    manager = asyncio.create_task(mig_manager(world))
    await asyncio.sleep(60)
    await world.go(SAVE, WAIT, RESTORE, Approval("next"), SAVE, Approval("rolled"), RESTORE)
    await rolled(world, "a")
    held = await world.approved("h")
    assert held is not None
    assert "approved" in held.why
    await world.kube.patch(NODES, "new-0", {"metadata": {"labels": {"team": "text"}}})
    await world.approved("next")
    await world.kube.delete(NODES, "new-0")
    await node(world, "next-0", "a", "1.32")
    assert await world.approved("rolled") is None
    assert (await labels(world, "next-0"))["team"] == "text"
    manager.cancel()
    await asyncio.gather(manager, return_exceptions=True)


DRIVER = "nvidia.com/cuda.driver-version.full"


@on_virtual_time
async def test_a_driver_of_another_branch_than_the_releases_is_held(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    act = RestoreGpus(groups=("gpu",), minor=Minor(1, 32), limit_s=300.0, drivers={"gpu": "580"})
    await node(world, "old-0", "a", "1.31", **{DRIVER: "570.133.20"})
    await world.go(SAVE, WAIT, act)
    for one in (await world.kube.list(NODES)).items:
        await world.kube.delete(NODES, one["metadata"]["name"])
    await node(world, "new-0", "a", "1.32", **{DRIVER: "570.133.20"})
    held = await world.approved("h")
    assert held is not None
    assert "its driver is 570.133.20, and its release has one of 580" in held.why
    await world.kube.patch(NODES, "new-0", {"metadata": {"labels": {DRIVER: "580.65.06"}}})
    assert await world.again() is None


@on_virtual_time
async def test_where_nobody_tells_of_drivers_nobody_waits_for_one(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    act = RestoreGpus(groups=("gpu",), minor=Minor(1, 32), limit_s=300.0, drivers={"gpu": "580"})
    await node(world, "old-0", "a", "1.31")
    await world.go(SAVE, WAIT, act)
    await rolled(world, "a")
    assert await world.approved("h") is None


@on_virtual_time
async def test_nodes_of_another_group_are_given_what_those_of_the_old_one_have(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    await node(world, "old-0", "a", "1.31", team="vision")
    held = await world.go(SAVE, WAIT, replace(RESTORE, instead={"gpu": "gpu-1-32"}))
    assert held is not None
    await node(world, "new-0", "a", "1.32")
    await world.kube.patch(NODES, "new-0", {"metadata": {"labels": {GROUP_LABEL: "gpu-1-32"}}})
    assert await world.approved("h") is None
    assert (await labels(world, "new-0"))["team"] == "vision"
    assert (await world.kube.get(NODES, "new-0"))["metadata"]["annotations"][RESTORED_FROM] == "old-0"
    assert RESTORED_FROM not in (await world.kube.get(NODES, "old-0"))["metadata"].get("annotations", {})
