"""Labelled nodes whose cut is interrupted: by a reboot, by the agent's death, by pods that come all the time."""

import asyncio
import random

import pytest

from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.node.mig.labelled import CONFIG, DISRUPTION
from tests.node.kubelet import Refused
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

BALANCED = {("1g.10gb", 0), ("1g.10gb", 1), ("2g.20gb", 2), ("3g.40gb", 4)}
SEVENTHS = [("1g.10gb", start) for start in range(7)]
SEVENTH = "nvidia.com/mig-1g.10gb"

TURNS = range(0, 120, 11)
"""Of the loop, after which it happens: before the label is seen, in each step of the change, and after it."""


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def nothing_held_is_destroyed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    really = site.driver.destroy_compute_instance

    def destroy(gpu_uuid: str, gi_id: int, ci_id: int) -> None:
        held = {device for ids in site.kubelet.held.values() for device in ids}
        for instance in site.driver.instances(gpu_uuid):
            for compute in instance.compute_instances:
                if (instance.gi_id, compute.ci_id) == (gi_id, ci_id):
                    assert compute.uuid not in held
        really(gpu_uuid, gi_id, ci_id)

    monkeypatch.setattr(site.driver, "destroy_compute_instance", destroy)


@pytest.mark.parametrize("board", ["h100-80gb", "a100-80gb"])
@pytest.mark.parametrize("count", TURNS)
def test_a_reboot_at_any_moment_of_a_cut(board: str, count: int) -> None:
    async def scenario(site: Site) -> None:
        site.api.label(**{CONFIG: "all-balanced"})
        await turns(count)
        await site.stop_agent()
        site.driver.reboot()
        await site.kubelet.restart()
        await site.start_agent()
        await asyncio.sleep(60)
        assert [placed(site.driver, gpu) for gpu in site.gpus] == [BALANCED, BALANCED]
        assert site.api.node_label(MIG_STATE) == "success"
        assert site.offered()[SEVENTH] == 4

    run_site(f"{board}:2", scenario)


@pytest.mark.parametrize("kill_after_s", [0.01, 1.0, 3.0, 7.0, 12.0, 40.0])
@pytest.mark.parametrize("again", [False, True])
def test_an_agent_that_dies_while_it_evicts_goes_on_with_it(
    monkeypatch: pytest.MonkeyPatch, kill_after_s: float, again: bool
) -> None:
    """The pod needs a while to go: its budget does not allow it yet, or it takes its grace period."""

    async def scenario(site: Site) -> None:
        nothing_held_is_destroyed(site, monkeypatch)
        cut(site.driver, site.gpus[0], ("1g.10gb", 0), ("3g.40gb", 4))
        await asyncio.sleep(15)
        slices = site.slice_ids(0)
        site.kubelet.hold("goes", SEVENTH, (slices["1g.10gb", 0],))
        site.kubelet.hold("stays", "nvidia.com/mig-3g.40gb", (slices["3g.40gb", 4],))
        loop = asyncio.get_running_loop()

        def evicted(pod: str) -> None:
            loop.call_later(10, site.kubelet.release, pod.partition("/")[2])

        site.api.evicted = evicted
        site.api.label(**{CONFIG: "all-3g.40gb"})
        site.api.annotate(**{DISRUPTION: "evict"})
        for _ in range(1 + again):
            await asyncio.sleep(kill_after_s)
            await site.stop_agent()
            await site.start_agent()
        await asyncio.sleep(90)
        assert site.api.node_label(MIG_STATE) == "success"
        assert placed(site.driver, site.gpus[0]) == {("3g.40gb", 0), ("3g.40gb", 4)}
        assert set(site.api.evictions) == {"default/goes"}
        assert site.slice_ids(0)["3g.40gb", 4] == slices["3g.40gb", 4]

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("disruption", ["wait", "evict"])
def test_pods_that_come_all_the_time_do_not_keep_a_node_from_its_cut(
    monkeypatch: pytest.MonkeyPatch, seed: int, disruption: str
) -> None:
    """Each takes what is free, whatever is being changed; a hundred in a minute."""
    rng = random.Random(seed)

    async def scenario(site: Site) -> None:
        nothing_held_is_destroyed(site, monkeypatch)
        for gpu in site.gpus:
            cut(site.driver, gpu, *SEVENTHS)
        await asyncio.sleep(15)
        site.api.label(rack="7")
        site.api.annotate(**{DISRUPTION: disruption})
        site.api.evicted = lambda pod: site.kubelet.release(pod.partition("/")[2])
        running: list[str] = []
        for number in range(100):
            if number == 20:
                site.api.label(**{CONFIG: "all-balanced"})
            resource = rng.choice([SEVENTH, SEVENTH, "nvidia.com/mig-2g.20gb", "nvidia.com/mig-3g.40gb"])
            try:
                await site.kubelet.admit(f"p{number}", resource)
            except Refused as refused:
                # There was none. What kubelet has to give is never refused at Allocate.
                assert str(refused).endswith(", available 0")
            else:
                running.append(f"p{number}")
            if running and rng.random() < 0.4:
                site.kubelet.release(running.pop(rng.randrange(len(running))))
            await asyncio.sleep(rng.choice((0.0, 0.2, 1.0)))
        if disruption == "wait":
            for name in running:
                site.kubelet.release(name)
            await asyncio.sleep(60)
        assert site.api.node_label(MIG_STATE) == "success"
        for gpu in site.gpus:
            names = sorted(name for name, _ in placed(site.driver, gpu))
            assert names == ["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]

    run_site("h100-80gb:2:mig", scenario)
