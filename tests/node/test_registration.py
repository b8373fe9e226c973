"""Plugins stay known to kubelet, whatever happens to either side."""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

import grpc
import pytest
from structlog.testing import capture_logs

from aliquot.kube.kubeletapi.deviceplugin_pb2 import ContainerAllocateResponse, DevicePluginOptions, Empty
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.node.allocation import Given
from aliquot.node.assignments import Question
from aliquot.node.device_plugin import DevicePlugin
from aliquot.node.registration import Registrar
from tests.node.kubelet import Kubelet
from tests.node.machines import virtual

GPU, SEVENTH = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"


class NoPolicy:
    def prefer(self, question: Question) -> Sequence[str]:
        return ()

    def allocate(self, resource: str, ids: Sequence[str], given: Given) -> ContainerAllocateResponse:
        return ContainerAllocateResponse()


class PrivatePlugin(DevicePlugin):
    """As of another vendor: the same resource on a socket of its own."""

    @property
    def endpoint(self) -> str:
        return f"other-{super().endpoint}"


class Hanging(DevicePlugin):
    async def GetDevicePluginOptions(self, request: Empty, context: Context) -> DevicePluginOptions:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "connection refused")


class Party:
    """One registrar with its plugins."""

    def __init__(
        self,
        sockets: MemorySockets,
        names: Sequence[str] = (GPU, SEVENTH),
        kind: type[DevicePlugin] = DevicePlugin,
    ) -> None:
        self.changes = 0
        self.registrar = Registrar(sockets, random.Random(0), self._changed)
        self.plugins = [kind(name, NoPolicy(), self.registrar.wake) for name in names]
        self.registrar.serve(self.plugins)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def streams(self) -> list[int]:
        return [plugin.streams for plugin in self.plugins]

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.registrar.run())


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


class Stage(Party):
    def __init__(self) -> None:
        self.sockets = MemorySockets()
        self.kubelet = Kubelet(self.sockets, MemorySockets())
        super().__init__(self.sockets)


