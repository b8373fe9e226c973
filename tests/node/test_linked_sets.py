"""The sets that NVIDIA's best-effort policy is known to choose, and that which it searches for on any other question."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from aliquot.gpu.driver import DriverError, Link, LinkKind, ReturnCode
from aliquot.node.inventory import ObservedGpu, observe, remember
from aliquot.node.linked_sets import PairScores, best_linked_set, pair_scores
from benchmarks.link_tables import (
    DGX1_PASCAL,
    DGX1_VOLTA,
    DGX2,
    DGX_A100,
    OF_EIGHT,
    OF_SIXTEEN,
    RTX8000,
    TWO_CUBES,
    TWO_PCIE_TREES,
    LinkTable,
)
from benchmarks.partition_search import divisions, preferred, set_score
from tests.node.machines import machine


class Wired:
    """A machine of a table, its GPUs by index."""

    def __init__(self, table: LinkTable) -> None:
        gpus = table.gpus()
        self.scores = pair_scores(gpus)
        self.uuids = [observed.gpu.uuid for observed in gpus]

    def best(self, free: Sequence[int], must: Sequence[int], size: int) -> list[int]:
        ids, needed = [self.uuids[i] for i in free], [self.uuids[i] for i in must]
        return sorted(map(self.uuids.index, best_linked_set(ids, needed, size, self.scores)))


@pytest.mark.parametrize(
    ("table", "size", "sets"),
    [
        (RTX8000, 1, [[0], [1], [2], [3]]),
        (RTX8000, 2, [[0, 3], [1, 2]]),
        (RTX8000, 4, [[0, 1, 2, 3]]),
        (DGX1_PASCAL, 1, [[0], [1], [2], [3], [4], [5], [6], [7]]),
        (DGX1_PASCAL, 2, [[0, 2], [1, 3], [4, 6], [5, 7]]),
        (DGX1_PASCAL, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (DGX1_PASCAL, 8, [[*range(8)]]),
        (DGX1_VOLTA, 1, [[0], [1], [2], [3], [4], [5], [6], [7]]),
        (DGX1_VOLTA, 2, [[0, 3], [1, 2], [4, 7], [5, 6]]),
        (DGX1_VOLTA, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (DGX1_VOLTA, 8, [[*range(8)]]),
        (DGX_A100, 2, [[0, 1], [2, 3], [4, 5], [6, 7]]),
        (DGX_A100, 4, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (DGX2, 2, [[first, first + 1] for first in range(0, 16, 2)]),
        (DGX2, 4, [[*range(first, first + 4)] for first in range(0, 16, 4)]),
        (DGX2, 8, [[*range(8)], [*range(8, 16)]]),
        (TWO_CUBES, 4, [[*range(first, first + 4)] for first in range(0, 16, 4)]),
        (TWO_CUBES, 8, [[*range(8)], [*range(8, 16)]]),
        (TWO_PCIE_TREES, 8, [[*range(8)], [*range(8, 16)]]),
    ],
    ids=lambda value: value.name if isinstance(value, LinkTable) else None,
)
def test_sets_taken_one_after_the_other(table: LinkTable, size: int, sets: list[list[int]]) -> None:
    wired, left, taken = Wired(table), [*range(table.count)], []
    while left:
        taken.append(wired.best(left, (), size))
        left = [index for index in left if index not in taken[-1]]
    assert taken == sets


@pytest.mark.parametrize(
    ("free", "must", "size", "best"),
    [
        ([0, 2, 4, 5], [], 2, [4, 5]),  # one NVLink each: the same switch
        ([0, 4, 5, 6], [], 2, [5, 6]),  # two NVLinks at one CPU
        ([0, 1, 3], [], 2, [0, 3]),
        ([0, 1, 4], [], 2, [0, 4]),  # two NVLinks between CPUs before one
        ([*range(8)], [4], 1, [4]),
        ([*range(8)], [4], 2, [4, 7]),
        ([*range(8)], [4], 4, [4, 5, 6, 7]),
        ([*range(8)], [0, 2, 4, 6], 4, [0, 2, 4, 6]),
    ],
)
def test_a_cube_mesh_that_is_partly_taken(
    free: list[int], must: list[int], size: int, best: list[int]
) -> None:
    assert Wired(DGX1_VOLTA).best(free, must, size) == best


def test_the_last_of_many_equal_pairs_is_found() -> None:
    pairs = {(first, first + 1): 4 if first == 12 else 2 for first in range(0, 14, 2)}
    assert Wired(LinkTable("pairs", pairs, (), (range(14),))).best(range(14), (), 2) == [12, 13]


@pytest.mark.parametrize("table", OF_EIGHT, ids=lambda table: table.name)
def test_any_part_of_a_machine_is_answered_as_by_the_search_of_all_divisions(table: LinkTable) -> None:
    wired, rng = Wired(table), random.Random(1)
    for _ in range(60):
        free = sorted(rng.sample(wired.uuids, rng.randint(2, table.count)), key=wired.uuids.index)
        size = rng.randint(1, len(free))
        must = rng.sample(free, rng.choice([0, 0, min(1, size), size // 2]))
        found = best_linked_set(free, must, size, wired.scores)
        searched = preferred(free, must, size, wired.scores)
        assert set(must) <= set(found)
        assert len(set(found)) == size
        # Which of several that are equal may differ, where the free GPUs are not all different.
        assert best_total(free, found, size, wired.scores) >= best_total(free, searched, size, wired.scores)


def best_total(free: Sequence[str], chosen: Sequence[str], size: int, scores: PairScores) -> int:
    """Of a set, and of the best that can be made of what it leaves."""
    left = tuple(uuid for uuid in free if uuid not in chosen)
    if size == 1 or len(left) < size:
        return set_score(chosen, scores) + set_score(left, scores)
    return set_score(chosen, scores) + max(
        sum(set_score(group, scores) for group in division) for division in divisions(left, size)
    )


@pytest.mark.parametrize("table", OF_SIXTEEN, ids=lambda table: table.name)
def test_eight_of_sixteen_are_as_good_as_by_the_search_of_all_divisions(table: LinkTable) -> None:
    wired = Wired(table)
    found = best_linked_set(wired.uuids, (), 8, wired.scores)
    assert set_score(found, wired.scores) == set_score(
        preferred(wired.uuids, (), 8, wired.scores), wired.scores
    )


@pytest.mark.parametrize("size", range(2, 16))
@pytest.mark.parametrize("must", [(), (5,), (3, 12)])
def test_many_gpus_give_a_full_set(must: Sequence[int], size: int) -> None:
    found = Wired(TWO_CUBES).best([*range(16)], must, size)
    assert len(set(found)) == size
    assert set(must) <= set(found)


def test_unlinked_gpus_are_taken_in_order() -> None:
    assert best_linked_set(["a", "b", "c"], (), 2, {}) == ("a", "b")


@pytest.mark.parametrize("must", [(), ("b",), ("a", "b")])
def test_more_must_be_included_than_asked_for_is_no_error(must: Sequence[str]) -> None:
    assert best_linked_set(["a", "b", "c"], must, 0, {}) == ()
    assert len(best_linked_set(["a", "b", "c"], must, 1, {})) == 1


def test_scores_add_up_nvlinks_and_the_pcie_path() -> None:
    assert score(Link("", LinkKind.NVLINK, 4), Link("", LinkKind.SAME_BOARD, 0)) == 460
    assert score(Link("", LinkKind.HOST_BRIDGE, 0)) == 30


def test_numa_stands_in_where_the_driver_tells_no_pcie_path() -> None:
    assert score(Link("", LinkKind.NVLINK, 4)) == 420
    assert score(Link("", LinkKind.NVLINK, 4), far=True) == 410
    assert score() == 20
    assert score(far=True) == 10


def score(*links: Link, far: bool = False) -> int:
    """Of two GPUs of which only the first told its links; the same in both orders."""
    one, other = observe(machine("l4:2")).gpus
    linked = tuple(replace(link, peer_uuid=other.gpu.uuid) for link in links)
    one = replace(one, links=linked, gpu=replace(one.gpu, numa_node=0))
    other = replace(other, links=(), gpu=replace(other.gpu, numa_node=int(far)))
    scores = pair_scores([one, other])
    assert scores[one.gpu.uuid, other.gpu.uuid] == scores[other.gpu.uuid, one.gpu.uuid]
    return scores[one.gpu.uuid, other.gpu.uuid]


def test_without_links_and_numa_there_is_no_score_and_no_error() -> None:
    assert pair_scores([unplaced(observed) for observed in observe(machine("l4:2")).gpus]) == {}


def unplaced(observed: ObservedGpu) -> ObservedGpu:
    return replace(observed, links=(), gpu=replace(observed.gpu, numa_node=None))


def test_a_lost_gpu_leaves_the_scores_of_the_others_as_they_were() -> None:
    driver = machine("v100-32gb:8")
    before = observe(driver)
    lost = before.gpus[2].gpu.uuid
    driver.lose_gpu(lost)
    after = remember(before, observe(driver, before))
    assert len(after.gpus) == 8
    kept = pair_scores(after.gpus)
    assert {pair: score for pair, score in kept.items() if lost not in pair} == {
        pair: score for pair, score in pair_scores(before.gpus).items() if lost not in pair
    }


def test_a_gpu_whose_links_cannot_be_read_spoils_no_choice_among_the_others() -> None:
    gpus = list(DGX1_VOLTA.gpus())
    healthy = [observed.gpu.uuid for index, observed in enumerate(gpus) if index != 5]
    chosen = best_linked_set(healthy, (), 2, pair_scores(gpus))
    gpus[5] = replace(gpus[5], links=(), failure=DriverError(ReturnCode.UNKNOWN, "no answer"))
    assert best_linked_set(healthy, (), 2, pair_scores(gpus)) == chosen
