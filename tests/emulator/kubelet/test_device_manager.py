"""kubelet and a scripted device plugin, over real unix sockets and in memory: what a real kubelet was seen to do."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from aliquot.clock import SystemClock, VirtualClock
from aliquot.emulator.kubelet.checkpoint import (
    DEVICES,
    CheckpointError,
    CheckpointStore,
    MemoryCheckpoints,
)
from aliquot.emulator.kubelet.device_manager import ContainerClaim, DeviceManager, PodClaim
from aliquot.emulator.kubelet.devices import GRACE_AFTER_STOP_S, AllocationError
from aliquot.emulator.kubelet.runtimes.base import DeviceNode, Mount
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    CDIDevice,
    ContainerAllocateResponse,
    DeviceSpec,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2 import Mount as MountMessage
from aliquot.kube.kubeletapi.sockets import MemorySockets, SocketDirectory, Sockets
from tests.emulator.kubelet.conftest import (
    GPU,
    ScriptedPlugin,
    device,
    register,
    settle,
    virtual,
)

SLICE = "nvidia.com/mig-1g.10gb"


@pytest.fixture(params=["directory", "memory"])
def sockets(request: pytest.FixtureRequest, tmp_path: Path) -> Sockets:
    return SocketDirectory(tmp_path) if request.param == "directory" else MemorySockets()


@asynccontextmanager
async def managing(
    sockets: Sockets,
    *plugins: ScriptedPlugin,
    checkpoints: CheckpointStore | None = None,
    active: Collection[str] | None = None,
    virtually: bool = False,
) -> AsyncIterator[DeviceManager]:
    """A device manager at work. Pods named `ended...` are not active, unless `active` says otherwise."""
    manager = DeviceManager(
        sockets,
        checkpoints or MemoryCheckpoints(),
        node="node-1",
        clock=VirtualClock() if virtually else SystemClock(),
        rng=random.Random(7),
        active=lambda: active if active is not None else Everyone(),
    )
    serving = asyncio.Event()
    task = asyncio.create_task(manager.run(serving))
    await serving.wait()
    try:
        yield manager
    finally:
        task.cancel()
        await asyncio.wait((task,))
        for plugin in plugins:
            await plugin.close()


class Everyone(tuple[str, ...]):
    """All uids but those that say they have ended."""

    def __contains__(self, uid: object) -> bool:
        return not str(uid).startswith("ended")


def claim(uid: str, size: int = 1, resource: str = GPU, *, running: bool = False) -> PodClaim:
    return PodClaim(uid, (ContainerClaim("main", {resource: size}, running=running),))


def held(manager: DeviceManager, uid: str, container: str = "main", resource: str = GPU) -> tuple[str, ...]:
    containers = manager.table.held_by(uid)
    return containers[container][resource].ids if container in containers else ()


def methods(plugin: ScriptedPlugin) -> list[str]:
    return [method for method, _ in plugin.asked if method != "GetDevicePluginOptions"]


async def refused(manager: DeviceManager, pod: PodClaim) -> str:
    with pytest.raises(AllocationError) as caught:
        await manager.allocate(pod)
    return str(caught.value)


# Registration.


async def test_a_resource_with_zero_devices_stays_at_zero(sockets: Sockets) -> None:
    plugin = ScriptedPlugin()
    async with managing(sockets) as manager:
        await plugin.serve(sockets)
        assert manager.counts() == ({GPU: 0}, {GPU: 0})
        await plugin.close()
        assert manager.counts() == ({GPU: 0}, {GPU: 0})


@pytest.mark.parametrize(
    ("resource", "version", "complaint"),
    [
        (
            GPU,
            "v1alpha1",
            'requested API version "v1alpha1" is not supported by kubelet. Supported version is ["v1beta1"]',
        ),
        ("gpu", "v1beta1", 'the ResourceName "gpu" is invalid'),
        ("kubernetes.io/gpu", "v1beta1", 'the ResourceName "kubernetes.io/gpu" is invalid'),
    ],
)
async def test_a_registration_that_is_refused(
    sockets: Sockets, resource: str, version: str, complaint: str
) -> None:
    plugin = ScriptedPlugin("a")
    async with managing(sockets, plugin) as manager:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await plugin.serve(sockets, resource, version=version, endpoint="plugin.sock")
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, complaint)
        assert manager.counts() == ({}, {})


async def test_a_plugin_that_does_not_answer_is_not_registered(sockets: Sockets) -> None:
    async with managing(sockets) as manager:
        with pytest.raises(
            grpc.aio.AioRpcError, match="failed to get device plugin options: rpc error: code = Unavailable"
        ):
            await register(sockets, GPU, "absent.sock")
        assert manager.counts() == ({}, {})


async def test_lists_are_followed(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        assert manager.counts() == ({GPU: 2}, {GPU: 2})
        plugin.list(device("a"), device("b", healthy=False), device("c"))
        await settle()
        assert manager.counts() == ({GPU: 3}, {GPU: 2})


async def test_a_plugin_that_ends_leaves_unhealthy_devices(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b")
    async with managing(sockets) as manager:
        await plugin.serve(sockets)
        await plugin.close()
        assert manager.counts() == ({GPU: 2}, {GPU: 0})
        assert await refused(manager, claim("pod")) == (
            "no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu"
        )


async def test_a_plugin_that_registers_again_takes_its_own_place(sockets: Sockets) -> None:
    old, new = ScriptedPlugin("a"), ScriptedPlugin("a", "b")
    async with managing(sockets, new) as manager:
        await old.serve(sockets, endpoint="old.sock")
        await new.serve(sockets, endpoint="new.sock")
        assert manager.counts() == ({GPU: 2}, {GPU: 2})
        async with asyncio.timeout(5):
            await old.left.wait()
        # The end of the old one no longer means anything.
        await old.close()
        assert manager.counts() == ({GPU: 2}, {GPU: 2})
        await manager.allocate(claim("pod"))
        assert methods(new) == ["Allocate"]


def test_a_lost_plugin_is_forgotten_after_five_minutes_and_then_ignored() -> None:
    async def scenario() -> None:
        sockets = MemorySockets()
        plugin = ScriptedPlugin("a")
        async with managing(sockets, virtually=True) as manager:
            await plugin.serve(sockets)
            await plugin.close()
            await asyncio.sleep(GRACE_AFTER_STOP_S - 1)
            assert manager.counts() == ({GPU: 1}, {GPU: 0})
            await asyncio.sleep(2)
            # Told once as 0, which node.status then keeps.
            assert manager.counts() == ({GPU: 0}, {GPU: 0})
            assert manager.counts() == ({}, {})
            await manager.allocate(claim("pod"))
            assert held(manager, "pod") == ()

    virtual(scenario())


# Allocation.


async def test_a_device_can_be_allocated_as_soon_as_it_is_listed(sockets: Sockets) -> None:
    plugin = ScriptedPlugin()
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        plugin.list(device("new"))
        await settle()
        await manager.allocate(claim("pod"))
        assert held(manager, "pod") == ("new",)


async def test_too_few_devices(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b", "c")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        assert await refused(manager, claim("pod", 9)) == (
            "requested number of devices unavailable for nvidia.com/gpu. Requested: 9, Available: 3"
        )
        assert methods(plugin) == []


async def test_a_resource_that_no_plugin_registered_is_ignored(sockets: Sockets) -> None:
    async with managing(sockets) as manager:
        await manager.allocate(claim("pod"))
        assert manager.options("pod", "main").device_ids == {}


async def test_the_plugins_refusal_is_passed_on(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a")
    plugin.refuse = {"Allocate": "no device 'a'"}
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        assert await refused(manager, claim("pod")) == "rpc error: code = Unknown desc = no device 'a'"
        assert held(manager, "pod") == ()
        plugin.refuse = {}
        await manager.allocate(claim("next"))
        assert held(manager, "next") == ("a",)


async def test_an_empty_answer_is_a_refusal(sockets: Sockets) -> None:
    class Mute(ScriptedPlugin):
        async def Allocate(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
            answer = await super().Allocate(request, context)
            del answer.container_responses[:]
            return answer

    plugin = Mute("a")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        assert "no containers return in allocation response" in await refused(manager, claim("pod"))


async def test_each_container_and_resource_has_a_call_of_its_own(sockets: Sockets) -> None:
    gpus, slices = ScriptedPlugin("a", "b", "c"), ScriptedPlugin("s")
    async with managing(sockets, gpus, slices) as manager:
        await gpus.serve(sockets)
        await slices.serve(sockets, SLICE)
        both = ContainerClaim("one", {GPU: 2, SLICE: 1})
        await manager.allocate(PodClaim("pod", (both, ContainerClaim("two", {GPU: 1}))))
        assert [len(ids) for method, ids in gpus.asked if method == "Allocate"] == [2, 1]
        assert slices.asked[-1] == ("Allocate", ("s",))
        taken = (*held(manager, "pod", "one"), *held(manager, "pod", "two"))
        assert sorted(taken) == ["a", "b", "c"]


async def test_devices_of_an_ended_pod_are_free_again(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("ended-pod"))
        await manager.allocate(claim("next"))
        assert (held(manager, "ended-pod"), held(manager, "next")) == ((), ("a",))


async def test_withdrawn_devices_stay_with_their_pod(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("pod", 2))
        plugin.list(device("b"))
        await settle()
        assert manager.counts() == ({GPU: 1}, {GPU: 1})
        assert held(manager, "pod") == ("a", "b")


async def test_two_pods_never_share_a_device_however_slow_the_plugin(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b", preferred=["a"])
    plugin.delay_s = 0.02
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await asyncio.gather(manager.allocate(claim("one")), manager.allocate(claim("two")))
        assert held(manager, "one") + held(manager, "two") == ("a", "b")


async def test_a_call_under_way_ends_when_its_plugin_is_replaced(sockets: Sockets) -> None:
    old, new = ScriptedPlugin("a"), ScriptedPlugin("a")
    async with managing(sockets, old, new) as manager:
        await old.serve(sockets, endpoint="old.sock")
        old.delay_s = 0.3
        allocating = asyncio.create_task(manager.allocate(claim("pod")))
        await settle()
        await new.serve(sockets, endpoint="new.sock")
        # Over a real connection the call is cut off, in memory it may still be answered. It never just hangs.
        async with asyncio.timeout(5):
            await asyncio.wait((allocating,))
        assert not allocating.cancelled()
        error = allocating.exception()
        if error is not None:
            assert str(error) == "rpc error: code = Canceled desc = grpc: the client connection is closing"
        else:
            assert held(manager, "pod") == ("a",)


# Preference.


async def test_the_preference_is_asked_for_before_each_allocate_and_used(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b", "c", preferred=["c"])
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("pod"))
        assert methods(plugin) == ["GetPreferredAllocation 1 with none", "Allocate"]
        assert held(manager, "pod") == ("c",)


async def test_it_is_not_asked_for_where_the_plugin_offers_none(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("pod"))
        assert methods(plugin) == ["Allocate"]


async def test_only_free_devices_are_offered_in_no_order(sockets: Sockets) -> None:
    ids = [f"d{number}" for number in range(8)]
    plugin = ScriptedPlugin(*ids, preferred=[])
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        for number in range(3):
            await manager.allocate(claim(f"pod-{number}"))
        free = [set(ids)]
        for number in range(2):
            free.append(free[-1] - set(held(manager, f"pod-{number}")))
        assert [set(offered) for offered in plugin.available] == free
        assert [offered for offered in plugin.available if list(offered) == sorted(offered)] == []


async def test_a_preference_that_fails_is_a_refusal(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", preferred=["a"])
    plugin.refuse = {"GetPreferredAllocation": "lost"}
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        assert await refused(manager, claim("pod")) == (
            "device plugin GetPreferredAllocation rpc failed with err: rpc error: code = Unknown desc = lost"
        )


async def test_devices_of_init_containers_must_be_included(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", "b", "c", preferred=["b"])
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        init = ContainerClaim("init", {GPU: 1}, is_init=True)
        await manager.allocate(PodClaim("pod", (init, ContainerClaim("main", {GPU: 2}))))
        assert methods(plugin) == [
            "GetPreferredAllocation 1 with none",
            "Allocate",
            "GetPreferredAllocation 2 with b",
            "Allocate",
        ]
        assert set(plugin.available[1]) == {"a", "b", "c"}
        assert held(manager, "pod", "init") == ("b",)
        assert "b" in held(manager, "pod")


async def test_what_an_init_container_had_is_enough_without_asking(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", preferred=["a"])
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        init = ContainerClaim("init", {GPU: 1}, is_init=True)
        await manager.allocate(PodClaim("pod", (init, ContainerClaim("main", {GPU: 1}))))
        assert methods(plugin) == ["GetPreferredAllocation 1 with none", "Allocate", "Allocate"]
        assert held(manager, "pod") == ("a",)


# Starting containers.


async def test_pre_start_is_called_before_each_start_where_asked_for(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a", pre_start=True)
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        pod = claim("pod")
        await manager.allocate(pod)
        for _ in range(2):
            await manager.prepare(pod, pod.containers[0])
        assert plugin.asked[-2:] == [("PreStartContainer", ("a",))] * 2


async def test_pre_start_is_not_called_where_not_asked_for(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a")
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        pod = claim("pod")
        await manager.allocate(pod)
        await manager.prepare(pod, pod.containers[0])
        assert methods(plugin) == ["Allocate"]


def test_pre_start_has_thirty_seconds() -> None:
    async def scenario() -> float:
        sockets = MemorySockets()
        plugin = ScriptedPlugin("a", pre_start=True)
        async with managing(sockets, plugin, virtually=True) as manager:
            await plugin.serve(sockets)
            pod = claim("pod")
            await manager.allocate(pod)
            plugin.delay_s = 3600.0
            began = asyncio.get_running_loop().time()
            with pytest.raises(
                AllocationError,
                match="device plugin PreStartContainer rpc failed with err: rpc error: code = DeadlineExceeded",
            ):
                await manager.prepare(pod, pod.containers[0])
            return asyncio.get_running_loop().time() - began

    assert virtual(scenario()) == pytest.approx(30.0)


async def test_a_container_started_before_its_plugin_registered_gets_devices_when_it_restarts(
    sockets: Sockets,
) -> None:
    plugin = ScriptedPlugin("a")
    async with managing(sockets, plugin) as manager:
        pod = claim("pod")
        await manager.allocate(pod)
        first = await manager.prepare(pod, pod.containers[0])
        await plugin.serve(sockets)
        again = await manager.prepare(pod, pod.containers[0])
        assert (dict(first.env), dict(again.env)) == ({}, {"NVIDIA_VISIBLE_DEVICES": "a"})


async def test_what_allocate_answered_reaches_the_container(sockets: Sockets) -> None:
    plugin = ScriptedPlugin("a")
    plugin.answer = ContainerAllocateResponse(
        envs={"IT": "IDS"},
        annotations={"cdi.k8s.io/x": "y"},
        devices=[DeviceSpec(host_path="/dev/zero", container_path="/dev/nvidia0", permissions="rw")],
        mounts=[MountMessage(host_path="/dev/null", container_path="/x", read_only=True)],
        cdi_devices=[CDIDevice(name="nvidia.com/gpu=a")],
    )
    async with managing(sockets, plugin) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("pod"))
        options = manager.options("pod", "main")
        assert dict(options.env) == {"IT": "a"}
        assert dict(options.annotations) == {"cdi.k8s.io/x": "y"}
        assert options.devices == (DeviceNode("/dev/zero", "/dev/nvidia0", "rw"),)
        assert options.mounts == (Mount("/dev/null", "/x", True),)
        assert options.cdi_devices == ("nvidia.com/gpu=a",)
        assert options.device_ids == {GPU: ("a",)}


async def test_of_two_resources_that_set_one_variable_the_first_wins(sockets: Sockets) -> None:
    gpus, slices = ScriptedPlugin("a"), ScriptedPlugin("s")
    async with managing(sockets, gpus, slices) as manager:
        await gpus.serve(sockets)
        await slices.serve(sockets, SLICE)
        await manager.allocate(PodClaim("pod", (ContainerClaim("main", {SLICE: 1, GPU: 1}),)))
        options = manager.options("pod", "main")
        assert options.env == {"NVIDIA_VISIBLE_DEVICES": "a"}
        assert options.device_ids == {GPU: ("a",), SLICE: ("s",)}


# Over restarts.


async def test_allocations_survive_a_restart(sockets: Sockets) -> None:
    checkpoints, plugin = MemoryCheckpoints(), ScriptedPlugin("a", "b")
    async with managing(sockets, checkpoints=checkpoints) as manager:
        assert manager.fresh
        await plugin.serve(sockets)
        await manager.allocate(claim("pod"))
        before = manager.options("pod", "main")
    async with managing(sockets, plugin, checkpoints=checkpoints) as manager:
        assert not manager.fresh
        assert manager.options("pod", "main") == before
        # Zero until the plugin is back.
        assert manager.counts() == ({GPU: 0}, {GPU: 0})
        await register(sockets, GPU, "nvidia.com-gpu.sock")
        await settle()
        assert manager.counts() == ({GPU: 2}, {GPU: 2})
        await manager.allocate(claim("next"))
        assert {*held(manager, "pod"), *held(manager, "next")} == {"a", "b"}


async def test_a_registered_resource_is_remembered_over_a_restart(sockets: Sockets) -> None:
    checkpoints, plugin = MemoryCheckpoints(), ScriptedPlugin("a")
    async with managing(sockets, plugin, checkpoints=checkpoints):
        await plugin.serve(sockets)
    async with managing(sockets, checkpoints=checkpoints) as manager:
        assert manager.counts() == ({GPU: 0}, {GPU: 0})


@pytest.mark.parametrize(
    ("running", "complaint"),
    [(True, None), (False, "no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu")],
    ids=["a container that still runs has what it needs", "one that does not is refused"],
)
async def test_pods_found_after_a_restart_before_the_plugin_is_back(
    sockets: Sockets, running: bool, complaint: str | None
) -> None:
    checkpoints, plugin = MemoryCheckpoints(), ScriptedPlugin("a")
    async with managing(sockets, plugin, checkpoints=checkpoints) as manager:
        await plugin.serve(sockets)
        await manager.allocate(claim("pod"))
    async with managing(sockets, checkpoints=checkpoints) as manager:
        if complaint is None:
            await manager.allocate(claim("pod", running=running))
            assert held(manager, "pod") == ("a",)
        else:
            assert await refused(manager, claim("pod", running=running)) == complaint


@pytest.mark.parametrize(
    "damage",
    [
        {"podDeviceEntries": [{}]},
        {"registeredDevices": []},
        {"podDeviceEntries": None, "registeredDevices": []},
    ],
)
async def test_a_damaged_checkpoint_is_forgotten(damage: dict[str, object]) -> None:
    checkpoints = MemoryCheckpoints()
    checkpoints.save(DEVICES, damage)
    async with managing(MemorySockets(), checkpoints=checkpoints) as manager:
        assert manager.counts() == ({}, {})


async def test_an_allocation_that_cannot_be_recorded_is_refused(sockets: Sockets) -> None:
    class Full(MemoryCheckpoints):
        full = False

        def save(self, name: str, data: dict[str, object]) -> None:
            if self.full:
                raise CheckpointError("/state/devices.json: No space left on device")
            super().save(name, data)

    checkpoints, plugin = Full(), ScriptedPlugin("a")
    async with managing(sockets, plugin, checkpoints=checkpoints) as manager:
        await plugin.serve(sockets)
        checkpoints.full = True
        assert await refused(manager, claim("pod")) == (
            "failed to write checkpoint file: /state/devices.json: No space left on device"
        )
