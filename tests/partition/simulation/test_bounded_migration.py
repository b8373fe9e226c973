"""Moves: the fewest, only where they are worth it, within the budget, and the books are right afterwards."""

from random import Random

import pytest

from aliquot.partition.fleet import Fleet
from aliquot.partition.policies.capability import capability
from aliquot.partition.policies.fit import BEST_FIT, FIRST_FIT
from aliquot.partition.policies.policy import Policy
from aliquot.partition.simulation.bounded_migration import BoundedMigration, Located, MoveBudget
from aliquot.partition.simulation.engine import run
from aliquot.partition.simulation.metrics import measure
from aliquot.partition.simulation.workload import MIXES, Workload, draw
from tests.partition.simulation.boards import states

H100 = states("h100-80gb")
ONE, ONE_DOUBLE, TWO, THREE, FOUR, WHOLE = range(6)
FREELY = MoveBudget(per_admission=1000, most_saved=1000)


def fleet(gpus: int, budget: MoveBudget = FREELY, policy: Policy = FIRST_FIT) -> BoundedMigration:
    return BoundedMigration(H100, Fleet(H100, policy, range(gpus)), capability(H100), budget)


def filled(moving: BoundedMigration, *profiles: int) -> list[Located]:
    found = [moving.place(profile) for profile in profiles]
    assert all(instance is not None for instance in found)
    return [instance for instance in found if instance is not None]


def test_nobody_moves_where_there_is_room() -> None:
    moving = fleet(2)
    _, four, small = filled(moving, FOUR, FOUR, ONE)
    moving.release(four)
    assert moving.place(WHOLE) is not None
    assert moving.churn().moves == 0
    assert moving.gpu_of(small) == 0


def test_who_moves_stays_the_same_instance() -> None:
    moving = fleet(2)
    # The 4g cannot leave: its only start is taken on the other GPU. The 1g can.
    four, three, small = filled(moving, FOUR, THREE, ONE)
    moving.release(three)
    assert moving.gpu_of(small) == 1
    whole = moving.place(WHOLE)
    assert whole is not None and moving.gpu_of(whole) == 1
    assert moving.gpu_of(small) == 0
    assert moving.churn().moves == 1
    for instance in (four, small, whole):
        moving.release(instance)
    assert moving.usage().gpus_in_use == 0


def test_an_instance_may_move_within_its_gpu() -> None:
    moving = fleet(1)
    [small] = filled(moving, ONE)
    assert small.placing.start == 0
    assert moving.place(FOUR) is not None
    assert small.placing.start >= 4
    assert moving.churn().moves == 1


def two_in_the_way(moving: BoundedMigration) -> tuple[Located, Located]:
    """A 2g and a 1g on a GPU that a whole one could have, and room for both beside a 4g that cannot move."""
    _, three, two, small = filled(moving, FOUR, THREE, TWO, ONE)
    moving.release(three)
    return two, small


def test_two_move_where_one_does_not_do() -> None:
    moving = fleet(2)
    two, small = two_in_the_way(moving)
    whole = moving.place(WHOLE)
    assert whole is not None and moving.gpu_of(whole) == 1
    assert moving.gpu_of(two) == moving.gpu_of(small) == 0
    assert moving.churn().moves == 2


@pytest.mark.parametrize(
    ("budget", "admitted"),
    [
        (FREELY, True),
        (MoveBudget(per_admission=1000, most_saved=1000, most_moves=1), False),
        (MoveBudget(per_admission=1000, most_saved=1000, least_slots_per_move=5), False),
        (MoveBudget(per_admission=1000, most_saved=1.5), False),
        (MoveBudget(per_admission=0.4, most_saved=2), False),  # four admissions have earned 1.6 moves
        (MoveBudget(per_admission=0.5, most_saved=2), True),
        # The same two moves, of twenty that could be saved: a price of 7.2 slots each.
        (MoveBudget(per_admission=0.5, most_saved=20), False),
    ],
)
def test_moves_are_made_only_as_the_budget_says(budget: MoveBudget, admitted: bool) -> None:
    moving = fleet(2, budget)
    instances = two_in_the_way(moving)
    where = [(instance.gpu, instance.placing) for instance in instances]
    assert (moving.place(WHOLE) is not None) is admitted
    assert admitted or where == [(instance.gpu, instance.placing) for instance in instances]


def test_a_run_keeps_to_its_budget_and_gains() -> None:
    workload = Workload(MIXES["bimodal"], load=1.0, gpus=40)
    trace = draw(H100, workload, Random(1))
    found = {}
    for part in (0.0, 0.01, 0.05):
        moving = fleet(40, MoveBudget(part), BEST_FIT)
        outcome = run(trace, moving)
        found[part] = measure(H100, 40, outcome)
        placed, _, moves = moving.churn()
        assert moves <= part * (placed - moves)
        assert found[part].utilisation <= 1
    assert found[0.0].moves == 0 < found[0.01].moves < found[0.05].moves
    assert found[0.05].slice_acceptance > found[0.0].slice_acceptance + 0.01


def test_the_books_agree_with_the_board_after_every_step() -> None:
    random = Random(3)
    placer = Fleet(H100, FIRST_FIT, range(6))
    moving = BoundedMigration(H100, placer, capability(H100), FREELY)
    there: list[Located] = []
    for step in range(600):
        if there and random.random() < 0.4:
            moving.release(there.pop(random.randrange(len(there))))
        elif (instance := moving.place(random.randrange(6))) is not None:
            there.append(instance)
        if step == 300:
            lost = [instance for instance in there if moving.gpu_of(instance) in range(2)]
            for instance in lost:
                moving.release(instance)
            there = [instance for instance in there if instance not in lost]
            moving.withdraw(range(2))
        if step == 400:
            moving.restore(range(2))
        for gpu in placer.gpus():
            on_it = [instance.placing for instance in there if instance.gpu == gpu]
            assert sum(placing.mask for placing in on_it) == placer.occupancy(gpu)
    assert moving.churn().moves > 20
