"""The bounds against an integer program over the same layouts, and the known ones of an H100."""

from random import Random

import pytest

from aliquot.gpu.boards import boards
from aliquot.partition.integer_program import IntegerProgram
from aliquot.partition.simulation.packing_bounds import PackingBound, packing_bounds
from tests.partition.simulation.boards import states


def test_the_bounds_of_an_h100() -> None:
    assert set(packing_bounds(states("h100-80gb").maximal_counts)) == {
        PackingBound((0, 0, 0, 0, 1, 1), 1),
        PackingBound((0, 0, 1, 1, 2, 3), 3),
        PackingBound((1, 1, 2, 3, 4, 7), 7),
        PackingBound((1, 2, 2, 4, 4, 8), 8),
    }


def distinct_layouts() -> list[str]:
    """A board for each different set of multisets."""
    found: dict[tuple[tuple[int, ...], ...], str] = {}
    for one in boards():
        if one.mig is not None and one.mig.instance_profiles():
            found.setdefault(states(one.key).maximal_counts, one.key)
    return list(found.values())


@pytest.mark.parametrize("key", distinct_layouts())
def test_what_no_bound_forbids_packs(key: str) -> None:
    tables = states(key)
    bounds = packing_bounds(tables.maximal_counts)
    random = Random(7)
    most = [max(counts[p] for counts in tables.maximal_counts) for p in range(len(tables.profiles))]
    for _ in range(60):
        gpus = random.choice((1, 2, 3, 5, 20))
        counts = [0] * len(most)
        # Filled in random order and amounts up to the bounds: just below them is where packing could fail.
        for profile in random.sample(range(len(most)), len(most)):
            wanted = random.randint(0, most[profile] * gpus)
            while wanted and max(b.gpus(counts) for b in bounds) <= gpus:
                counts[profile] += 1
                wanted -= 1
            if max(b.gpus(counts) for b in bounds) > gpus:
                counts[profile] -= 1
        assert fewest_gpus(tables.maximal_counts, counts) == max(b.gpus(counts) for b in bounds)


def fewest_gpus(patterns: tuple[tuple[int, ...], ...], counts: list[int]) -> int:
    program = IntegerProgram()
    used = [program.column(sum(counts)) for _ in patterns]
    for profile, count in enumerate(counts):
        held = [(x, pattern[profile]) for pattern, x in zip(patterns, used, strict=True) if pattern[profile]]
        program.row(held, at_least=count)
    return round(program.minimise(dict.fromkeys(used, 1.0), within_s=10).objective)
