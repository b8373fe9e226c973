"""What pods say of their last checkpoint: how it is read, and what is said of what cannot be."""

import asyncio
from math import inf
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.checkpoint import LAST
from aliquot.kube.api.core import Pod
from aliquot.scheduler.checkpoints import checkpoint_s, problem
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.pods import PodReader
from aliquot.scheduler.testing import node as facts
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until

NOW_S = 1_767_225_600.0


def says(text: str, name: str = "p") -> dict[str, Any]:
    made = pod(name, gpus=1, nodeName="a")
    made["metadata"] |= {"uid": "u", "annotations": {LAST: text}}
    return made


@pytest.mark.parametrize(
    ("text", "at_s", "wrong"),
    [
        ("", -inf, ""),
        ("2025-12-31T23:00:00Z", NOW_S - 3600, ""),
        ("2026-01-01T00:30:00.5+01:30", NOW_S - 3599.5, ""),
        ("2026-01-01T00:01:00Z", NOW_S + 60, ""),
        (
            "2026-01-01T00:01:01Z",
            NOW_S + 61,
            "2026-01-01T00:01:01Z is in the future, as it is 2026-01-01T00:00:00Z: set it once the work is written down",
        ),
        ("2025-12-31T23:00:00", -inf, "is no time: write one like 2026-01-01T00:00:00Z"),
        ("2025-12-31", -inf, "is no time: write one like 2026-01-01T00:00:00Z"),
        ("1767222000", -inf, "is no time: write one like 2026-01-01T00:00:00Z"),
        ("step 4000", -inf, "is no time: write one like 2026-01-01T00:00:00Z"),
    ],
)
def test_how_it_is_read(text: str, at_s: float, wrong: str) -> None:
    read = msgspec.convert(says(text), Pod)
    assert (checkpoint_s(read), PodReader().placed(read).checkpoint_s) == (at_s, at_s)
    told = problem(text, NOW_S) if text else ""
    assert told.endswith(wrong) if wrong else told == ""


def test_a_checkpoint_is_no_matter_of_nodes() -> None:
    snapshot, reader = Snapshot(), PodReader()
    snapshot.set_facts(facts("a", "whole", "whole"))
    empty = snapshot.nodes["a"].unasked
    snapshot.set_pod(reader.placed(msgspec.convert(says(""), Pod)))
    version, state = snapshot.version, snapshot.nodes["a"]
    assert state.unasked != empty
    snapshot.set_pod(reader.placed(msgspec.convert(says("2025-12-31T23:00:00Z"), Pod)))
    assert (snapshot.version, snapshot.nodes["a"]) == (version, state)
    (seen,) = snapshot.pods_on("a").values()
    assert (seen, seen.checkpoint_s) == (snapshot.pods["default/p"], NOW_S - 3600)
    snapshot.remove_pod("default/p")
    assert snapshot.nodes["a"].unasked == empty


def test_one_that_counts_as_none_is_told_once() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("pods", says("step 4000"))
        async with running(scheduler(world)):
            await until(lambda: len(api.events("CheckpointIgnored")) == 1, 10)
            # Another change of the pod is no other word.
            api.update("pods", "default/p", lambda obj: obj["status"].update(phase="Running"))
            await asyncio.sleep(60)
            (event,) = api.objects["events"].values()
            assert (event["count"], event["message"]) == (
                1,
                f"the annotation {LAST} counts as none: 'step 4000' is no time: "
                "write one like 2026-01-01T00:00:00Z",
            )
            api.update(
                "pods",
                "default/p",
                lambda obj: obj["metadata"]["annotations"].update({LAST: "2026-01-01T09:00:00Z"}),
            )
            await until(lambda: len(api.events("CheckpointIgnored")) == 2, 10)

    simulate(scenario)
