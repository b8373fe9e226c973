"""Plugins stay known to kubelet, whatever happens to either side."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

import pytest

from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.node.assignments import Question
from aliquot.node.device_plugin import DevicePlugin
from aliquot.node.registration import Registrar
from tests.node.conftest import Kubelet, virtual

GPU, SEVENTH = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"


class NoPolicy:
    def prefer(self, question: Question) -> Sequence[str]:
        return ()

    def allocated(self, resource: str, device_ids: Sequence[str]) -> None:
        pass


class Stage:
    def __init__(self) -> None:
        self.sockets = MemorySockets()
        self.kubelet = Kubelet(self.sockets, MemorySockets())
        self.changes = 0
        self.registrar = Registrar(self.sockets, random.Random(0), self._changed)
        self.plugins = [DevicePlugin(name, NoPolicy(), self.registrar.wake) for name in (GPU, SEVENTH)]
        self.registrar.serve(self.plugins)

    def _changed(self) -> None:
        self.changes += 1


def play(scenario: Callable[[Stage], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        stage = Stage()
        task = asyncio.create_task(stage.registrar.run())
        try:
            await scenario(stage)
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await stage.kubelet.stop()
        assert stage.sockets.generation("aliquot-gpu.sock") is None, "its socket is gone"

    virtual(main())


def test_each_name_has_a_server_and_a_registration() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kubelet.start()
        await asyncio.sleep(2)
        assert stage.kubelet.registrations == [GPU, SEVENTH]
        assert stage.registrar.reasons() == {}
        assert [plugin.streams for plugin in stage.plugins] == [1, 1]

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
        assert [plugin.streams for plugin in stage.plugins] == [1, 1]

    play(scenario)


def test_a_refusal_is_tried_again_ever_more_rarely_and_can_be_read() -> None:
    async def scenario(stage: Stage) -> None:
        stage.kubelet.refusal = "the version\nis unknown"
        await stage.kubelet.start()
        await asyncio.sleep(5)
        assert stage.registrar.reasons()[GPU] == f"kubelet refuses {GPU}: UNKNOWN: the version is unknown"
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
