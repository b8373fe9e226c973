"""One set of expectations for both kinds of sockets: what passes in memory must pass over a real unix socket."""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    AllocateResponse,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    Device,
    Empty,
    ListAndWatchResponse,
    RegisterRequest,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginServicer,
    RegistrationServicer,
    add_DevicePluginServicer_to_server,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import MemorySockets, Service, SocketDirectory, SocketError, Sockets


class Plugin(DevicePluginServicer):
    """Answers every request with its ids; one named "slow" only after it is let go."""

    def __init__(self) -> None:
        self.updates: asyncio.Queue[str] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.stream_ended = asyncio.Event()

    async def ListAndWatch(self, request: Empty, context: Context) -> AsyncIterator[ListAndWatchResponse]:
        try:
            while True:
                yield ListAndWatchResponse(devices=[Device(ID=await self.updates.get(), health="Healthy")])
        finally:
            self.stream_ended.set()

    async def Allocate(self, request: AllocateRequest, context: Context) -> AllocateResponse:
        (wanted,) = request.container_requests
        if "unknown" in wanted.devices_ids:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no device 'unknown'")
        if "broken" in wanted.devices_ids:
            raise ValueError("boom")
        if "slow" in wanted.devices_ids:
            await self.let_go.wait()
        answer = ContainerAllocateResponse(envs={"IDS": ",".join(wanted.devices_ids)})
        return AllocateResponse(container_responses=[answer])


class Kubelet(RegistrationServicer):
    async def Register(self, request: RegisterRequest, context: Context) -> Empty:
        return Empty()


def service(plugin: Plugin) -> Service:
    return Service(plugin, add_DevicePluginServicer_to_server)


def allocate(*ids: str) -> AllocateRequest:
    return AllocateRequest(container_requests=[ContainerAllocateRequest(devices_ids=ids)])


@pytest.fixture(params=["directory", "memory"])
def sockets(request: pytest.FixtureRequest, tmp_path: Path) -> Sockets:
    return SocketDirectory(tmp_path) if request.param == "directory" else MemorySockets()


async def test_a_call_is_answered(sockets: Sockets) -> None:
    listener = await sockets.serve("p.sock", service(Plugin()))
    connection = sockets.connect("p.sock")
    answer = await connection.device_plugin.Allocate(allocate("a", "b"), timeout=5)
    assert dict(answer.container_responses[0].envs) == {"IDS": "a,b"}
    await connection.close()
    await listener.close()


@pytest.mark.parametrize(
    ("ids", "code", "details"),
    [
        (("unknown",), grpc.StatusCode.NOT_FOUND, "no device 'unknown'"),
        (("broken",), grpc.StatusCode.UNKNOWN, "Unexpected <class 'ValueError'>: boom"),
    ],
)
async def test_a_refusal_reaches_the_caller(
    sockets: Sockets, ids: tuple[str, ...], code: grpc.StatusCode, details: str
) -> None:
    listener = await sockets.serve("p.sock", service(Plugin()))
    connection = sockets.connect("p.sock")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connection.device_plugin.Allocate(allocate(*ids), timeout=5)
    assert (caught.value.code(), caught.value.details()) == (code, details)
    await connection.close()
    await listener.close()


