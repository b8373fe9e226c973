"""The protocol over real unix sockets, with a kubelet that follows a script."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from aliquot.gpu.driver import Placement
from aliquot.kube.kubeletapi.deviceplugin_pb2 import ContainerAllocateResponse, Empty
from aliquot.kube.kubeletapi.sockets import SocketDirectory
from aliquot.node.advertise import Device, Slice
from aliquot.node.allocation import Given, answer
from aliquot.node.assignments import Question
from aliquot.node.device_plugin import DevicePlugin, Offer
from aliquot.node.plugin_config.settings import Settings
from aliquot.node.registration import Registrar
from tests.node.kubelet import Kubelet, Refused

GPU = "nvidia.com/gpu"
DEVICES = [Device(f"GPU-{i}", GPU, f"GPU-{i}", i, i, numa_node=i // 2) for i in range(4)]


def offer(device: Device, fault: str = "", closed: bool = False, files: tuple[str, ...] = ()) -> Offer:
    return Offer(device.id, device, fault, closed, files)


class LastFirst:
    """Prefers from the end, and remembers what was allocated."""

    def __init__(self) -> None:
        self.given: list[tuple[str, tuple[str, ...]]] = []
        self.questions: list[Question] = []

    def prefer(self, question: Question) -> Sequence[str]:
        self.questions.append(question)
        return sorted(question.available)[-question.size :]

    def allocate(self, resource: str, ids: Sequence[str], given: Given) -> ContainerAllocateResponse:
        self.given.append((resource, tuple(ids)))
        return answer(given, Settings(), lambda: "1")


class Stage:
    def __init__(self, directory: Path) -> None:
        plugins, pod_resources = directory / "device-plugins", directory / "pod-resources"
        plugins.mkdir()
        pod_resources.mkdir()
        self.sockets = SocketDirectory(plugins)
        self.kubelet = Kubelet(self.sockets, SocketDirectory(pod_resources))
        self.policy = LastFirst()
        self.registrar = Registrar(self.sockets, random.Random(0), lambda: None)
        self.plugin = DevicePlugin(GPU, self.policy, self.registrar.wake)
        self.registrar.serve([self.plugin])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the kubelet is another party
                await asyncio.sleep(0.01)

    async def offered(self, expected: dict[str, bool]) -> None:
        await self.until(lambda: self.kubelet.offered.get(GPU) == expected)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    made.plugin.offer([offer(device) for device in DEVICES[:2]])
    await made.kubelet.start()
    task = asyncio.create_task(made.registrar.run())
    await made.offered({"GPU-0": True, "GPU-1": True})
    yield made
    task.cancel()
    await asyncio.wait((task,))
    await made.kubelet.stop()


async def test_every_change_reaches_the_open_stream(stage: Stage) -> None:
    stage.plugin.offer([offer(DEVICES[0], "sick", True), offer(DEVICES[2])])
    await stage.offered({"GPU-0": False, "GPU-2": True})
    stage.plugin.offer([])
    await stage.offered({})
    assert stage.kubelet.registrations == [GPU]


async def test_what_kubelet_cannot_see_is_not_sent(stage: Stage) -> None:
    before = len(stage.kubelet.updates[GPU])
    stage.plugin.offer([offer(device, files=("/dev/nvidia0",)) for device in DEVICES[:2]])
    stage.plugin.offer([offer(device) for device in DEVICES[:3]])
    await stage.offered({"GPU-0": True, "GPU-1": True, "GPU-2": True})
    assert len(stage.kubelet.updates[GPU]) == before + 1


async def test_a_device_names_its_numa_node(stage: Stage) -> None:
    connection = stage.sockets.connect("aliquot-gpu.sock")
    stream = connection.device_plugin.ListAndWatch(Empty())
    message = await anext(aiter(stream))
    assert [device.topology.nodes[0].ID for device in message.devices] == [0, 0]
    stream.cancel()
    await connection.close()


async def test_the_options_say_that_a_preference_can_be_asked(stage: Stage) -> None:
    connection = stage.sockets.connect("aliquot-gpu.sock")
    options = await connection.device_plugin.GetDevicePluginOptions(Empty(), timeout=5)
    assert (options.get_preferred_allocation_available, options.pre_start_required) == (True, False)
    await connection.close()


async def test_the_preference_is_the_policy_s(stage: Stage) -> None:
    assert await stage.kubelet.admit("train", GPU) == ("GPU-1",)
    assert stage.policy.questions == [Question(GPU, ("GPU-0", "GPU-1"), (), 1)]
    assert stage.policy.given == [(GPU, ("GPU-1",))]


async def test_allocate_answers_environment_and_device_nodes_once_each(stage: Stage) -> None:
    stage.plugin.offer(
        [offer(device, files=("/dev/nvidiactl", f"/dev/nvidia{device.gpu_minor}")) for device in DEVICES[:2]]
    )
    answer = await stage.kubelet.allocate(GPU, ["GPU-0", "GPU-1"])
    assert answer.envs["NVIDIA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"
    assert [(d.container_path, d.host_path, d.permissions) for d in answer.devices] == [
        (path, path, "rw") for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia1")
    ]


async def test_an_unhealthy_device_is_refused_with_its_fault(stage: Stage) -> None:
    stage.plugin.offer([offer(DEVICES[0], "XID 79: the GPU has fallen off the bus", closed=True)])
    with pytest.raises(
        Refused, match=r"FAILED_PRECONDITION: nvidia.com/gpu GPU-0 cannot be allocated: XID 79"
    ):
        await stage.kubelet.allocate(GPU, ["GPU-0"])
    assert stage.policy.given == []


async def test_a_device_on_its_way_out_is_still_given(stage: Stage) -> None:
    stage.plugin.offer([offer(DEVICES[0], "it is about to be taken away")])
    await stage.kubelet.allocate(GPU, ["GPU-0"])
    assert stage.policy.given == [(GPU, ("GPU-0",))]


async def test_one_bad_device_refuses_the_whole_request(stage: Stage) -> None:
    with pytest.raises(Refused, match="no device GPU-9"):
        await stage.kubelet.allocate(GPU, ["GPU-0", "GPU-9"])
    assert stage.policy.given == []


async def test_a_restarted_kubelet_is_registered_with_over_its_new_socket(stage: Stage) -> None:
    await stage.kubelet.restart()
    await stage.until(lambda: len(stage.kubelet.registrations) == 2)
    await stage.offered({"GPU-0": True, "GPU-1": True})


async def test_a_socket_that_somebody_removed_comes_back(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "device-plugins/aliquot-gpu.sock").unlink()
    await stage.until(lambda: len(stage.kubelet.registrations) == 2)
    await stage.kubelet.allocate(GPU, ["GPU-0"])


def test_the_order_of_devices_is_by_gpu_and_slot() -> None:
    parts = [
        Device("m", "r", "g", 1, 1, slice=Slice("1g.10gb", Placement(start, 1), start, 0)) for start in (2, 0)
    ]
    assert sorted([*parts, DEVICES[3]], key=lambda d: d.order) == [parts[1], parts[0], DEVICES[3]]
