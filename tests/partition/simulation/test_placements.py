from aliquot.partition.fleet import Fleet
from aliquot.partition.policies.fit import FIRST_FIT
from aliquot.partition.simulation.engine import Churn, Usage
from aliquot.partition.simulation.placements import Placements
from tests.partition.simulation.boards import states

H100 = states("h100-80gb")
ONE, ONE_DOUBLE, TWO, THREE, FOUR, WHOLE = range(6)


def test_waste_is_what_can_no_longer_be_had_on_gpus_in_use() -> None:
    fleet = Placements(H100, Fleet(H100, FIRST_FIT, range(3)))
    assert fleet.usage() == Usage(0, 0, 0)
    halves = [fleet.place(THREE), fleet.place(THREE)]
    # Two halves of four slots are all memory, and 6 of 7 compute slices.
    assert fleet.usage() == Usage(1, 1, 0)
    fleet.place(ONE)
    # Beside a 1g at slot 0: 3g at slot 4, 1g and 2g below: all of it.
    assert fleet.usage() == Usage(2, 1, 0)
    for half in halves:
        assert half is not None
        fleet.release(half)
    assert fleet.usage() == Usage(1, 0, 0)
    assert fleet.churn() == Churn(3, 2, 0)


def test_a_small_instance_can_put_memory_out_of_reach() -> None:
    fleet = Placements(H100, Fleet(H100, FIRST_FIT, range(1)))
    for _ in range(7):
        assert fleet.place(ONE)
    # Seven of 1g: every compute slice, and the eighth memory slot stays empty.
    assert fleet.usage() == Usage(1, 0, 1)


def test_gpus_out_of_service_take_nothing() -> None:
    fleet = Placements(H100, Fleet(H100, FIRST_FIT, range(2)))
    fleet.withdraw(range(1))
    assert fleet.place(WHOLE) is not None
    assert fleet.place(WHOLE) is None
    fleet.restore(range(1))
    instance = fleet.place(WHOLE)
    assert instance is not None and fleet.gpu_of(instance) == 0


def test_instances_that_stand_are_neither_made_nor_destroyed() -> None:
    fleet = Placements(H100, Fleet(H100, FIRST_FIT, range(1)), cuts=False)
    instance = fleet.place(TWO)
    assert instance is not None
    fleet.release(instance)
    assert fleet.churn() == Churn(0, 0, 0)
