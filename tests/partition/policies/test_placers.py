"""Ways of placement that are no policies, and what all of them promise."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.partition.board_states import BoardStates
from aliquot.partition.placer import Choice, Placer, place
from aliquot.partition.policies.baselines import BASELINES
from aliquot.partition.policies.count_batching import CountBatching
from aliquot.partition.policies.node_spreading import NodeSpreading
from aliquot.partition.policies.static_geometry import NoSuchLayout, StaticGeometry, balanced, layout_of
from tests.partition.boards import profile, states

MADE: dict[str, Callable[[BoardStates, range], Placer]] = {
    "node-spreading": lambda tables, gpus: NodeSpreading(tables, gpus, gpus_per_node=2),
    "static-geometry": lambda tables, gpus: StaticGeometry(tables, balanced(tables), gpus),
    "count-batching": CountBatching,
}


@pytest.mark.parametrize("kind", MADE)
@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1_000)), max_size=60), gpus=st.integers(1, 5)
)
def test_what_is_placed_stays_where_it_is_and_shares_no_slot(
    kind: str, steps: list[tuple[int, int]], gpus: int
) -> None:
    tables = states()
    placer = MADE[kind](tables, range(gpus))
    held: list[Choice] = []
    for what, number in steps:
        if what < 6:
            wanted = number % len(tables.profiles)
            choice = place(placer, wanted)
            if choice is not None:
                assert choice[1].profile == wanted
                held.append(choice)
        elif what < 8 and held:
            placer.release(*held.pop(number % len(held)))
        elif what == 8:
            there = sorted(placer.gpus())
            if len(there) > 1:
                gone = there[number % len(there)]
                placer.remove(gone)
                held = [choice for choice in held if choice[0] != gone]
        else:
            placer.add(max(placer.gpus()) + 1 + number % 3)
        taken = dict.fromkeys(placer.gpus(), 0)
        for gpu, placing in held:
            assert not taken[gpu] & placing.mask
            taken[gpu] |= placing.mask
        assert {gpu: placer.occupancy(gpu) for gpu in placer.gpus()} == taken


class ScannedNodes(NodeSpreading):
    """The rule by one look at each node and GPU."""

    def choose(self, profile: int) -> Choice | None:
        free = {
            node: sum(self.states.memory_slots - self.occupancy(gpu).bit_count() for gpu in gpus)
            for node, gpus in self._gpus_of.items()
        }
        for node in sorted(free, key=lambda node: (-free[node], node)):
            for gpu in self._gpus_of[node]:
                if fitting := self.states.fitting(profile, self.occupancy(gpu)):
                    return gpu, fitting[0]
        return None


class ScannedCounts(CountBatching):
    """The rule by one look at each GPU."""

    def choose(self, profile: int) -> Choice | None:
        for gpu in sorted(self.gpus()):
            for placing in self._idle[gpu]:
                if placing.profile == profile:
                    return gpu, placing
        for gpu in sorted(self.gpus()):
            if geometry := self._geometry(gpu, profile):
                made = self._cut(gpu, geometry)
                return next(((gpu, new) for new in made or () if new.profile == profile), None)
        return None


@pytest.mark.parametrize(
    ("kind", "scanned"),
    [
        (
            lambda tables, gpus: NodeSpreading(tables, gpus, gpus_per_node=2),
            lambda tables, gpus: ScannedNodes(tables, gpus, gpus_per_node=2),
        ),
        (CountBatching, ScannedCounts),
    ],
    ids=["node-spreading", "count-batching"],
)
@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1_000)), max_size=60), gpus=st.integers(1, 6)
)
def test_a_decision_is_what_a_look_at_every_gpu_would_come_to(
    kind: Callable[[BoardStates, range], Placer],
    scanned: Callable[[BoardStates, range], Placer],
    steps: list[tuple[int, int]],
    gpus: int,
) -> None:
    tables = states()
    pair = kind(tables, range(gpus)), scanned(tables, range(gpus))
    held: list[Choice] = []
    for what, number in steps:
        if what < 6:
            choice, plain = (place(placer, number % len(tables.profiles)) for placer in pair)
            assert choice == plain
            if choice is not None:
                held.append(choice)
        elif what < 8 and held:
            left = held.pop(number % len(held))
            for placer in pair:
                placer.release(*left)
        elif what == 8:
            gone = number % gpus
            if gone in set(pair[0].gpus()):
                for placer in pair:
                    placer.remove(gone)
                held = [choice for choice in held if choice[0] != gone]
        elif number % gpus not in set(pair[0].gpus()):
            for placer in pair:
                placer.add(number % gpus)


def placed(placer: Placer, tables: BoardStates, names: list[str]) -> list[tuple[int, int] | None]:
    """(GPU, start) of each."""
    choices = [place(placer, profile(tables, name)) for name in names]
    return [(choice[0], choice[1].start) if choice is not None else None for choice in choices]


def test_the_emptiest_node_is_taken_first() -> None:
    tables = states()
    placer = NodeSpreading(tables, range(4), gpus_per_node=2)
    names = ["4g.40gb", "1g.10gb", "1g.10gb", "7g.80gb", "7g.80gb", "7g.80gb"]
    # The second node after the first; then nodes with most free slots, though the other GPU of theirs is fuller.
    assert placed(placer, tables, names) == [(0, 0), (2, 0), (2, 1), (3, 0), (1, 0), None]


def test_of_nodes_with_as_many_free_slots_the_lowest_is_taken_whatever_else_fits_there() -> None:
    tables = states()
    placer = NodeSpreading(tables, range(4), gpus_per_node=2)
    half, quarter, small = (profile(tables, name) for name in ("4g.40gb", "2g.20gb", "1g.10gb"))
    placer.commit(0, tables.fitting(half, 0)[0])
    for gpu in (2, 3):
        placer.commit(gpu, tables.fitting(quarter, 0)[0])
    assert placer.choose(small) == (0, tables.fitting(small, placer.occupancy(0))[0])


def test_a_static_geometry_offers_what_it_has() -> None:
    tables = states()
    placer = StaticGeometry(tables, balanced(tables), range(2))
    assert placed(placer, tables, ["3g.40gb"] * 3) == [(0, 4), (1, 4), None]
    assert placed(placer, tables, ["7g.80gb", "2g.20gb"])[0] is None
    placer.release(0, next(p for p in balanced(tables) if tables.profiles[p.profile].name == "3g.40gb"))
    assert placed(placer, tables, ["3g.40gb"]) == [(0, 4)]


def test_a_layout_that_the_board_cannot_have() -> None:
    with pytest.raises(NoSuchLayout, match="the board cannot be cut into 4g"):
        layout_of(states(), {"4g.40gb": 2})


def test_counts_that_suffice_where_positions_do_not() -> None:
    """Slots 1 and 3 are taken by 1g: as many slots are free as 4g needs, and a geometry has 4g beside three 1g."""
    tables = states()
    placer = CountBatching(tables, range(1))
    small, big = profile(tables, "1g.10gb"), profile(tables, "4g.40gb")
    held = [place(placer, small) for _ in range(4)]
    assert all(held)
    for choice in held:
        if choice is not None and choice[1].start in (0, 2):
            placer.release(*choice)
    assert tables.fitting(big, placer.occupancy(0)) == ()
    assert placer.choose(big) is None


def test_a_batch_is_placed_smallest_first_and_answered_in_order() -> None:
    tables = states()
    placer = CountBatching(tables, range(1))
    names = ["7g.80gb", "1g.10gb", "3g.40gb"]
    whole, small, half = placer.place_batch([profile(tables, name) for name in names])
    assert whole is None and small is not None and half is not None
    # The geometry was chosen for both of those that fit together: half of the GPU was not cut into small ones.
    assert small[1].mask & half[1].mask == 0


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_places_on_every_board_that_has_layouts(name: str) -> None:
    for board in ("h100-80gb", "a30-24gb"):
        tables = states(board)
        mix = [1 / len(tables.profiles)] * len(tables.profiles)
        placer = BASELINES[name](tables, range(3), mix)
        assert placed(placer, tables, [tables.profiles[0].name]) != [None]
