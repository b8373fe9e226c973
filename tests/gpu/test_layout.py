import dataclasses
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.gpu import boards
from aliquot.gpu.driver import ComputeInstance, ComputeProfile, GpuInstance, InstanceProfile, Placement
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import (
    CreateCompute,
    CreateInstance,
    DestroyCompute,
    DestroyInstance,
    Geometry,
    Held,
    Plan,
    Refusal,
    RefusalReason,
    Slice,
    Step,
    Wanted,
    plan,
)
from aliquot.gpu.simulated import SimulatedDriver


def profiles_of(board: str) -> tuple[InstanceProfile, ...]:
    mig = boards.board(board).mig
    assert mig
    return mig.instance_profiles()


H100 = profiles_of("h100-80gb")
RTX = profiles_of("rtx-pro-6000-96gb")
IDS = {p.name: p.profile_id for p in H100}


def at(*places: tuple[str, int], profiles: Sequence[InstanceProfile] = H100) -> list[Slice]:
    ids = {p.name: p.profile_id for p in profiles}
    return [Slice(ids[name], start) for name, start in places]


def plain(profile: InstanceProfile) -> bool:
    return not profile.attributes


def classic(profile: InstanceProfile) -> bool:
    return plain(profile) and profile.profile_id != 15


def everything(profile: InstanceProfile) -> bool:
    return True


@pytest.mark.parametrize(
    ("board", "chosen", "states", "maximal", "multisets", "masks"),
    [
        ("a100-40gb", classic, 298, 19, 38, 144),
        ("h100-80gb", classic, 298, 19, 38, 144),
        ("h100-80gb", plain, 723, 78, 78, 192),
        ("h100-80gb", everything, 2319, 239, 128, 192),
        ("a30-24gb", plain, 26, 5, 10, 16),
        ("a30-24gb", everything, 76, 17, 20, 16),
    ],
)
def test_the_state_space_is_the_known_one(
    board: str,
    chosen: Callable[[InstanceProfile], bool],
    states: int,
    maximal: int,
    multisets: int,
    masks: int,
) -> None:
    geometry = Geometry(p for p in profiles_of(board) if chosen(p))
    found = list(geometry.states())
    assert found[0] == ()
    assert len(found) == len(set(found)) == states
    assert sum(1 for state in found if geometry.maximal(state)) == maximal
    assert len({tuple(sorted(s.profile_id for s in state)) for state in found}) == multisets
    assert len({geometry.occupancy(state) for state in found}) == masks


@pytest.mark.parametrize("board", ["a100-40gb", "h100-80gb", "b200-180gb"])
def test_memory_slots_alone_keep_compute_within_seven_slices(board: str) -> None:
    geometry = Geometry(profiles_of(board))
    assert (
        max(sum(geometry.profiles[s.profile_id].compute_slices for s in state) for state in geometry.states())
        == 7
    )


@pytest.mark.parametrize(
    ("slices", "legal"),
    [
        (at(), True),
        (at(("3g.40gb", 4), ("4g.40gb", 0)), True),
        (at(("3g.40gb", 0), ("4g.40gb", 0)), False),
        (at(("4g.40gb", 4)), False),
        (at(*(("1g.10gb", n) for n in range(7))), True),
        (at(("1g.10gb", 7)), False),
        (at(("1g.10gb", 0), ("1g.10gb", 0)), False),
        (at(("1g.20gb", 6), ("2g.20gb", 4), ("3g.40gb", 0)), True),
        (at(("2g.20gb", 6)), False),
        (at(("1g.10gb+me", 0), ("1g.10gb", 1)), True),
        (at(("1g.10gb+me", 0), ("1g.10gb+me", 1)), False),
        (at(("7g.80gb", 0), ("1g.10gb", 0)), False),
    ],
)
def test_a_layout_is_legal_when_nothing_overlaps_and_every_start_exists(
    slices: list[Slice], legal: bool
) -> None:
    assert Geometry(H100).legal(slices) is legal


@pytest.mark.parametrize(
    ("places", "legal"),
    [
        ([("1g.24gb+me.all", 0), ("1g.24gb-me", 3)], True),
        ([("1g.24gb+me.all", 0), ("1g.24gb", 3)], False),
        ([("1g.24gb", 3), ("1g.24gb+me.all", 0)], False),
        ([("1g.24gb+me.all", 0), ("1g.24gb+me", 3)], False),
        ([("1g.24gb+me", 0), ("1g.24gb+gfx", 3), ("1g.24gb", 6)], True),
        ([("2g.48gb+me.all", 0), ("2g.48gb-me", 6)], True),
        ([("4g.96gb+gfx", 0)], True),
    ],
)
def test_all_media_engines_in_one_slice_leave_none_to_others(
    places: list[tuple[str, int]], legal: bool
) -> None:
    assert Geometry(RTX).legal(at(*places, profiles=RTX)) is legal


