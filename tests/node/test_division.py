"""Divisions by total: all of them weighed where there are few kinds of things, and a good one where there are many."""

import random
from itertools import combinations

import pytest

from aliquot.node import division
from aliquot.node.division import best_division
from aliquot.node.linked_sets import pair_scores
from benchmarks.link_tables import DGX2, TWO_CUBES, LinkTable
from benchmarks.partition_search import divisions, set_score


def test_every_thing_is_in_one_set_and_one_set_may_be_smaller() -> None:
    sets = best_division("abcdefgh", (), 3, {})
    assert sorted("".join("".join(group) for group in sets)) == list("abcdefgh")
    assert sorted(len(group) for group in sets) == [2, 3, 3]


def test_what_belongs_together_lies_in_one_full_set() -> None:
    # Alone in the smaller set, "ab" would leave more to the others.
    scores = both_ways(dict.fromkeys(combinations("cde", 2), 1))
    sets = best_division("abcde", "ab", 3, scores)
    assert any({"a", "b"} < set(group) and len(group) == 3 for group in sets)


@pytest.mark.parametrize(
    ("max_states", "part"), [(division.MAX_STATES, 1.0), (0, 0.95)], ids=["all weighed", "made better"]
)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_best_division_of_pairs_that_all_differ_is_found(
    size: int, max_states: int, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "MAX_STATES", max_states)
    rng = random.Random(size)
    for _ in range(5):
        scores = both_ways({pair: rng.randint(0, 1000) for pair in combinations("abcdefg", 2)})
        best = max(sum(set_score(group, scores) for group in sets) for sets in divisions((*"abcdefg",), size))
        found = sum(set_score(group, scores) for group in best_division("abcdefg", (), size, scores))
        assert part * best <= found <= best


@pytest.mark.parametrize("table", [DGX2, TWO_CUBES], ids=lambda table: table.name)
def test_twelve_of_sixteen_gpus_are_divided_as_well_as_by_trying_all(table: LinkTable) -> None:
    gpus = table.gpus()
    scores = pair_scores(gpus)
    uuids = tuple(observed.gpu.uuid for observed in gpus)[2:14]
    best = max(sum(set_score(group, scores) for group in sets) for sets in divisions(uuids, 4))
    assert sum(set_score(group, scores) for group in best_division(uuids, (), 4, scores)) == best


def both_ways(scores: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return scores | {(b, a): score for (a, b), score in scores.items()}
