"""What the agent serves to kubelet and reports to the API, on virtual time."""

import asyncio

import pytest

from aliquot.kube.api.core import Pod
from aliquot.kube.resources import key
from aliquot.node.inventory import Snapshot
from aliquot.node.observer import Observer
from tests.node.fake_api import pod
from tests.node.kubelet import Refused
from tests.node.machines import cut
from tests.node.site import Site, run_site

SEVENTH = "nvidia.com/mig-1g.10gb"


def test_whole_gpus_are_offered_ready_and_reported() -> None:
    async def scenario(site: Site) -> None:
        assert site.offered() == {"nvidia.com/gpu": 2}
        status = site.api.gpu_node.status
        assert [(gpu.ready, gpu.resource) for gpu in status.gpus] == [(True, "nvidia.com/gpu")] * 2
        assert site.api.condition("Ready") == ("True", "Serving", "2 GPUs are served to kubelet")
        owner = (site.api.gpu_node.metadata.owner_references or ())[0]
        assert (owner.kind, owner.name, owner.uid) == ("Node", "gpu-0", "node-uid")

    run_site("h100-80gb:2", scenario)


def test_pods_that_ask_for_no_device_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = Observer.look

    async def counting(self: Observer, before: Snapshot, *, patient: bool) -> Snapshot:
        nonlocal looks
        looks += 1
        return await look(self, before, patient=patient)

    monkeypatch.setattr(Observer, "look", counting)

    async def scenario(site: Site) -> None:
        async def looks_while(*changes: Pod | str) -> int:
            await asyncio.sleep(60)
            before = looks
            for change in changes:
                if isinstance(change, str):
                    site.api.pods.remove(change)
                else:
                    site.api.pods.put(change)
                await asyncio.sleep(0.5)
            return looks - before

        plain = [pod("web", resource="cpu", phase=phase) for phase in ("Pending", "Running", "Succeeded")]
        assert await looks_while(*plain, key(plain[0])) <= 1
        train = [pod("train", phase=phase) for phase in ("Pending", "Running", "Succeeded")]
        assert await looks_while(*train, key(train[0])) >= 4

    run_site("l4:2", scenario)


def test_every_name_that_could_appear_is_registered_with_no_devices() -> None:
    async def scenario(site: Site) -> None:
        assert {"nvidia.com/gpu", SEVENTH, "nvidia.com/mig-7g.80gb"} <= set(site.kubelet.registrations)
        assert site.kubelet.offered[SEVENTH] == {}

    run_site("h100-80gb:1", scenario)


def test_a_slice_made_by_hand_is_offered_without_a_restart() -> None:
    async def scenario(site: Site) -> None:
        before = list(site.kubelet.registrations)
        cut(site.driver, site.gpus[0], ("3g.40gb", 4), ("1g.10gb", 0))
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1, SEVENTH: 1}
        assert site.kubelet.registrations == before
        assert [i.ready for i in site.gpu_status(0).instances] == [True, True]

    run_site("h100-80gb:1:mig", scenario)


def test_a_part_of_a_gpu_instance_gets_a_name_of_its_own() -> None:
    async def scenario(site: Site) -> None:
        gpu = site.gpus[0]
        made = site.driver.create_gpu_instance(gpu.uuid, 9, 4)
        site.driver.create_compute_instance(gpu.uuid, made.gi_id, 0)
        await asyncio.sleep(15)
        assert site.offered() == {"nvidia.com/mig-1c.3g.40gb": 1}

    run_site("h100-80gb:1:mig", scenario)


def test_allocate_names_the_devices_in_both_variables() -> None:
    async def scenario(site: Site) -> None:
        ids = site.kubelet.free("nvidia.com/gpu")
        answer = await site.kubelet.allocate("nvidia.com/gpu", ids)
        assert dict(answer.envs) == {
            "NVIDIA_VISIBLE_DEVICES": ",".join(ids),
            "ALIQUOT_VISIBLE_DEVICES_GPU": ",".join(ids),
        }
        assert not answer.devices

    run_site("l4:2", scenario)


def test_an_unknown_device_is_refused() -> None:
    async def scenario(site: Site) -> None:
        with pytest.raises(Refused, match=r"NOT_FOUND: nvidia.com/gpu has no device GPU-x on this node"):
            await site.kubelet.allocate("nvidia.com/gpu", ["GPU-x"])

    run_site("l4:1", scenario)


def test_the_holder_of_a_device_is_reported() -> None:
    async def scenario(site: Site) -> None:
        site.api.pods.put(pod("train"))
        (held,) = await site.kubelet.admit("train", "nvidia.com/gpu")
        await asyncio.sleep(1)
        assert [gpu.pods for gpu in site.api.gpu_node.status.gpus if gpu.uuid == held] == [["default/train"]]
        site.kubelet.release("train")
        site.api.pods.remove("default/train")
        await asyncio.sleep(1)
        assert all(gpu.pods == [] for gpu in site.api.gpu_node.status.gpus)

    run_site("l4:2", scenario)


def test_a_look_lets_kubelet_s_calls_in_between_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(site: Site) -> None:
        turns: list[str] = []
        really = site.driver.processes

        def processes(gpu_uuid: str) -> object:
            turns.append("gpu")
            asyncio.get_running_loop().call_soon(turns.append, "others")
            return really(gpu_uuid)

        monkeypatch.setattr(site.driver, "processes", processes)
        await asyncio.sleep(15)
        assert turns[:8] == ["gpu", "others"] * 4

    run_site("l4:4", scenario)


def test_what_kubelet_never_lists_is_not_looked_for_each_second() -> None:
    async def scenario(site: Site) -> None:
        looks = 0
        really = site.driver.version

        def version() -> object:
            nonlocal looks
            looks += 1
            return really()

        site.api.pods.put(pod("short"))
        await site.kubelet.admit("short", "nvidia.com/gpu")
        site.kubelet.release("short")
        site.api.pods.remove("default/short")
        await asyncio.sleep(5)
        site.driver.version = version  # type: ignore[method-assign, assignment]
        await asyncio.sleep(20)
        assert looks <= 4

    run_site("l4:1", scenario)
