"""The Node says what is on its bus, under the rights that the part has."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from aliquot.clock import VirtualClock
from aliquot.kube import roles
from aliquot.kube.api import pci_labels
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from aliquot.node.discovery.labeller import LOOK_S, Labeller
from aliquot.node.discovery.pci import BusUnreadable, PciDevice
from tests.emulator.api import MERGE, Api, on_virtual_time
from tests.node.machines import NODE, directly

GPU = PciDevice("0000:01:00.0", 0x10DE, 0x2330, 0x0302)
NODE_PATH = NODES.path(None, NODE)


@dataclass
class Bus:
    devices: list[PciDevice] = field(default_factory=list)
    fault: str = ""

    def read(self) -> list[PciDevice]:
        if self.fault:
            raise BusUnreadable(self.fault)
        return self.devices


@dataclass
class World:
    api: Api
    bus: Bus

    async def label(self) -> str | None:
        found = await self.api.ok("GET", NODE_PATH)
        label: str | None = found["metadata"].get("labels", {}).get(pci_labels.OURS)
        return label

    async def write_label(self, value: str | None) -> None:
        patch = {"metadata": {"labels": {pci_labels.OURS: value}}}
        await self.api.ok("PATCH", NODE_PATH, patch, type=MERGE)

    async def version(self) -> str:
        found = await self.api.ok("GET", NODE_PATH)
        return str(found["metadata"]["resourceVersion"])


def simulated(scenario: Callable[[World], Awaitable[None]], *devices: PciDevice) -> None:
    async def main(api: Api) -> None:
        admin = Client(
            AsgiTransport(api.server.app, "admin", ("system:masters",)),
            clock=VirtualClock(),
            rng=random.Random(0),
        )
        await roles.install(admin)
        await api.ok("POST", NODES.path(), {"metadata": {"name": NODE, "labels": {"zone": "a"}}})
        user = f"system:serviceaccount:{roles.NAMESPACE}:aliquot-discovery"
        client = Client(AsgiTransport(api.server.app, user), clock=VirtualClock(), rng=random.Random(1))
        bus = Bus(list(devices))
        labeller = Labeller(
            NODE, client=client, read_bus=bus.read, rng=random.Random(2), run_blocking=directly
        )
        task = asyncio.create_task(labeller.run())
        await asyncio.sleep(1)
        try:
            await scenario(World(api, bus))
        finally:
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled(), task.exception()

    on_virtual_time(main)


@pytest.mark.parametrize(("devices", "label"), [((GPU,), "true"), ((), None)], ids=["GPUs", "none"])
def test_it_is_told(devices: tuple[PciDevice, ...], label: str | None) -> None:
    async def scenario(world: World) -> None:
        assert await world.label() == label

    simulated(scenario, *devices)


def test_gpus_that_are_gone_are_gone_from_the_node() -> None:
    async def scenario(world: World) -> None:
        world.bus.devices.clear()
        await asyncio.sleep(LOOK_S)
        assert await world.label() is None
        found = await world.api.ok("GET", NODE_PATH)
        assert found["metadata"]["labels"] == {"zone": "a"}

    simulated(scenario, GPU)


@pytest.mark.parametrize("value", [None, "false"], ids=["taken away", "changed"])
def test_what_others_make_of_the_label_is_put_right(value: str | None) -> None:
    async def scenario(world: World) -> None:
        await world.write_label(value)
        await asyncio.sleep(LOOK_S)
        assert await world.label() == "true"

    simulated(scenario, GPU)


def test_a_label_of_an_earlier_machine_goes() -> None:
    async def scenario(world: World) -> None:
        await world.write_label("true")
        await asyncio.sleep(LOOK_S)
        assert await world.label() is None

    simulated(scenario)


def test_a_bus_that_cannot_be_read_says_nothing() -> None:
    async def scenario(world: World) -> None:
        world.bus.fault = "/sys: permission denied"
        await asyncio.sleep(10 * LOOK_S)
        assert await world.label() == "true"
        world.bus.fault = ""
        world.bus.devices.clear()
        await asyncio.sleep(LOOK_S)
        assert await world.label() is None

    simulated(scenario, GPU)


def test_an_hour_without_a_change_is_no_write() -> None:
    async def scenario(world: World) -> None:
        before = await world.version()
        await asyncio.sleep(3600)
        assert await world.version() == before

    simulated(scenario, GPU)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (pci_labels.OURS, True),
        ("feature.node.kubernetes.io/pci-0302_10de.present", True),
        ("feature.node.kubernetes.io/pci-0300_10de.present", True),
        ("feature.node.kubernetes.io/pci-10de.present", True),
        ("feature.node.kubernetes.io/pci-1002.present", False),
    ],
)
def test_nfds_labels_say_the_same(label: str, found: bool) -> None:
    assert pci_labels.has_gpus({label: "true"}) is found
    assert not pci_labels.has_gpus({label: "false"})
