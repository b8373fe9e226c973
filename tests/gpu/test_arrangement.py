from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand, arrange
from aliquot.gpu.driver import ComputeInstance, GpuInstance, InstanceProfile, Placement
from aliquot.gpu.layout import Compute, Geometry, Held, Refusal, RefusalReason, Slice, Wanted, parts_of


def profiles_of(board: str) -> tuple[InstanceProfile, ...]:
    mig = boards.board(board).mig
    assert mig
    return mig.instance_profiles()


PROFILES = {board: profiles_of(board) for board in ("h100-80gb", "a30-24gb")}
STATES = {board: list(Geometry(profiles).states()) for board, profiles in PROFILES.items()}
H100 = PROFILES["h100-80gb"]
BY_NAME = {profile.name: profile for profile in H100}


def demands(*names: str) -> list[Demand]:
    """`3g.40gb`, or `3g.40gb@4` at a start."""
    found = []
    for name in names:
        profile, _, start = name.partition("@")
        found.append(Demand(BY_NAME[profile].profile_id, start=int(start) if start else None))
    return found


def held(name: str, start: int, used_by: str = "", *, parts: Compute = ()) -> Held:
    """`parts`: compute slices of each compute instance."""
    profile = BY_NAME[name]
    compute = tuple(
        ComputeInstance(n, {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}[slices], f"MIG-{n}", f"{slices}c.{name}")
        for n, slices in enumerate(parts_of(parts, profile))
    )
    placement = Placement(start, profile.memory_slots)
    return Held(GpuInstance(10 + start, profile.profile_id, placement, compute), used_by)


def spelled(found: tuple[Wanted, ...] | Refusal) -> list[str]:
    assert not isinstance(found, Refusal), found
    names = {profile.profile_id: profile.name for profile in H100}
    return [f"{names[wanted.slice.profile_id]}@{wanted.slice.start}" for wanted in found]


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        pytest.param([], demands(), [], id="nothing"),
        pytest.param(
            [],
            demands("1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"),
            ["1g.10gb@0", "1g.10gb@1", "2g.20gb@2", "3g.40gb@4"],
            id="an order that fails where the driver chooses",
        ),
        pytest.param(
            [],
            demands("3g.40gb", "2g.20gb", "2g.20gb"),
            ["2g.20gb@0", "2g.20gb@2", "3g.40gb@4"],
            id="what a driver refuses without starts",
        ),
        pytest.param(
            [held("1g.10gb", 5)], demands("1g.10gb"), ["1g.10gb@5"], id="what is there stays where it is"
        ),
        pytest.param(
            [held("3g.40gb", 0, "pod a/b")],
            demands("3g.40gb", "3g.40gb"),
            ["3g.40gb@0", "3g.40gb@4"],
            id="the rest goes beside it",
        ),
        pytest.param([], demands("1g.10gb"), ["1g.10gb@6"], id="alone, where it blocks the least"),
        pytest.param(
            [held("1g.10gb", 0), held("1g.10gb", 6, "pod a/b")],
            demands("1g.10gb"),
            ["1g.10gb@6"],
            id="of two the one in use stays",
        ),
        pytest.param(
            [held("2g.20gb", 0)],
            demands("3g.40gb", "2g.20gb@2"),
            ["2g.20gb@2", "3g.40gb@4"],
            id="a start that is given is kept to",
        ),
    ],
)
def test_demands_get_their_starts(current: list[Held], wanted: list[Demand], expected: list[str]) -> None:
    assert spelled(arrange(H100, current, wanted)) == expected


