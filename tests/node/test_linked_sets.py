"""The sets that NVIDIA's best-effort policy is known to choose."""

from itertools import combinations

import pytest

from aliquot.gpu.driver import Link, LinkKind
from aliquot.node.inventory import ObservedGpu, observe
from aliquot.node.linked_sets import MAX_EXACT, PairScores, best_linked_set, pair_scores
from tests.node.conftest import machine


def symmetric(pairs: dict[tuple[str, str], int]) -> PairScores:
    return pairs | {(b, a): score for (a, b), score in pairs.items()}


# Four boards with a bridge between 0 and 3 and one between 1 and 2.
BRIDGED = symmetric(
    {("0", "3"): 220, ("1", "2"): 220, **dict.fromkeys([("0", "1"), ("0", "2"), ("1", "3"), ("2", "3")], 20)}
)

_CUBE_MESH = """
- 1 1 2 2 0 0 0
1 - 2 1 0 2 0 0
1 2 - 2 0 0 1 0
2 1 2 - 0 0 0 1
2 0 0 0 - 1 1 2
0 2 0 0 1 - 2 1
0 0 1 0 1 2 - 2
0 0 0 1 2 1 2 -
"""


def cube_mesh() -> PairScores:
    """Eight GPUs of a DGX-1 with V100: lanes as `nvidia-smi topo -m` shows them, four GPUs on each CPU."""
    rows = [line.split() for line in _CUBE_MESH.split("\n") if line]
    return symmetric(
        {
            (str(a), str(b)): 100 * int(rows[a][b]) + (20 if a // 4 == b // 4 else 10)
            for a, b in combinations(range(8), 2)
        }
    )


def take_all(free: str, size: int, scores: PairScores) -> list[str]:
    """Ask again and again until nothing is left."""
    left, sets = list(free), []
    while len(left) >= size:
        chosen = best_linked_set(left, (), size, scores)
        sets.append("".join(sorted(chosen)))
        left = [gpu for gpu in left if gpu not in chosen]
    return sets


def test_bridged_pairs_go_together() -> None:
    assert take_all("0123", 2, BRIDGED) == ["03", "12"]


def test_a_cube_mesh_is_divided_without_spoiling_pairs() -> None:
    assert take_all("01234567", 2, cube_mesh()) == ["03", "12", "47", "56"]


def test_a_cube_mesh_gives_its_halves() -> None:
    assert take_all("01234567", 4, cube_mesh()) == ["0123", "4567"]


def test_what_must_be_included_decides_the_set() -> None:
    assert set(best_linked_set(list("0123"), ("1",), 2, BRIDGED)) == {"1", "2"}
    assert set(best_linked_set(list("0123"), ("0", "1"), 2, BRIDGED)) == {"0", "1"}


@pytest.mark.parametrize("size", [3, 5, 6, 7])
def test_a_size_that_does_not_divide_gives_a_full_set(size: int) -> None:
    assert len(set(best_linked_set(list("01234567"), ("5",), size, cube_mesh()))) == size


def test_unlinked_gpus_are_taken_in_order() -> None:
    assert best_linked_set(["a", "b", "c"], (), 2, {}) == ("a", "b")


def test_many_gpus_are_not_weighed_for_ever() -> None:
    gpus = [str(number) for number in range(32)]
    scores = symmetric(dict.fromkeys(combinations(gpus, 2), 100) | {("20", "21"): 900})
    assert len(gpus) > MAX_EXACT
    assert set(best_linked_set(gpus, (), 4, scores)) > {"20", "21"}


def test_scores_add_up_links_and_place() -> None:
    one, other = observe(machine("l4:4")).gpus[:2]
    scores = pair_scores([linked(one, other, Link(other.gpu.uuid, LinkKind.NVLINK, 4)), other])
    assert scores[one.gpu.uuid, other.gpu.uuid] == 420
    scores = pair_scores([linked(one, other, Link(other.gpu.uuid, LinkKind.HOST_BRIDGE, 0)), other])
    assert scores[one.gpu.uuid, other.gpu.uuid] == 30


def linked(one: ObservedGpu, other: ObservedGpu, link: Link) -> ObservedGpu:
    assert one.gpu.numa_node == other.gpu.numa_node
    return ObservedGpu(one.gpu, links=(link,))
