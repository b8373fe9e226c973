"""The reference against the exact blocking of a loss system, which no simulation enters."""

from random import Random

import pytest

from aliquot.partition.simulation.engine import run
from aliquot.partition.simulation.free_migration import FreeMigration
from aliquot.partition.simulation.metrics import measure
from aliquot.partition.simulation.workload import Mix, Workload, draw
from tests.partition.simulation.boards import states

H100 = states("h100-80gb")


def blocking(slots: int, offered: list[tuple[float, int]]) -> list[float]:
    """Kaufman (1981) and Roberts: of each class (requests in their mean duration, slots), the part turned away."""
    weights = [1.0]
    for used in range(1, slots + 1):
        weights.append(
            sum(load * size * weights[used - size] for load, size in offered if used >= size) / used
        )
    return [sum(weights[slots - size + 1 :]) / sum(weights) for _, size in offered]


@pytest.mark.parametrize("load", [0.85, 1.1])
def test_on_a_board_of_one_bound_it_is_the_loss_system_of_the_books(load: float) -> None:
    """An A30 is bound by its memory slots alone: 1, 2 or 4 of four."""
    a30 = states("a30-24gb")
    mix = Mix("thirds", (1 / 3,) * 3)
    gpus, sizes = 10, (1, 2, 4)
    rate = load * gpus * 4 / (7 / 3)
    lost = blocking(gpus * 4, [(rate / 3, size) for size in sizes])
    expected = 1 - sum(size * part for size, part in zip(sizes, lost, strict=True)) / 7
    trace = draw(a30, Workload(mix, load, gpus, horizon=1500), Random(4))
    found = measure(a30, gpus, run(trace, FreeMigration(a30, gpus)))
    assert found.slice_acceptance == pytest.approx(expected, abs=0.012)
    assert found.utilisation == pytest.approx(load * expected, abs=0.015)


def test_it_needs_as_many_gpus_as_its_instances() -> None:
    fleet = FreeMigration(H100, 2)
    whole, four = fleet.place(5), fleet.place(4)
    assert whole is not None and four is not None
    assert fleet.usage().gpus_in_use == 2
    assert fleet.place(4) is None
    assert fleet.place(3) is not None
    assert fleet.place(0) is None
    fleet.release(whole)
    assert fleet.usage().gpus_in_use == 1
    assert fleet.place(4) is not None