def play(scenario: Callable[[Stage], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        stage = Stage()
        task = stage.start()
        try:
            await scenario(stage)
        finally:
            await ended(task)
            await stage.kubelet.stop()
        assert stage.sockets.generation("aliquot-gpu.sock") is None, "its socket is gone"

    virtual(main())


def test_each_name_has_a_server_and_a_registration() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        assert stage.kubelet.registrations == [GPU, SEVENTH]
        assert stage.registrar.reasons() == {}
        assert stage.streams == [1, 1]

    play(scenario)


def test_what_is_registered_is_left_in_peace() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(3600)
        assert stage.kubelet.registrations == [GPU, SEVENTH]

    play(scenario)


def test_a_kubelet_that_comes_late_is_found_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.sleep(600)
        assert stage.registrar.reasons()[GPU] == (
            "kubelet.sock is absent: kubelet does not run, or its directory is another one"
        )
        await stage.kubelet.start()
        await asyncio.sleep(1.1)
        assert stage.kubelet.registrations == [GPU, SEVENTH]

    play(scenario)


def test_a_kubelet_of_another_generation_is_told_everything_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        await stage.kubelet.restart()
        await asyncio.sleep(2)
        assert stage.kubelet.registrations == [GPU, SEVENTH] * 2
        assert stage.streams == [1, 1]

    play(scenario)


def test_a_refusal_is_tried_again_ever_more_rarely_and_can_be_read() -> None:
    async def scenario(stage: Stage) -> None:
        stage.kubelet.refusal = "the version\nis unknown"
        await stage.kubelet.start()
        await asyncio.sleep(5)
        assert stage.registrar.reasons()[GPU] == "kubelet refuses it: UNKNOWN: the version is unknown"
        stage.kubelet.refusal = ""
        await asyncio.sleep(20)
        assert stage.registrar.reasons() == {}

    play(scenario)


def test_a_kubelet_that_stops_watching_is_registered_with_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        await stage.kubelet.forget(GPU)
        await asyncio.sleep(15)
        assert stage.kubelet.registrations == [GPU, SEVENTH, GPU]

    play(scenario)


@pytest.mark.parametrize("endpoint", ["aliquot-gpu.sock", "aliquot-mig-1g.10gb.sock"])
def test_a_socket_that_vanishes_is_served_anew(endpoint: str) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        stage.sockets.drop(endpoint)
        await asyncio.sleep(2)
        assert stage.sockets.generation(endpoint) is not None
        assert stage.registrar.reasons() == {}
        assert len(stage.kubelet.registrations) == 3

    play(scenario)


def test_a_change_of_reason_is_told() -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.sleep(5)
        before = stage.changes
        await asyncio.sleep(600)
        assert stage.changes == before
        await stage.kubelet.start()
        await asyncio.sleep(2)
        assert stage.changes == before + 2

    play(scenario)


# --- others who want the same names ---

RIVAL = "another process serves aliquot-gpu.sock: let only one agent run on this node"


def test_a_second_agent_stands_back_with_all_names_until_the_first_is_gone() -> None:
    async def main() -> None:
        sockets = MemorySockets()
        kubelet = Kubelet(sockets, MemorySockets())
        await kubelet.start()
        first, second = Party(sockets), Party(sockets)
        of_first = first.start()
        await asyncio.sleep(2)
        with capture_logs() as lines:
            of_second = second.start()
            await asyncio.sleep(3600)
        assert kubelet.registrations == [GPU, SEVENTH]
        assert (first.streams, second.streams) == ([1, 1], [0, 0])
        assert (first.registrar.is_alone, second.registrar.is_alone) == (True, False)
        assert second.registrar.reasons() == {GPU: RIVAL, SEVENTH: RIVAL}
        assert [line["reason"] for line in lines if line["log_level"] == "warning"] == [RIVAL]
        await ended(of_first)
        await asyncio.sleep(2)
        assert second.streams == [1, 1]
        assert second.registrar.is_alone
        assert second.registrar.reasons() == {}
        await ended(of_second)
        await kubelet.stop()

    virtual(main())


def test_of_two_that_start_together_one_serves() -> None:
    async def main() -> None:
        sockets = MemorySockets()
        kubelet = Kubelet(sockets, MemorySockets())
        await kubelet.start()
        parties = [Party(sockets), Party(sockets)]
        tasks = [party.start() for party in parties]
        await asyncio.sleep(600)
        assert sorted(party.streams for party in parties) == [[0, 0], [1, 1]]
        assert kubelet.registrations == [GPU, SEVENTH]
        for task in tasks:
            await ended(task)
        await kubelet.stop()

    virtual(main())


def test_whose_socket_was_replaced_by_one_that_answers_stands_back() -> None:
    """It slept for a while, and another took its place."""

    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        other = DevicePlugin(GPU, NoPolicy(), lambda: None)
        listener = await stage.sockets.serve("aliquot-gpu.sock", other.service())
        await asyncio.sleep(600)
        assert stage.kubelet.registrations == [GPU, SEVENTH]
        assert stage.registrar.reasons() == {GPU: RIVAL, SEVENTH: RIVAL}
        assert stage.sockets.generation("aliquot-mig-1g.10gb.sock") is None
        await listener.close()
        await asyncio.sleep(2)
        assert stage.streams == [1, 1]

    play(scenario)


def test_a_socket_that_nobody_answers_on_is_taken_over_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.sockets.serve("aliquot-gpu.sock", Hanging(GPU, NoPolicy(), lambda: None).service())
        await stage.kubelet.start()
        await asyncio.sleep(2)
        assert stage.streams == [1, 1]

    play(scenario)


def test_a_name_that_another_plugin_insists_on_is_registered_ever_more_rarely() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        insisting = Party(stage.sockets, [GPU], PrivatePlugin)
        task = insisting.start()
        await asyncio.sleep(600)
        before = len(stage.kubelet.registrations)
        with capture_logs() as lines:
            await asyncio.sleep(3600)
        assert len(stage.kubelet.registrations) - before <= 2 * 3600 / 24, (
            "24 s: the longest wait, less its spread"
        )
        assert [line for line in lines if line["log_level"] == "warning"] == []
        watched = {party.streams[0] for party in (stage, insisting)}
        loser = stage if stage.streams[0] == 0 else insisting
        assert watched == {0, 1}
        assert loser.registrar.reasons()[GPU] == (
            "kubelet does not keep it: if another device plugin registers the same resource, "
            "let only one of them run on this node"
        )
        assert stage.registrar.is_alone
        assert stage.streams[1] == 1
        await ended(task)
        await asyncio.sleep(60)
        assert stage.registrar.reasons() == {}

    play(scenario)


# --- what is worth a line ---


@pytest.mark.parametrize(
    ("late_s", "told"),
    [
        (0.5, ["known to kubelet"]),
        (5.0, ["not known to kubelet", "known to kubelet"]),
    ],
)
def test_only_a_kubelet_that_stays_away_is_worth_a_warning(late_s: float, told: list[str]) -> None:
    async def scenario(stage: Stage) -> None:
        with capture_logs() as lines:
            await asyncio.sleep(late_s)
            await stage.kubelet.start()
            await asyncio.sleep(5)
        shown = [line for line in lines if line["log_level"] != "debug"]
        assert [line["event"] for line in shown] == told
        assert all(line["resources"] == f"{GPU} and 1 more" for line in shown[:-1])

    play(scenario)
