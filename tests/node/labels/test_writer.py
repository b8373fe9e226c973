"""The Node has the labels that the agent last found, and others keep theirs."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from aliquot.clock import VirtualClock
from aliquot.gpu.driver import DriverError, ReturnCode
from aliquot.kube.api.core import Node
from aliquot.kube.api.meta import ObjectMeta
from aliquot.node.advertise import Advertisement, advertise
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.labels.writer import TIMESTAMP, LabelWriter
from aliquot.node.plugin_config.settings import Settings
from tests.node.fake_api import Api
from tests.node.machines import NODE, directly, machine, virtual

COUNT = "nvidia.com/gpu.count"
MACHINE = "nvidia.com/gpu.machine"
START = 1_767_225_600


class Desk:
    """A writer with its API, and what an agent would tell it."""

    def __init__(self) -> None:
        self.api = Api()
        self.paths: list[str] = []
        """Of machine types that were read."""
        self.writer = self.new_writer()
        self.task: asyncio.Task[None] | None = None

    def new_writer(self) -> LabelWriter:
        return LabelWriter(
            NODE,
            client=self.api.client,
            nodes=self.api.node_feed(),
            clock=VirtualClock(),
            rng=random.Random(0),
            run_blocking=directly,
            read_machine_type=self._read,
        )

    def _read(self, path: str) -> str:
        self.paths.append(path)
        return "DGX"

    async def restart(self) -> None:
        await self.stop()
        self.writer = self.new_writer()
        self.start()

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.writer.run())

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait((self.task,))
        assert self.task.cancelled(), self.task.exception()

    def tell(self, gpus: str, settings: Settings | None = None) -> None:
        self.writer.look(*found(gpus), settings or Settings())

    def shown(self) -> dict[str, str]:
        return dict(self.api.node_objects.held[NODE].metadata.labels or {})

    def put_node(self, uid: str) -> None:
        self.api.node_objects.put(Node(metadata=ObjectMeta(name=NODE, uid=uid)))


def found(gpus: str) -> tuple[Snapshot, Advertisement]:
    snapshot = observe(machine(gpus)) if gpus else observe(machine("l4"))
    if not gpus:
        snapshot = replace(snapshot, gpus=())
    return snapshot, advertise(snapshot.gpus, Settings().mig_strategy)


def play(scenario: Callable[[Desk], Coroutine[Any, Any, None]], node: bool = True) -> None:
    async def main() -> None:
        desk = Desk()
        if node:
            desk.api.label(rack="r1")
        desk.start()
        try:
            await scenario(desk)
        finally:
            await desk.stop()

    virtual(main())


def test_what_does_not_change_is_written_once() -> None:
    async def scenario(desk: Desk) -> None:
        snapshot, advertisement = found("l4:2")
        for _ in range(600):
            desk.writer.look(snapshot, advertisement, Settings())
            await asyncio.sleep(1)
        assert len(desk.api.labelled) == 1
        assert desk.shown() == desk.api.labelled[0] | {"rack": "r1"}
        assert (desk.shown()[COUNT], desk.shown()[TIMESTAMP]) == ("2", str(START))

    play(scenario)


def test_a_look_that_comes_to_the_same_labels_writes_nothing() -> None:
    async def scenario(desk: Desk) -> None:
        for _ in range(5):
            desk.tell("l4:2")
            await asyncio.sleep(10)
        assert len(desk.api.labelled) == 1

    play(scenario)


def test_a_change_is_written_at_once_with_its_time() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("h100-80gb:2")
        await asyncio.sleep(100)
        desk.tell("l4:1")
        await asyncio.sleep(1)
        assert len(desk.api.labelled) == 2
        assert (desk.shown()[COUNT], desk.shown()[TIMESTAMP]) == ("1", str(START + 100))
        assert not [key for key in desk.shown() if "H100" in key]
        assert desk.shown()["rack"] == "r1"

    play(scenario)


def test_changes_that_come_together_are_written_together() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:1")
        await asyncio.sleep(0.05)
        for count in range(2, 7):
            desk.tell(f"l4:{count}")
        await asyncio.sleep(5)
        assert [labels[COUNT] for labels in desk.api.labelled] == ["1", "6"]

    play(scenario)


def test_without_gpus_the_labels_go() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(5)
        desk.tell("")
        await asyncio.sleep(5)
        assert desk.shown() == {"rack": "r1"}

    play(scenario)


def test_a_node_that_never_had_gpus_costs_no_write() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("")
        await asyncio.sleep(100)
        assert desk.api.labelled == []

    play(scenario)


def test_labels_of_an_earlier_agent_go_with_the_gpus() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(5)
        await desk.restart()
        desk.tell("")
        await asyncio.sleep(5)
        assert desk.shown() == {"rack": "r1"}

    play(scenario)


def test_while_the_driver_has_never_answered_nothing_is_touched() -> None:
    async def scenario(desk: Desk) -> None:
        failure = DriverError(ReturnCode.UNKNOWN, "no driver")
        desk.writer.look(Snapshot(failure=failure), Advertisement({}, {}, ()), Settings())
        await asyncio.sleep(100)
        assert desk.api.labelled == []

    play(scenario)


def test_an_api_that_is_away_is_asked_until_it_is_back() -> None:
    async def scenario(desk: Desk) -> None:
        desk.api.down = True
        desk.tell("l4:1")
        await asyncio.sleep(100)
        desk.tell("l4:2")
        desk.api.down = False
        await asyncio.sleep(60)
        assert [labels[COUNT] for labels in desk.api.labelled] == ["2"]

    play(scenario)


def test_a_new_agent_keeps_the_time_of_labels_that_are_still_true() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(100)
        await desk.restart()
        desk.tell("l4:2")
        await asyncio.sleep(5)
        assert desk.shown()[TIMESTAMP] == str(START)
        await desk.restart()
        desk.tell("l4:3")
        await asyncio.sleep(5)
        assert desk.shown()[TIMESTAMP] == str(START + 105)

    play(scenario)


def test_the_timestamp_can_be_left_out() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(5)
        desk.tell("l4:2", Settings(labels_timestamp=False))
        await asyncio.sleep(5)
        assert TIMESTAMP not in desk.shown()
        assert desk.shown()[COUNT] == "2"

    play(scenario)


def test_labels_that_somebody_changed_are_put_right() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(5)
        desk.api.label(**{COUNT: "7", "nvidia.com/gpu.family": None})
        await asyncio.sleep(60)
        assert (desk.shown()[COUNT], desk.shown()["nvidia.com/gpu.family"]) == ("2", "ada-lovelace")

    play(scenario)


def test_another_node_of_that_name_is_labelled_too() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(5)
        desk.put_node("another")
        await asyncio.sleep(2)
        assert desk.shown()[COUNT] == "2"

    play(scenario)


def test_no_node_is_made() -> None:
    async def scenario(desk: Desk) -> None:
        desk.tell("l4:2")
        await asyncio.sleep(100)
        assert desk.api.labelled == []
        desk.put_node("first")
        await asyncio.sleep(2)
        assert desk.shown()[COUNT] == "2"

    play(scenario, node=False)


def test_the_machine_is_asked_once_for_each_file() -> None:
    async def scenario(desk: Desk) -> None:
        for count in (1, 2):
            desk.tell(f"l4:{count}")
            await asyncio.sleep(5)
        desk.tell("l4", Settings(machine_type_file="/etc/machine"))
        await asyncio.sleep(5)
        assert desk.paths == ["/sys/class/dmi/id/product_name", "/etc/machine"]
        assert desk.shown()[MACHINE] == "DGX"

    play(scenario)
