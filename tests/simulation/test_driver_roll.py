"""A driver is rolled over a few nodes in a storm; `make soak` does it over a hundred, with many more seeds."""

import asyncio
import os
import subprocess
import sys

import msgspec
import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.kube.api.core import Node
from aliquot.operator.core.upgrade.states import STATE_LABEL, State
from tests.simulation.driver_roll import Limits, simulate

SEEDS = range(max(1, int(os.environ.get("ALIQUOT_SEEDS", "50")) // 10))

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("seed", SEEDS)
def test_no_limit_is_exceeded_and_every_node_ends_with_its_driver(seed: int) -> None:
    simulate(seed, storm_s=150, nodes=8)


def test_a_seed_is_a_reproduction() -> None:
    """Also with other string hashes: nothing may depend on the order of a set."""
    program = "from tests.simulation.driver_roll import simulate; print(simulate(7, storm_s=60, nodes=5))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout.split()[-1]
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_lower_limit_holds_for_who_starts_from_then_on() -> None:
    """The look itself: who was out before is no breach, who starts after it was heard of is."""

    async def main() -> None:
        limits = Limits(3, 3)
        for name in ("a", "b"):
            limits.look(None, under_way(name))
        limits.change(1, 1)
        limits.look(None, under_way("c"))
        assert not limits.broken, "the operator may not have heard of it"
        await asyncio.sleep(61)
        limits.look(under_way("a"), under_way("a"))
        assert not limits.broken
        limits.look(None, under_way("d"))
        assert [one.partition(": ")[2] for one in limits.broken] == [
            "d starts, and 4 are under way",
            "d starts, and 4 are out of use",
        ]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def under_way(name: str) -> Node:
    return msgspec.convert(
        {"metadata": {"name": name, "labels": {STATE_LABEL: State.DRAIN_REQUIRED}}, "spec": {}, "status": {}},
        Node,
    )