@pytest.mark.parametrize(
    ("profile", "beside", "starts"),
    [
        ("1g.10gb", at(("4g.40gb", 0)), [4, 5, 6]),
        ("3g.40gb", at(("1g.10gb", 6)), [0]),
        ("2g.20gb", at(("3g.40gb", 4)), [0, 2]),
        ("4g.40gb", at(("1g.10gb", 0)), []),
        ("1g.10gb+me", at(("1g.10gb+me", 3)), []),
        ("7g.80gb", at(), [0]),
    ],
)
def test_free_placements_beside_what_cannot_move(
    profile: str, beside: list[Slice], starts: list[int]
) -> None:
    assert [p.start for p in Geometry(H100).free_placements(IDS[profile], beside)] == starts


# --- the difference between two layouts ---


def gpu_instance(gi_id: int, profile: str, start: int, *ci_profiles: int) -> GpuInstance:
    found = next(p for p in H100 if p.name == profile)
    slices = {c.profile_id: c.compute_slices for c in found.compute_profiles}
    compute = tuple(
        ComputeInstance(
            n,
            c,
            f"MIG-{gi_id}-{n}",
            profile if slices[c] == found.compute_slices else f"{slices[c]}c.{profile}",
        )
        for n, c in enumerate(ci_profiles)
    )
    return GpuInstance(gi_id, found.profile_id, Placement(start, found.memory_slots), compute)


def plan_whole(
    profiles: Sequence[InstanceProfile], current: Sequence[Held], slices: Sequence[Slice]
) -> Plan | Refusal:
    """For slices of one compute instance each."""
    return plan(profiles, current, [Wanted(slice_) for slice_ in slices])


ONE_AT_0 = gpu_instance(7, "1g.10gb", 0, 0)
THREE_AT_4 = gpu_instance(2, "3g.40gb", 4, 2)


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        ([], at(), Plan((), ())),
        ([Held(ONE_AT_0)], at(("1g.10gb", 0)), Plan((), (7,))),
        ([Held(ONE_AT_0, "pod a/b")], at(("1g.10gb", 0)), Plan((), (7,))),
        (
            [],
            at(("1g.20gb", 6), ("1g.10gb", 0)),
            Plan(
                (
                    CreateInstance(Slice(19, 0)),
                    CreateCompute(0, 0),
                    CreateInstance(Slice(15, 6)),
                    CreateCompute(6, 7),
                ),
                (),
            ),
        ),
        ([Held(ONE_AT_0)], at(), Plan((DestroyCompute(7, 0), DestroyInstance(7)), ())),
        (
            [Held(ONE_AT_0), Held(THREE_AT_4, "pod a/b")],
            at(("3g.40gb", 4), ("2g.20gb", 0)),
            Plan(
                (DestroyCompute(7, 0), DestroyInstance(7), CreateInstance(Slice(14, 0)), CreateCompute(0, 1)),
                (2,),
            ),
        ),
        (
            [Held(gpu_instance(7, "1g.10gb", 0))],
            at(("1g.10gb", 0)),
            Plan((CreateCompute(0, 0),), (7,)),
        ),
        (
            [Held(gpu_instance(2, "3g.40gb", 4, 0, 1))],
            at(("3g.40gb", 4)),
            Plan((DestroyCompute(2, 0), DestroyCompute(2, 1), CreateCompute(4, 2)), (2,)),
        ),
        (
            [Held(gpu_instance(7, "1g.10gb+me", 0, 0))],
            at(("1g.10gb", 0)),
            Plan(
                (DestroyCompute(7, 0), DestroyInstance(7), CreateInstance(Slice(19, 0)), CreateCompute(0, 0)),
                (),
            ),
        ),
    ],
    ids=[
        "nothing to do",
        "all there",
        "all there and in use",
        "made from nothing",
        "taken away",
        "the used one stays",
        "a half-made instance is completed",
        "parts give way to a whole",
        "another profile at the same start is another slice",
    ],
)
def test_the_difference_keeps_what_matches(current: list[Held], wanted: list[Slice], expected: Plan) -> None:
    assert plan_whole(H100, current, wanted) == expected


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        (
            [Held(ONE_AT_0, "pod a/b")],
            at(),
            Refusal(RefusalReason.IN_USE, "1g.10gb at slot 0 is in use by pod a/b", (7,)),
        ),
        (
            [Held(ONE_AT_0, "pod a/b"), Held(THREE_AT_4, "process 12")],
            at(("7g.80gb", 0)),
            Refusal(
                RefusalReason.IN_USE,
                "3g.40gb at slot 4 is in use by process 12; 1g.10gb at slot 0 is in use by pod a/b",
                (2, 7),
            ),
        ),
        (
            [Held(gpu_instance(2, "3g.40gb", 4, 0), "process 12")],
            at(("3g.40gb", 4)),
            Refusal(RefusalReason.IN_USE, "3g.40gb at slot 4 is in use by process 12", (2,)),
        ),
        (
            [],
            at(("3g.40gb", 4), ("1g.10gb", 6)),
            Refusal(RefusalReason.OVERLAP, "1g.10gb at slot 6 overlaps 3g.40gb at slot 4"),
        ),
        (
            [],
            at(("1g.10gb", 0), ("1g.10gb", 0)),
            Refusal(RefusalReason.OVERLAP, "1g.10gb at slot 0 overlaps 1g.10gb at slot 0"),
        ),
        (
            [],
            at(("2g.20gb", 6)),
            Refusal(RefusalReason.BAD_START, "2g.20gb cannot start at slot 6, only at 0, 2, 4"),
        ),
        (
            [],
            at(("1g.10gb+me", 0), ("1g.10gb+me", 1)),
            Refusal(
                RefusalReason.ENGINES_TAKEN,
                "the media engines that 1g.10gb+me at slot 1 needs are taken by other slices",
            ),
        ),
        ([], [Slice(99, 0)], Refusal(RefusalReason.UNKNOWN_PROFILE, "the board has no profile with id 99")),
    ],
)
def test_a_refusal_says_what_is_in_the_way(
    current: list[Held], wanted: list[Slice], expected: Refusal
) -> None:
    assert plan_whole(H100, current, wanted) == expected


