"""GPUNode in the API follows what the agent says, and nothing else is written."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from msgspec.structs import replace

from aliquot.kube.api.gpunode import GPUNode, GPUNodeStatus
from aliquot.kube.api.meta import Condition
from aliquot.node.gpunode_writer import GPUNodeWriter
from tests.node.fake_api import Api
from tests.node.machines import NODE, virtual

ONE, TWO = GPUNodeStatus(driver_version="1"), GPUNodeStatus(driver_version="2")


def play(scenario: Callable[[Api, GPUNodeWriter], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        api = Api()
        writer = GPUNodeWriter(NODE, api.client, api.gpu_node_feed(), random.Random(0))
        task = asyncio.create_task(writer.run())
        try:
            await scenario(api, writer)
        finally:
            task.cancel()
            await asyncio.wait((task,))

    virtual(main())


def writer_sees(writer: GPUNodeWriter, gpu_node: GPUNode) -> None:
    """That, whatever there is."""
    writer._current = lambda: gpu_node  # type: ignore[method-assign]


def writes(api: Api) -> list[str]:
    return [kind for kind, _ in api.written]


def test_a_missing_object_is_created_with_its_owner() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(1)
        assert writes(api) == ["apply", "status"]
        assert api.written[0][1]["metadata"] == {
            "name": NODE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": "node-uid"}],
            "generation": 1,
            "uid": "uid-1",
        }
        assert api.gpu_node.status == ONE

    play(scenario)


def test_the_object_can_be_there_before_anything_is_known() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        await asyncio.sleep(1)
        assert writes(api) == []
        writer.begin()
        await asyncio.sleep(1)
        assert writes(api) == ["apply"]
        writer.submit(ONE)
        await asyncio.sleep(1)
        assert writes(api) == ["apply", "status"]

    play(scenario)


def test_an_object_that_a_user_made_first_gets_its_owner() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        api.want()
        writer.submit(ONE)
        await asyncio.sleep(1)
        assert [owner.uid for owner in api.gpu_node.metadata.owner_references or ()] == ["node-uid"]

    play(scenario)


def test_a_field_that_is_empty_now_is_emptied() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(1)
        writer.submit(GPUNodeStatus())
        await asyncio.sleep(1)
        assert api.gpu_node.status == GPUNodeStatus()

    play(scenario)


def test_the_same_status_is_written_once() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        for _ in range(3):
            writer.submit(msgspec.structs.replace(ONE))
            await asyncio.sleep(60)
        assert writes(api) == ["apply", "status"]

    play(scenario)


def test_changes_in_quick_succession_are_written_together() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(1)
        for number in range(10):
            writer.submit(GPUNodeStatus(driver_version=str(number)))
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        assert len(api.written) <= 4
        assert api.gpu_node.status.driver_version == "9"

    play(scenario)


def test_an_api_that_is_away_gets_the_latest_when_it_is_back() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        api.down = True
        writer.submit(ONE)
        await asyncio.sleep(60)
        assert writer.failure == "no answer"
        writer.submit(TWO)
        api.down = False
        await asyncio.sleep(60)
        assert writer.failure == ""
        assert api.gpu_node.status == TWO

    play(scenario)


def test_a_node_that_is_not_there_yet_is_waited_for() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        nodes = api.nodes.copy()
        api.nodes.clear()
        writer.submit(ONE)
        await asyncio.sleep(30)
        assert (writer.failure, api.written) == (f'nodes "{NODE}" not found', [])
        api.nodes.update(nodes)
        await asyncio.sleep(60)
        assert api.gpu_node.status == ONE

    play(scenario)


def test_a_deleted_object_is_made_again_at_once() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(10)
        api.gpu_nodes.remove(NODE)
        await asyncio.sleep(0.5)
        assert api.gpu_node.status == ONE

    play(scenario)


def test_what_somebody_else_wrote_into_the_status_is_put_right() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(10)
        api.gpu_nodes.put(msgspec.structs.replace(api.gpu_node, status=TWO))
        await asyncio.sleep(60)
        assert api.gpu_node.status == ONE

    play(scenario)


CHECKED = Condition(
    type="ChecksPassed", status="True", reason="Passed", last_transition_time="2026-01-01T00:00:00Z"
)
READY = Condition(type="Ready", status="True", reason="Ready")
NOT_READY = Condition(type="Ready", status="False", reason="AgentStopped")


def told_by_somebody(api: Api, *conditions: Condition, version: str = "") -> None:
    """Beside what is there; `version`: of the object then."""
    old = api.gpu_node
    status = replace(old.status, conditions=[*old.status.conditions, *conditions])
    metadata = replace(old.metadata, resource_version=version or old.metadata.resource_version)
    api.gpu_nodes.put(replace(old, metadata=metadata, status=status))


def test_conditions_of_others_stay() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(replace(ONE, conditions=[READY]))
        await asyncio.sleep(1)
        told_by_somebody(api, CHECKED)
        writer.submit(replace(TWO, conditions=[READY]))
        await asyncio.sleep(1)
        assert api.gpu_node.status == replace(TWO, conditions=[READY, CHECKED])
        writer.submit(replace(TWO, conditions=[NOT_READY]))
        await asyncio.sleep(1)
        assert api.gpu_node.status.conditions == [NOT_READY, CHECKED]
        await writer.write_last(replace(ONE, conditions=[READY]))
        assert api.gpu_node.status.conditions == [READY, CHECKED]

    play(scenario)


def test_what_others_tell_is_no_reason_to_write() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(replace(ONE, conditions=[READY]))
        await asyncio.sleep(1)
        told_by_somebody(api, CHECKED)
        before = len(api.written)
        await asyncio.sleep(600)
        assert len(api.written) == before

    play(scenario)


def test_a_condition_that_was_told_in_the_same_moment_stays() -> None:
    """The cache does not have it yet."""

    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(replace(ONE, conditions=[READY]))
        await asyncio.sleep(1)
        told_by_somebody(api, version="7")
        seen = api.gpu_node
        writer_sees(writer, seen)
        told_by_somebody(api, CHECKED, version="8")
        writer.submit(replace(ONE, conditions=[NOT_READY]))
        await asyncio.sleep(1)
        assert api.gpu_node.status.conditions == [NOT_READY, CHECKED]

    play(scenario)


def test_nothing_is_written_before_it_is_known_what_there_is() -> None:
    async def scenario(api: Api, writer: GPUNodeWriter) -> None:
        writer.submit(ONE)
        await asyncio.sleep(10)
        assert api.written == []
        api.gpu_nodes.is_synced = True
        await asyncio.sleep(1)
        assert api.gpu_node.status == ONE

    async def unsynced() -> None:
        api = Api()
        api.gpu_nodes.is_synced = False
        writer = GPUNodeWriter(NODE, api.client, api.gpu_node_feed(), random.Random(0))
        task = asyncio.create_task(writer.run())
        await scenario(api, writer)
        task.cancel()
        await asyncio.wait((task,))

    virtual(unsynced())
