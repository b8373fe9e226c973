"""Which whole GPUs go together: what GetPreferredAllocation chooses, beside a search of every division.

"set" is the score of the GPUs that are given, "whole" that of the best division they are part of, which is what the
search is after. Times are of one choice with the links read already, in CPU milliseconds; the search runs once a line,
and looks each set's score up once it knows it.
"""

import random
import time
from collections.abc import Sequence

from aliquot.node.division import best_division
from aliquot.node.linked_sets import PairScores, best_linked_set, pair_scores
from benchmarks import partition_search
from benchmarks.clusters import machine, percentile
from benchmarks.link_tables import OF_EIGHT, OF_SIXTEEN, LinkTable
from benchmarks.partition_search import set_score

GOAL_MS = 5.0
SIZES = (2, 4, 8)


def main(short: bool = False) -> None:
    rounds = 20 if short else 200
    print(
        f"GPUs for one container, all of the machine free ({machine()}; goal: 8 of 16 under {GOAL_MS:g} ms)"
    )
    print(
        f"  {'':<20}{'GPUs':>8}{'set':>7}{'whole':>8}{'first ms':>10}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'search: set':>14}{'whole':>8}{'ms':>11}"
    )
    for table in (*OF_EIGHT, *OF_SIXTEEN):
        scores = pair_scores(table.gpus())
        for size in SIZES:
            if size < table.count:
                _all_free(table, scores, size, rounds, searched=table.count < 16 or size == 8 or not short)
    _parts_free(10 if short else 100)


def _all_free(table: LinkTable, scores: PairScores, size: int, rounds: int, *, searched: bool) -> None:
    uuids = _uuids(table)
    took_ms = []
    for _ in range(rounds):
        began = time.process_time()
        chosen = best_linked_set(uuids, (), size, scores)
        took_ms.append((time.process_time() - began) * 1e3)
    line = (
        f"  {table.name:<20}{f'{size} of {table.count}':>8}{set_score(chosen, scores):>7}"
        f"{_whole(best_division(uuids, (), size, scores), scores):>8}{took_ms[0]:>10.2f}"
        f"{percentile(took_ms[1:], 0.5):>8.2f}{percentile(took_ms[1:], 0.99):>8.2f}"
    )
    if not searched:
        print(f"{line}{'not with --short':>33}")
        return
    began = time.process_time()
    found = partition_search.best(uuids, (), size, scores)
    ms = (time.process_time() - began) * 1e3
    theirs = max(set_score(group, scores) for group in found if len(group) == size)
    print(f"{line}{theirs:>14}{_whole(found, scores):>8}{ms:>11.1f}", flush=True)


def _parts_free(rounds: int) -> None:
    """Up to twelve free GPUs, any size, sometimes one that must be included."""
    rng = random.Random(1)
    print(
        f"  {rounds} questions to each with some GPUs free: how many divisions are as good as the best there is"
    )
    for table in (*OF_EIGHT, *OF_SIXTEEN):
        uuids, scores = _uuids(table), pair_scores(table.gpus())
        parts = []
        for _ in range(rounds):
            free = rng.sample(uuids, rng.randint(2, min(12, table.count)))
            free.sort(key=uuids.index)
            size = rng.randint(2, len(free))
            must = rng.sample(free, rng.randint(0, 1))
            best = _whole(partition_search.best(free, must, size, scores), scores)
            parts.append(_whole(best_division(free, must, size, scores), scores) / best)
        print(
            f"  {table.name:<20}{sum(part == 1 for part in parts):>8}   the least {min(parts):.1%}",
            flush=True,
        )


def _uuids(table: LinkTable) -> list[str]:
    return [observed.gpu.uuid for observed in table.gpus()]


def _whole(division: Sequence[Sequence[str]], scores: PairScores) -> int:
    return sum(set_score(group, scores) for group in division)