TWO_PARTS = gpu_instance(2, "3g.40gb", 4, 0, 1)
"""Compute instances 0 of one slice and 1 of two."""


@pytest.mark.parametrize(
    ("current", "compute", "expected"),
    [
        pytest.param(
            [],
            (1, 2),
            Plan((CreateInstance(Slice(9, 4)), CreateCompute(4, 1, 2), CreateCompute(4, 0, 1)), ()),
            id="larger parts first",
        ),
        pytest.param([Held(TWO_PARTS, "pod a/b")], (2, 1), Plan((), (2,)), id="in any order"),
        pytest.param([Held(TWO_PARTS)], (2,), Plan((DestroyCompute(2, 0),), (2,)), id="one too many"),
        pytest.param(
            [Held(TWO_PARTS, "pod a/b", frozenset({0}))],
            (2,),
            Plan((DestroyCompute(2, 0),), (2,)),
            id="one too many, which nobody uses",
        ),
        pytest.param(
            [Held(TWO_PARTS, "pod a/b", frozenset({1}))],
            (2,),
            Refusal(RefusalReason.IN_USE, "3g.40gb at slot 4 is in use by pod a/b", (2,)),
            id="one too many, which somebody uses",
        ),
        pytest.param(
            [Held(gpu_instance(2, "3g.40gb", 4, 0, 0), "pod a/b", frozenset({0}))],
            (1,),
            Plan((DestroyCompute(2, 0),), (2,)),
            id="of equal ones the used one stays",
        ),
        pytest.param(
            [Held(gpu_instance(2, "3g.40gb", 4, 0))],
            (1, 1, 1),
            Plan((CreateCompute(4, 0, 1), CreateCompute(4, 0, 1)), (2,)),
            id="more of the same",
        ),
        pytest.param(
            [],
            (2, 2),
            Refusal(
                RefusalReason.BAD_COMPUTE,
                "compute instances of 2 + 2 slices do not fit in 3g.40gb of 3 compute slices",
            ),
            id="too much",
        ),
    ],
)
def test_an_instance_is_divided_as_wanted(
    current: list[Held], compute: tuple[int, ...], expected: Plan | Refusal
) -> None:
    assert plan(H100, current, [Wanted(Slice(9, 4), compute)]) == expected


