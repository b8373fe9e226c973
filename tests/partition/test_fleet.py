"""The fleet beside the plain way: every GPU looked at for every decision."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Choice, place
from aliquot.partition.policies.capability import MOST_CAPABILITY, MOST_SLOT_CAPABILITY
from aliquot.partition.policies.fit import BEST_FIT, FIRST_FIT, HAMI, WORST_FIT
from aliquot.partition.policies.fragmentation import least_fragmentation
from aliquot.partition.policies.policy import Policy
from tests.partition.boards import profile, states

POLICIES = (
    FIRST_FIT,
    HAMI,
    BEST_FIT,
    WORST_FIT,
    MOST_CAPABILITY,
    MOST_SLOT_CAPABILITY,
    least_fragmentation((0.4, 0.15, 0.25, 0.1, 0.05, 0.05)),
)


def best_of_all(fleet: Fleet, policy: Policy, wanted: int) -> Choice | None:
    """By score, then by GPU, then by the policy's order of starts."""
    score = policy.scores(fleet.divisions)
    ways = [
        (-round(score(fleet.division(gpu), way), 9), gpu, number, way)
        for gpu in fleet.gpus()
        for number, way in enumerate(
            policy.starts(fleet.states, fleet.states.fitting(wanted, fleet.occupancy(gpu)))
        )
    ]
    _, gpu, _, way = min(ways, key=lambda one: one[:3], default=(0, 0, 0, None))
    return None if way is None else (gpu, way)


def check(fleet: Fleet, held: list[Choice]) -> None:
    """What is there is what is held, and no two instances share a slot."""
    taken = dict.fromkeys(fleet.gpus(), 0)
    for gpu, placing in held:
        assert not taken[gpu] & placing.mask
        taken[gpu] |= placing.mask
    assert {gpu: fleet.occupancy(gpu) for gpu in fleet.gpus()} == taken
    assert sum(fleet.counts().values()) == len(fleet) == len(taken)


@pytest.mark.parametrize("board", ["h100-80gb", "a30-24gb"])
@settings(max_examples=25, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1_000)), max_size=60),
    gpus=st.integers(1, 6),
)
def test_it_chooses_as_if_it_looked_at_every_gpu(
    board: str, policy: Policy, steps: list[tuple[int, int]], gpus: int
) -> None:
    tables = states(board)
    if len(tables.profiles) != 6 and policy.name == "fragmentation-gradient":
        policy = least_fragmentation([1 / len(tables.profiles)] * len(tables.profiles))
    fleet = Fleet(tables, policy, range(gpus))
    held: list[Choice] = []
    for kind, number in steps:
        if kind < 6:
            wanted = number % len(tables.profiles)
            choice = best_of_all(fleet, policy, wanted)
            assert place(fleet, wanted) == choice
            if choice is not None:
                held.append(choice)
        elif kind < 8 and held:
            fleet.release(*held.pop(number % len(held)))
        elif kind == 8 and len(fleet) > 1:
            gone = sorted(fleet.gpus())[number % len(fleet)]
            fleet.remove(gone)
            held = [choice for choice in held if choice[0] != gone]
        elif kind == 9:
            fleet.add(max(fleet.gpus()) + 1 + number % 300)
        check(fleet, held)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_release_undoes_commit(policy: Policy) -> None:
    tables = states()
    rng = random.Random(3)
    fleet = Fleet(tables, policy, {gpu: rng.choice(tables.states) for gpu in range(40)})
    for wanted in range(len(tables.profiles)):
        choice = fleet.choose(wanted)
        if choice is None:
            continue
        before = fleet.counts(), [fleet.choose(other) for other in range(len(tables.profiles))]
        fleet.commit(*choice)
        fleet.release(*choice)
        assert before == (
            fleet.counts(),
            [fleet.choose(other) for other in range(len(tables.profiles))],
        )


def test_another_policy_decides_on_what_is_there() -> None:
    tables = states()
    rng = random.Random(5)
    layout = {gpu: rng.choice(tables.states) for gpu in range(30)}
    turned = Fleet(tables, FIRST_FIT, layout)
    turned.follow(BEST_FIT)
    fresh = Fleet(tables, BEST_FIT, layout)
    for wanted in [*range(len(tables.profiles)), 0, 0, 2, 1, 3]:
        assert place(turned, wanted) == place(fresh, wanted)


def _way(tables: BoardStates, name: str, start: int) -> Placing:
    number = profile(tables, name)
    return next(p for p in tables.placings if (p.profile, p.start) == (number, start))


def test_what_is_wrong_changes_nothing() -> None:
    tables = states()
    half = _way(tables, "3g.40gb", 0)
    fleet = Fleet(tables, FIRST_FIT, {4: [half], 5: []})
    with pytest.raises(ValueError, match="GPU 4: slots 0b11 are not free beside 0b1111"):
        fleet.commit(4, _way(tables, "2g.20gb", 0))
    with pytest.raises(ValueError, match="GPU 5: slots 0b1111 are not those of one instance"):
        fleet.release(5, half)
    with pytest.raises(ValueError, match="GPU 4 is there already"):
        fleet.add(4)
    with pytest.raises(ValueError, match="GPU 4: slots 0b11 are not those of one instance"):
        fleet.release(4, _way(tables, "2g.20gb", 0))
    with pytest.raises(ValueError, match="GPU 6: it cannot hold slots 0b11 beside the others"):
        fleet.add(6, [half, _way(tables, "2g.20gb", 0)])
    with pytest.raises(KeyError):
        fleet.remove(6)
    assert {fleet.divisions.occupancies[one]: n for one, n in fleet.counts().items()} == {0: 1, half.mask: 1}


@pytest.mark.parametrize(
    ("policy", "name", "gpu", "start"),
    [
        (FIRST_FIT, "1g.10gb", 0, 0),
        (HAMI, "1g.10gb", 0, 6),
        (BEST_FIT, "1g.10gb", 2, 6),
        (WORST_FIT, "2g.20gb", 0, 0),
        (MOST_CAPABILITY, "3g.40gb", 1, 4),  # on an empty GPU the whole board would be lost
        (least_fragmentation((0, 0, 0, 0, 0, 1.0)), "1g.10gb", 1, 6),  # nothing whole is left there anyway
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else None,
)
def test_what_a_policy_takes(policy: Policy, name: str, gpu: int, start: int) -> None:
    """GPU 0 is empty, 1 has its lower half taken, 2 has one slice of two slots and that half."""
    tables = states()
    half, quarter = _way(tables, "3g.40gb", 0), _way(tables, "2g.20gb", 4)
    fleet = Fleet(tables, policy, {0: [], 1: [half], 2: [half, quarter]})
    choice = fleet.choose(profile(tables, name))
    assert choice is not None and (choice[0], choice[1].start) == (gpu, start)


def test_a_long_life_leaves_nothing_behind() -> None:
    """Whoever leaves by a release is forgotten later: what is kept stays in proportion to the GPUs that are there."""
    tables = states()
    rng = random.Random(7)
    fleet = Fleet(tables, BEST_FIT, range(50))
    held: list[Choice] = []
    for _ in range(20_000):
        choice = place(fleet, rng.randrange(3))
        if choice is not None:
            held.append(choice)
        if choice is None or rng.random() < 0.5:
            fleet.release(*held.pop(rng.randrange(len(held))))
    check(fleet, held)
    assert sum(map(len, fleet._heaps)) < 3 * len(fleet) + 65 * len(fleet.divisions)
    for wanted in range(len(tables.profiles)):
        assert fleet.choose(wanted) == best_of_all(fleet, BEST_FIT, wanted)
