"""Seeds of the world in CI; `make soak` runs many more, `python -m tests.simulation --seed N` one with its log."""

import os
import subprocess
import sys

import pytest

from tests.simulation.gangs import Gangs
from tests.simulation.partitioned import PartitionedWorld, PlainlyScheduled, UndisturbedNodes
from tests.simulation.world import World, simulate

SEEDS = range(int(os.environ.get("ALIQUOT_SEEDS", "50")))
SEEDS_PARTITIONED = range(max(1, len(SEEDS) // 6))

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_holds_after_a_storm(seed: int) -> None:
    simulate(seed, storm_s=240)


@pytest.mark.parametrize("kind", [PartitionedWorld, UndisturbedNodes, PlainlyScheduled])
@pytest.mark.parametrize("seed", SEEDS_PARTITIONED)
def test_gpus_are_cut_as_pods_need_them(kind: type[World], seed: int) -> None:
    simulate(seed, storm_s=120, kind=kind)


@pytest.mark.parametrize("seed", SEEDS_PARTITIONED)
def test_gangs_are_whole_and_queues_within_their_limits(seed: int) -> None:
    simulate(seed, storm_s=120, kind=Gangs)


def test_a_seed_is_a_reproduction() -> None:
    """Also with other string hashes: nothing may depend on the order of a set."""
    digests = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "7", "--storm-s", "120", "--quiet"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
