"""Which counts an A100-40GB can have: the rows that mig-parted's own list of known configurations decides, by geometry."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations_with_replacement

import pytest

from aliquot.document import DocumentError
from aliquot.gpu import boards
from aliquot.gpu.arrangement import arrange
from aliquot.gpu.demands import counted, demands
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Refusal
from aliquot.gpu.mig_config.file import parse
from aliquot.gpu.profiles import UnknownProfile


def a100() -> tuple[InstanceProfile, ...]:
    mig = boards.board("a100-40gb").mig
    assert mig
    return mig.instance_profiles()


A100 = a100()


def valid(counts: Mapping[str, int]) -> bool:
    """As a whole: the file is good, the names are the board's, and the slices find room."""
    listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
    text = (
        f"version: v1\nmig-configs: {{a: [{{devices: all, mig-enabled: true, mig-devices: {{{listed}}}}}]}}"
    )
    try:
        (entry,) = parse(text, source="f").choose("a")
        wanted = counted(entry.counts, A100)
    except (DocumentError, UnknownProfile):
        return False
    return not isinstance(arrange(A100, (), demands(wanted, A100)), Refusal)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"bogus": 1}, False, id="no profile name"),
        pytest.param({"bogus": 0}, False, id="none of no profile name"),
        pytest.param({"1g.20gb": 1}, False, id="a profile of another board"),
        pytest.param({"1g.5gb": 7}, True, id="as many as there are"),
        pytest.param({"1g.5gb": 6}, True, id="one fewer"),
        pytest.param({"1g.5gb": 8}, False, id="one more"),
        pytest.param({"1g.5gb": 0}, False, id="none"),
        pytest.param({"1g.5gb": 3, "2g.10gb": 2}, True, id="two sizes that fill it"),
        pytest.param({"1g.5gb": 2, "2g.10gb": 2}, True, id="fewer of one"),
        pytest.param({"1g.5gb": 2, "2g.10gb": 1}, True, id="fewer of both"),
        pytest.param({"1g.5gb": 4, "2g.10gb": 2}, False, id="one more than fills it"),
        pytest.param({"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}, True, id="balanced"),
        pytest.param({"3g.20gb": 1, "4g.20gb": 1}, True, id="three and four"),
        pytest.param({"4g.20gb": 2}, False, id="four twice"),
        pytest.param({"7g.40gb": 1, "1g.5gb": 1}, False, id="one beside the whole"),
        pytest.param({"1g.5gb+me": 1, "1g.5gb": 6}, True, id="media engines once"),
        pytest.param({"1g.5gb+me": 2}, False, id="media engines twice"),
        pytest.param({"1g.10gb": 4}, True, id="double memory"),
        pytest.param({"1g.10gb": 4, "1g.5gb": 1}, False, id="double memory takes it all"),
        pytest.param({"1c.3g.20gb": 6}, True, id="parts fill two wholes"),
        pytest.param({"1c.3g.20gb": 7}, False, id="parts of three wholes"),
        pytest.param({"2c.3g.20gb": 2, "1c.3g.20gb": 2}, True, id="parts packed together"),
        pytest.param({"2c.3g.20gb": 3}, False, id="parts that cannot share"),
        pytest.param({"1c.7g.40gb": 7}, True, id="parts of the whole GPU"),
        pytest.param({"4c.7g.40gb": 2}, False, id="parts that are too large together"),
        pytest.param({"1c.4g.20gb": 4, "1c.3g.20gb": 3}, True, id="parts of two wholes"),
    ],
)
def test_which_counts_an_a100_can_have(counts: dict[str, int], expected: bool) -> None:
    assert valid(counts) is expected


def test_counts_are_valid_exactly_when_some_layout_has_them() -> None:
    names = {profile.profile_id: profile.name for profile in A100}
    states = Geometry(A100).states()
    possible = {frozenset(Counter(names[one.profile_id] for one in state).items()) for state in states}
    tried = [
        Counter(chosen)
        for size in range(1, 5)
        for chosen in combinations_with_replacement([profile.name for profile in A100], size)
    ]
    assert len(tried) == 329
    for counts in tried:
        assert valid(counts) is (frozenset(counts.items()) in possible), counts
