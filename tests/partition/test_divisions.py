"""Divisions beside the layouts that they stand for."""

import pytest

from aliquot.partition.divisions import divisions_of
from tests.partition.boards import states


@pytest.mark.parametrize(("board", "count"), [("h100-80gb", 417), ("a100-80gb", 417), ("a30-24gb", 26)])
def test_there_are_as_many_as_layouts_that_differ_in_slots(board: str, count: int) -> None:
    tables = states(board)
    divisions = divisions_of(tables)
    assert len(divisions) == count and divisions.instances[0] == frozenset()
    layouts = {frozenset(placing.mask for placing in state) for state in tables.states}
    assert set(divisions.instances) == layouts
    for number, instances in enumerate(divisions.instances):
        taken = divisions.occupancies[number]
        assert taken == sum(instances) and taken.bit_count() == sum(map(int.bit_count, instances))
        fits = {placing.mask for placing in tables.placings if not placing.mask & taken}
        assert divisions.after[number].keys() == fits
        for mask, after in divisions.after[number].items():
            assert divisions.instances[after] == instances | {mask}
            assert divisions.without[after][mask] == number