def test_what_was_released_by_name_may_go_though_it_is_in_use() -> None:
    current = [Held(ONE_AT_0, "pod a/b"), Held(THREE_AT_4, "pod c/d")]
    made = plan(H100, current, [Wanted(Slice(9, 4))], released=(7,))
    assert made == Plan((DestroyCompute(7, 0), DestroyInstance(7)), (2,))
    assert isinstance(plan(H100, current, [], released=(7,)), Refusal)


def test_an_instance_of_a_profile_that_the_driver_no_longer_lists_can_go() -> None:
    foreign = GpuInstance(4, 77, Placement(2, 2), ())
    assert plan_whole(H100, [Held(foreign)], at()) == Plan((DestroyInstance(4),), ())
    refused = plan_whole(H100, [Held(foreign, "process 1")], at())
    assert isinstance(refused, Refusal)
    assert refused.message == "the instance of profile 77 at slot 2 is in use by process 1"


def test_of_two_whole_compute_profiles_the_one_with_all_the_sms_is_made() -> None:
    double = next(p for p in profiles_of("b200-180gb") if p.profile_id == 15)
    both = dataclasses.replace(
        double, compute_profiles=(ComputeProfile(0, 1, 18, 1), ComputeProfile(7, 1, 30, 1))
    )
    made = plan_whole([both], [], [Slice(15, 0)])
    assert isinstance(made, Plan) and made.steps[-1] == CreateCompute(0, 7)


def test_where_compute_profiles_are_not_known_the_driver_finds_the_one_that_fills() -> None:
    three = next(p for p in H100 if p.name == "3g.40gb")
    unknown = dataclasses.replace(three, compute_profiles=())
    made = plan_whole([unknown], [], [Slice(9, 4)])
    assert isinstance(made, Plan) and made.steps[-1] == CreateCompute(4, None)


def test_a_plan_names_the_instances_that_lose_their_devices() -> None:
    made = plan_whole(H100, [Held(ONE_AT_0), Held(gpu_instance(2, "3g.40gb", 4, 0))], at(("3g.40gb", 4)))
    assert isinstance(made, Plan) and made.destroyed == (2, 7)


# --- the same on the simulated driver, for any two layouts ---

STATES = {board: list(Geometry(profiles_of(board)).states()) for board in ("h100-80gb", "a30-24gb")}


def apply(driver: SimulatedDriver, gpu: str, steps: Sequence[Step]) -> None:
    for step in steps:
        match step:
            case DestroyCompute(gi_id, ci_id):
                driver.destroy_compute_instance(gpu, gi_id, ci_id)
            case DestroyInstance(gi_id):
                driver.destroy_gpu_instance(gpu, gi_id)
            case CreateInstance(Slice(profile_id, start)):
                driver.create_gpu_instance(gpu, profile_id, start)
            case CreateCompute(start, profile_id):
                gi_id = next(i.gi_id for i in driver.instances(gpu) if i.placement.start == start)
                driver.create_compute_instance(gpu, gi_id, profile_id)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(sorted(STATES)))
def test_any_layout_is_reached_in_the_fewest_steps_without_touching_what_is_used(
    data: st.DataObject, board: str
) -> None:
    profiles = profiles_of(board)
    before = data.draw(st.sampled_from(STATES[board]))
    after = data.draw(st.sampled_from(STATES[board]))
    driver = SimulatedDriver([InventoryGpus(board, mig=True)], node="n")
    gpu = driver.gpus()[0].uuid
    first = plan_whole(profiles, [], before)
    assert isinstance(first, Plan)
    apply(driver, gpu, first.steps)
    used = data.draw(st.sets(st.sampled_from(before), max_size=2)) if before else set()
    current = driver.instances(gpu)
    for pid, instance in enumerate(current):
        if Slice(instance.profile_id, instance.placement.start) in used:
            driver.start_process(instance.compute_instances[0].uuid, pid=pid)
    held = [Held(i, "a process" if Slice(i.profile_id, i.placement.start) in used else "") for i in current]

    found = plan_whole(profiles, held, after)

    if used - set(after):
        assert isinstance(found, Refusal) and found.reason is RefusalReason.IN_USE
        assert len(found.blocking) == len(used - set(after))
        return
    assert isinstance(found, Plan)
    assert len(found.steps) == 2 * len(set(before) ^ set(after))
    apply(driver, gpu, found.steps)
    reached = driver.instances(gpu)
    assert {Slice(i.profile_id, i.placement.start) for i in reached} == set(after)
    assert all(len(i.compute_instances) == 1 for i in reached)
    untouched = {i for i in current if Slice(i.profile_id, i.placement.start) in after}
    assert untouched <= set(reached)
