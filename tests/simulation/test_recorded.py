"""What the scheduler decides in a storm it decides again from a recording: its caches have no say."""

import pytest

from tests.scheduler.recording.replaying import replay_all
from tests.simulation.gangs import Gangs
from tests.simulation.partitioned import PartitionedWorld
from tests.simulation.world import World, simulate

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("kind", [Gangs, PartitionedWorld])
@pytest.mark.parametrize("seed", range(2))
def test_each_cycle_is_decided_the_same_again(
    kind: type[World], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = replay_all(monkeypatch)
    simulate(1000 + seed, storm_s=120, kind=kind)
    assert count() > 20
