"""The set of indices beside Python's own."""

from hypothesis import given
from hypothesis import strategies as st

from aliquot.partition.index_set import NOTHING, IndexSet

indices = st.one_of(st.integers(0, 600), st.integers(0, 200_000))


@given(st.lists(indices))
def test_it_is_a_set_that_knows_its_lowest(toggled: list[int]) -> None:
    ours, plain = IndexSet(), set[int]()
    for index in toggled:
        if index in plain:
            ours.remove(index)
            plain.remove(index)
        else:
            ours.add(index)
            plain.add(index)
        assert ours.lowest == min(plain, default=NOTHING)
    assert list(ours) == sorted(plain) and len(ours) == len(plain)
    assert all((index in ours) == (index in plain) for index in toggled)