@pytest.mark.parametrize(
    ("current", "wanted", "reason", "message"),
    [
        pytest.param(
            [],
            demands("3g.40gb", "3g.40gb", "1g.10gb"),
            RefusalReason.TOO_MANY,
            "2 x 3g.40gb and 1 x 1g.10gb do not fit on one GPU: at most 1 3g.40gb fits beside 1 x 1g.10gb",
            id="too many together",
        ),
        pytest.param(
            [],
            demands(*["1g.10gb"] * 8),
            RefusalReason.TOO_MANY,
            "8 x 1g.10gb do not fit on one GPU: at most 7 1g.10gb fit",
            id="too many of one",
        ),
        pytest.param(
            [],
            demands("7g.80gb", "1g.10gb"),
            RefusalReason.TOO_MANY,
            "1 x 7g.80gb and 1 x 1g.10gb do not fit on one GPU: no 7g.80gb fits beside 1 x 1g.10gb",
            id="none beside the other",
        ),
        pytest.param(
            [held("1g.10gb", 0, "pod a/b"), held("1g.10gb", 6)],
            demands("4g.40gb", "1g.10gb"),
            RefusalReason.IN_USE,
            "for 1 x 4g.40gb and 1 x 1g.10gb, 1g.10gb at slot 0, in use by pod a/b, would have to go",
            id="somebody in the way",
        ),
        pytest.param(
            [],
            demands("3g.40gb", "2g.20gb@4", "1g.10gb"),
            None,
            "",
            id="a start that leaves room",
        ),
        pytest.param(
            [],
            demands("3g.40gb", "3g.40gb", "1g.10gb@6"),
            RefusalReason.TOO_MANY,
            "2 x 3g.40gb and 1 x 1g.10gb do not fit on one GPU: at most 1 3g.40gb fits beside 1 x 1g.10gb",
            id="too many, whatever the start",
        ),
        pytest.param(
            [],
            demands("4g.40gb", "2g.20gb@0"),
            RefusalReason.OVERLAP,
            "1 x 4g.40gb and 1 x 2g.20gb fit on one GPU, but not with 2g.20gb at slot 0: leave out a start",
            id="a start in the way",
        ),
        pytest.param(
            [],
            demands("2g.20gb@6"),
            RefusalReason.BAD_START,
            "2g.20gb cannot start at slot 6, only at 0, 2, 4",
            id="no such start",
        ),
        pytest.param(
            [held("1g.10gb", 0, "pod a/b")],
            [],
            RefusalReason.IN_USE,
            "1g.10gb at slot 0, in use by pod a/b, would have to go",
            id="nothing at all",
        ),
        pytest.param(
            [],
            [Demand(9, compute=(2, 2))],
            RefusalReason.BAD_COMPUTE,
            "compute instances of 2 + 2 slices do not fit in 3g.40gb of 3 compute slices",
            id="too many parts",
        ),
        pytest.param(
            [],
            [Demand(99)],
            RefusalReason.UNKNOWN_PROFILE,
            "the board has no profile with id 99",
            id="no such profile",
        ),
    ],
)
def test_a_refusal_proves_that_it_cannot_be(
    current: list[Held], wanted: list[Demand], reason: RefusalReason | None, message: str
) -> None:
    found = arrange(H100, current, wanted)
    if reason is None:
        assert not isinstance(found, Refusal)
        return
    assert isinstance(found, Refusal)
    assert (found.reason, found.message) == (reason, message)


def test_who_was_released_by_name_may_go() -> None:
    current = [held("1g.10gb", 0, "pod a/b")]
    wanted = demands("4g.40gb", "1g.10gb")
    refused = arrange(H100, current, wanted)
    assert isinstance(refused, Refusal) and refused.blocking == (10,)
    assert spelled(arrange(H100, current, wanted, released=[10])) == ["4g.40gb@0", "1g.10gb@6"]


def test_the_parts_of_an_instance_stay_with_it() -> None:
    whole, divided = Demand(9), Demand(9, compute=(1, 2))
    current = [held("3g.40gb", 0), held("3g.40gb", 4, "pod a/b", parts=(1, 2))]
    for wanted in ([whole, divided], [divided, whole]):
        found = arrange(H100, current, wanted)
        assert not isinstance(found, Refusal)
        assert found == (Wanted(Slice(9, 0)), Wanted(Slice(9, 4), (1, 2)))


def test_an_instance_that_is_to_have_nothing_in_it_stays_so() -> None:
    empty, whole = Demand(9, compute=None), Demand(9)
    found = arrange(H100, [held("3g.40gb", 0, parts=None), held("3g.40gb", 4)], [whole, empty])
    assert found == (Wanted(Slice(9, 0), None), Wanted(Slice(9, 4)))


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(sorted(STATES)))
def test_no_other_arrangement_keeps_more(data: st.DataObject, board: str) -> None:
    before = data.draw(st.sampled_from(STATES[board]))
    wished = Counter(slice_.profile_id for slice_ in data.draw(st.sampled_from(STATES[board])))
    used = data.draw(st.sets(st.sampled_from(before))) if before else set()
    current = [
        Held(
            GpuInstance(n, slice_.profile_id, Placement(slice_.start, 1), ()),
            "a pod" if slice_ in used else "",
        )
        for n, slice_ in enumerate(before)
    ]
    alike = [
        set(state)
        for state in STATES[board]
        if Counter(slice_.profile_id for slice_ in state) == wished and used <= set(state)
    ]

    found = arrange(PROFILES[board], current, [Demand(profile_id) for profile_id in wished.elements()])

    if not alike:
        assert isinstance(found, Refusal) and found.reason is RefusalReason.IN_USE
        return
    assert not isinstance(found, Refusal)
    slices = {wanted.slice for wanted in found}
    assert slices in alike
    assert len(slices & set(before)) == max(len(state & set(before)) for state in alike)
