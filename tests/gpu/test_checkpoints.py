import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.document import DocumentError
from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.checkpoints import GpuCheckpoint, parse, spell
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.layout import Geometry, Slice
from aliquot.gpu.simulated import SimulatedDriver

CUTTABLE = [board.key for board in boards.boards() if board.mig is not None and board.mig.instance_profiles()]
NUMBERS = {
    "1g.10gb": 0,
    "2g.20gb": 1,
    "3g.40gb": 2,
    "4g.40gb": 3,
    "7g.80gb": 4,
    "1g.10gb+me": 7,
    "1g.20gb": 9,
}


def written(driver: SimulatedDriver) -> str:
    profiles = {
        gpu.uuid: () if board_has_none(gpu.board) else driver.instance_profiles(gpu.uuid)
        for gpu in driver.gpus()
    }
    return spell((gpu, profiles[gpu.uuid], driver.instances(gpu.uuid)) for gpu in driver.gpus())


def board_has_none(key: str) -> bool:
    return boards.board(key).mig is None


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_profiles_are_written_under_nvmls_own_numbers(name: str, number: int) -> None:
    driver = SimulatedDriver([InventoryGpus("h100-80gb", mig=True)], node="n")
    gpu = driver.gpus()[0].uuid
    profile = next(p for p in driver.instance_profiles(gpu) if p.name == name)
    made = driver.create_gpu_instance(gpu, profile.profile_id, None)
    driver.create_compute_instance(gpu, made.gi_id, None)
    (device,) = json.loads(written(driver))["MigState"]["Devices"]
    assert (device["UUID"], device["MigMode"]) == (gpu, 1)
    (instance,) = device["GpuInstances"]
    assert instance["ProfileID"] == number
    assert instance["Placement"] == {"Start": made.placement.start, "Size": made.placement.size}
    slices = {0: 1, 1: 2, 2: 3, 3: 4, 4: 7}[instance["ComputeInstances"][0]["ProfileID"]]
    assert slices == profile.compute_slices


def test_an_instance_without_compute_instances_comes_back_without_them() -> None:
    driver = SimulatedDriver([InventoryGpus("h100-80gb", mig=True)], node="n")
    gpu = driver.gpus()[0].uuid
    driver.create_gpu_instance(gpu, 9, 4)
    saved = parse(written(driver), source="c.json").of(gpu, driver.instance_profiles(gpu))
    assert saved.demands == (Demand(9, None, 4),)


def test_gpus_without_mig_are_left_out_and_those_with_mig_off_have_no_instances() -> None:
    driver = SimulatedDriver([InventoryGpus("l4"), InventoryGpus("a30-24gb")], node="n")
    (device,) = json.loads(written(driver))["MigState"]["Devices"]
    assert device == {"UUID": driver.gpus()[1].uuid, "MigMode": 0, "GpuInstances": None}


def test_a_checkpoint_of_mig_parted_is_read() -> None:
    text = """{"Version":"v1","MigState":{"Devices":[{"UUID":"GPU-1","MigMode":1,"GpuInstances":[
      {"ProfileID":2,"Placement":{"Start":4,"Size":4},"ComputeInstances":[
        {"ProfileID":0,"EngProfileID":0},{"ProfileID":1,"EngProfileID":0}]},
      {"ProfileID":9,"Placement":{"Start":0,"Size":2},"ComputeInstances":[{"ProfileID":0,"EngProfileID":0}]}]},
      {"UUID":"GPU-2","MigMode":0,"GpuInstances":null}]}}"""
    mig = boards.board("h100-80gb").mig
    assert mig
    found = parse(text, source="c.json")
    assert found.uuids == ("GPU-1", "GPU-2")
    demands = (Demand(9, (1, 2), 4), Demand(15, (), 0))
    assert found.of("GPU-1", mig.instance_profiles()) == GpuCheckpoint("GPU-1", True, demands)
    assert found.of("GPU-2", mig.instance_profiles()) == GpuCheckpoint("GPU-2", False, ())


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(CUTTABLE))
def test_what_is_written_is_read_as_it_was(data: st.DataObject, board: str) -> None:
    driver = SimulatedDriver([InventoryGpus(board, mig=True)], node="n")
    gpu = driver.gpus()[0].uuid
    profiles = driver.instance_profiles(gpu)
    geometry = Geometry(profiles)
    placed: list[Slice] = []
    for slice_ in data.draw(st.permutations(geometry.placements)):
        if geometry.fits(slice_, placed):
            made = driver.create_gpu_instance(gpu, slice_.profile_id, slice_.start)
            driver.create_compute_instance(gpu, made.gi_id, None)
            placed.append(slice_)
    found = parse(written(driver), source="c.json").of(gpu, profiles)
    assert found.mig
    assert set(found.demands) == {Demand(slice_.profile_id, (), slice_.start) for slice_ in placed}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Version":"v2","MigState":{"Devices":[]}}', "version 'v2' is not 'v1'"),
        ('{"MigState":{"Devices":[]}}', "version"),
        (
            '{"Version":"v1","MigState":{"Devices":[{"UUID":"a","MigMode":3}]}}',
            "MigMode is 0 (disabled) or 1",
        ),
        (
            '{"Version":"v1","MigState":{"Devices":[{"UUID":"a","MigMode":0},{"UUID":"a","MigMode":0}]}}',
            "GPU a is given twice",
        ),
        ("{", "c.json"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(text, source="c.json")
    assert message.lower() in str(refused.value).lower()


def test_a_profile_that_the_board_does_not_have_is_named() -> None:
    text = '{"Version":"v1","MigState":{"Devices":[{"UUID":"a","MigMode":1,"GpuInstances":[{"ProfileID":4,"Placement":{"Start":0,"Size":8}}]}]}}'
    mig = boards.board("a30-24gb").mig
    assert mig
    with pytest.raises(DocumentError, match="no GPU instance profile of NVML's number 4"):
        parse(text, source="c.json").of("a", mig.instance_profiles())
