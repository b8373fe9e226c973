"""A driver is rolled over a few nodes in a storm; `make soak` does it over a hundred, with many more seeds."""

import os
import subprocess
import sys

import pytest

from tests.simulation.driver_roll import simulate

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