async def test_a_missing_method_is_unimplemented(sockets: Sockets) -> None:
    listener = await sockets.serve("p.sock", Service(Kubelet(), add_RegistrationServicer_to_server))
    connection = sockets.connect("p.sock")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connection.device_plugin.Allocate(allocate("a"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await connection.close()
    await listener.close()


async def test_an_absent_server_is_unavailable(sockets: Sockets) -> None:
    connection = sockets.connect("nobody.sock")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connection.registration.Register(RegisterRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await connection.close()


async def test_a_late_answer_is_a_missed_deadline(sockets: Sockets) -> None:
    listener = await sockets.serve("p.sock", service(Plugin()))
    connection = sockets.connect("p.sock")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connection.device_plugin.Allocate(allocate("slow"), timeout=0.05)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await connection.close()
    await listener.close()


async def test_a_stream_delivers_every_message_in_order(sockets: Sockets) -> None:
    plugin = Plugin()
    listener = await sockets.serve("p.sock", service(plugin))
    connection = sockets.connect("p.sock")
    stream = connection.device_plugin.ListAndWatch(Empty())
    sent = [str(number) for number in range(50)]
    for name in sent:
        plugin.updates.put_nowait(name)
    received = []
    async for message in stream:
        received.append(message.devices[0].ID)
        if len(received) == len(sent):
            break
    assert received == sent
    stream.cancel()
    await connection.close()
    await listener.close()


async def test_closing_the_server_ends_its_streams_quietly(
    sockets: Sockets, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin()
    listener = await sockets.serve("p.sock", service(plugin))
    connection = sockets.connect("p.sock")
    stream = connection.device_plugin.ListAndWatch(Empty())
    plugin.updates.put_nowait("a")
    messages = aiter(stream)
    await anext(messages)
    await listener.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert plugin.stream_ended.is_set()
    await connection.close()
    assert "Traceback" not in capfd.readouterr().err
    assert caplog.text == ""


async def test_cancelling_a_stream_ends_the_servers_side_of_it(sockets: Sockets) -> None:
    plugin = Plugin()
    listener = await sockets.serve("p.sock", service(plugin))
    connection = sockets.connect("p.sock")
    stream = connection.device_plugin.ListAndWatch(Empty())
    plugin.updates.put_nowait("a")
    await anext(aiter(stream))
    assert stream.cancel()
    await asyncio.wait_for(plugin.stream_ended.wait(), 5)
    await connection.close()
    await listener.close()


async def test_a_cancelled_reader_ends_the_servers_side_of_its_stream(sockets: Sockets) -> None:
    plugin = Plugin()
    listener = await sockets.serve("p.sock", service(plugin))
    connection = sockets.connect("p.sock")
    plugin.updates.put_nowait("a")
    seen = asyncio.Event()

    async def read() -> None:
        async for _ in connection.device_plugin.ListAndWatch(Empty()):
            seen.set()

    reader = asyncio.create_task(read())
    await asyncio.wait_for(seen.wait(), 5)
    reader.cancel()
    await asyncio.wait((reader,))
    assert reader.cancelled()
    await asyncio.wait_for(plugin.stream_ended.wait(), 5)
    await connection.close()
    await listener.close()


async def test_generation_changes_when_a_server_comes_back(sockets: Sockets) -> None:
    assert sockets.generation("p.sock") is None
    listener = await sockets.serve("p.sock", service(Plugin()))
    first = sockets.generation("p.sock")
    assert first is not None
    await listener.close()
    assert sockets.generation("p.sock") is None
    listener = await sockets.serve("p.sock", service(Plugin()))
    assert sockets.generation("p.sock") not in (None, first)
    await listener.close()


async def test_an_open_connection_finds_the_server_that_came_back(sockets: Sockets) -> None:
    connection = sockets.connect("p.sock")
    for _ in range(2):
        listener = await sockets.serve("p.sock", service(Plugin()))
        async with asyncio.timeout(10):
            while True:
                try:
                    await connection.device_plugin.Allocate(allocate("a"), timeout=5)
                    break
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
                    await asyncio.sleep(0.05)
        await listener.close()
    await connection.close()


async def test_closing_twice_is_harmless(sockets: Sockets) -> None:
    listener = await sockets.serve("p.sock", service(Plugin()))
    await listener.close()
    await listener.close()


async def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "p.sock"))
    dead.close()
    sockets = SocketDirectory(tmp_path)
    listener = await sockets.serve("p.sock", service(Plugin()))
    connection = sockets.connect("p.sock")
    await connection.device_plugin.Allocate(allocate("a"), timeout=5)
    await connection.close()
    await listener.close()


async def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "p.sock").write_text("precious")
    with pytest.raises(SocketError, match=r"p\.sock: exists and is no socket$"):
        await SocketDirectory(tmp_path).serve("p.sock", service(Plugin()))
    assert (tmp_path / "p.sock").read_text() == "precious"


async def test_a_path_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(SocketError, match="at most 107: use a directory with a shorter path"):
        await SocketDirectory(deep).serve("p.sock", service(Plugin()))


async def test_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="absent: no such directory"):
        await SocketDirectory(tmp_path / "absent").serve("p.sock", service(Plugin()))


@pytest.mark.parametrize("name", ["../p.sock", "a/b", "..", "/p.sock"])
def test_a_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(SocketError, match="is no file name"):
        SocketDirectory(tmp_path).connect(name)


async def test_drop_cuts_what_is_open_and_hides_the_server() -> None:
    sockets, plugin = MemorySockets(), Plugin()
    listener = await sockets.serve("p.sock", service(plugin))
    connection = sockets.connect("p.sock")
    messages = aiter(connection.device_plugin.ListAndWatch(Empty()))
    plugin.updates.put_nowait("a")
    await anext(messages)

    async def call() -> None:
        await connection.device_plugin.Allocate(allocate("slow"), timeout=5)

    waiting = asyncio.create_task(call())
    await asyncio.sleep(0)
    sockets.drop("p.sock")
    for awaitable in (anext(messages), waiting, call()):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await awaitable
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert sockets.generation("p.sock") is None
    await listener.close()


async def test_closing_a_dropped_server_leaves_its_successor_alone() -> None:
    sockets = MemorySockets()
    old = await sockets.serve("p.sock", service(Plugin()))
    sockets.drop("p.sock")
    new = await sockets.serve("p.sock", service(Plugin()))
    await old.close()
    assert sockets.generation("p.sock") is not None
    await new.close()


def test_memory_sockets_run_on_virtual_time() -> None:
    async def scenario() -> str:
        sockets, plugin = MemorySockets(), Plugin()
        listener = await sockets.serve("p.sock", service(plugin))
        connection = sockets.connect("p.sock")
        asyncio.get_running_loop().call_later(3600, plugin.let_go.set)
        with pytest.raises(grpc.aio.AioRpcError):
            await connection.device_plugin.Allocate(allocate("slow"), timeout=1800)
        answer = await connection.device_plugin.Allocate(allocate("slow"), timeout=3600)
        await connection.close()
        await listener.close()
        return answer.container_responses[0].envs["IDS"]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(scenario()) == "slow"


def test_kubelets_method_paths_are_kept() -> None:
    registration = Service(Kubelet(), add_RegistrationServicer_to_server).methods()
    plugin = Service(Plugin(), add_DevicePluginServicer_to_server).methods()
    assert list(registration) == ["v1beta1.Registration"]
    assert sorted(plugin["v1beta1.DevicePlugin"]) == [
        "Allocate",
        "GetDevicePluginOptions",
        "GetPreferredAllocation",
        "ListAndWatch",
        "PreStartContainer",
    ]
