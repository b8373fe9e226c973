"""What is exported from any machine, and applied to another of the same boards, is exported again from that one."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.clock import VirtualClock
from aliquot.gpu import checkpoints
from aliquot.gpu.driver import InstanceProfile, MigState
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.mig_config.export import cut, export
from aliquot.gpu.mig_config.file import Entry, parse, spell
from aliquot.gpu.mig_config.selection import select
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.applying import Applying, Done, Work
from aliquot.node.mig.goals import goal
from aliquot.node.mig.reconfiguration import Change, Goal, reconfigure
from tests.node.machines import directly, virtual

MIXES = [
    ["h100-80gb", "h100-80gb", "h100-80gb"],
    ["a100-80gb", "h100-80gb", "l4", "a100-80gb"],
    ["a30-24gb"],
    ["rtx-pro-6000-96gb"],
]


def driver_of(mix: list[str]) -> SimulatedDriver:
    return SimulatedDriver([InventoryGpus(board) for board in mix], node="n")


def look(driver: SimulatedDriver) -> list[ObservedGpu]:
    return [observe_gpu(driver, gpu, with_links=False) for gpu in driver.gpus()]


def cut_at_random(driver: SimulatedDriver, data: st.DataObject) -> None:
    """Any legal layout, instances whole or in parts, made in any order."""
    for gpu in driver.gpus():
        if gpu.mig is MigState.UNSUPPORTED or not data.draw(st.booleans(), label="MIG on"):
            continue
        if driver.set_mig_mode(gpu.uuid, True) is MigState.PENDING_ENABLE:
            driver.reset_gpu(gpu.uuid)
        profiles = {profile.profile_id: profile for profile in driver.instance_profiles(gpu.uuid)}
        geometry = Geometry(tuple(profiles.values()))
        there: list[Slice] = []
        while fitting := [slice_ for slice_ in geometry.placements if geometry.fits(slice_, there)]:
            slice_ = data.draw(st.sampled_from([None, *fitting]))
            if slice_ is None:
                break
            there.append(slice_)
            made = driver.create_gpu_instance(gpu.uuid, slice_.profile_id, slice_.start)
            for part in parts(profiles[slice_.profile_id], data):
                driver.create_compute_instance(gpu.uuid, made.gi_id, part)


def parts(profile: InstanceProfile, data: st.DataObject) -> list[int | None]:
    """At least one; None fills it."""
    if data.draw(st.booleans(), label="whole"):
        return [None]
    found: list[int | None] = []
    left = profile.compute_slices
    while fitting := [
        known
        for known in profile.compute_profiles
        if known.compute_slices <= left and found.count(known.profile_id) < known.max_instances
    ]:
        part = data.draw(st.sampled_from([*fitting, None] if found else fitting))
        if part is None:
            break
        found.append(part.profile_id)
        left -= part.compute_slices
    return found


def text_of(driver: SimulatedDriver) -> str:
    return spell(export(cut(one.gpu, known_profiles(one), one.instances) for one in look(driver)))


def goals_of(text: str, driver: SimulatedDriver) -> dict[str, Goal]:
    entries: tuple[Entry, ...] = parse(text, source="f").choose(None)
    chosen = select(entries, driver.gpus()).entries
    found = {}
    for one in look(driver):
        if one.gpu.uuid in chosen:
            aim = goal(chosen[one.gpu.uuid], one)
            assert isinstance(aim, Goal), aim
            found[one.gpu.uuid] = aim
    return found


def changes(driver: SimulatedDriver, goals: dict[str, Goal]) -> list[Work]:
    found = []
    for one in look(driver):
        if one.gpu.uuid in goals:
            change = reconfigure(one, goals[one.gpu.uuid], {})
            assert isinstance(change, Change), change
            found.append(Work(one, change))
    return found


def apply(driver: SimulatedDriver, works: list[Work]) -> None:
    with TemporaryDirectory() as directory:
        applying = Applying(
            driver, directory=Path(directory), clock=VirtualClock(), run_blocking=directly, patience_s=0
        )
        results = virtual(applying.apply(works))
    assert all(isinstance(result, Done) for result in results.values()), results


@pytest.mark.parametrize("mix", MIXES, ids="+".join)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_exported_is_what_there_is(mix: list[str], data: st.DataObject) -> None:
    one, other = driver_of(mix), driver_of(mix)
    cut_at_random(one, data)
    exported = text_of(one)
    assert not any(work.change.steps for work in changes(one, goals_of(exported, one)))
    # From whatever is there, too.
    cut_at_random(other, data)
    apply(other, changes(other, goals_of(exported, other)))
    assert text_of(other) == exported
    assert not any(work.change.steps for work in changes(other, goals_of(exported, other)))


@pytest.mark.parametrize("mix", MIXES, ids="+".join)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_restored_is_exactly_what_was_saved(mix: list[str], data: st.DataObject) -> None:
    driver = driver_of(mix)
    cut_at_random(driver, data)
    text = spelled(driver)
    saved = checkpoints.parse(text, source="c")
    there: dict[str, Sequence[InstanceProfile]] = {one.gpu.uuid: known_profiles(one) for one in look(driver)}
    goals = {}
    for uuid in saved.uuids:
        checkpoint = saved.of(uuid, there[uuid])
        goals[uuid] = Goal(checkpoint.mig, checkpoint.demands)
    assert not any(work.change.steps for work in changes(driver, goals))
    driver.reboot()
    apply(driver, changes(driver, goals))
    assert in_no_order(spelled(driver), there) == in_no_order(text, there)


def spelled(driver: SimulatedDriver) -> str:
    return checkpoints.spell((one.gpu, known_profiles(one), one.instances) for one in look(driver))


def in_no_order(text: str, profiles: dict[str, Sequence[InstanceProfile]]) -> list[object]:
    """Instances are listed by their ids, which are the driver's to give."""
    saved = checkpoints.parse(text, source="c")
    return [
        (one.uuid, one.mig, {(d.start, d.profile_id, tuple(sorted(d.compute or ()))) for d in one.demands})
        for one in (saved.of(uuid, profiles[uuid]) for uuid in saved.uuids)
    ]
