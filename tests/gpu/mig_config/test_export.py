from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.gpu.driver import Gpu, MigState
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.export import Cut, cut, export
from aliquot.gpu.mig_config.file import Entry, MigConfigFile, parse, spell
from aliquot.gpu.mig_config.selection import select
from aliquot.gpu.simulated import SimulatedDriver

A100, H100, L4 = DeviceFilter(0x20B010DE), DeviceFilter(0x233010DE), DeviceFilter(0x27B810DE)
CUTS: dict[str, tuple[bool, dict[str, int]]] = {
    "off": (False, {}),
    "on": (True, {}),
    "seven": (True, {"1g.10gb": 7}),
    "two": (True, {"3g.40gb": 2}),
}
ON = Entry(True)
OFF = Entry(False)


def cuts(text: str) -> list[Cut]:
    """`h100-80gb seven, h100-80gb off`"""
    parts = [part.split() for part in text.split(",") if part]
    gpus = gpus_of(",".join(board for board, _ in parts)) if parts else []
    return [Cut(gpu, *CUTS[how]) for gpu, (_, how) in zip(gpus, parts, strict=True)]


def gpus_of(text: str) -> list[Gpu]:
    return list(SimulatedDriver(parse_gpus(text), node="n").gpus())


@pytest.mark.parametrize(
    ("node", "entries"),
    [
        pytest.param("h100-80gb off", [OFF], id="one GPU"),
        pytest.param("h100-80gb off,h100-80gb off", [OFF], id="one kind, cut alike"),
        pytest.param(
            "h100-80gb off,h100-80gb on,h100-80gb off",
            [replace(OFF, devices=(0, 2)), replace(ON, devices=(1,))],
            id="one kind, cut differently",
        ),
        pytest.param("a100-40gb off,h100-80gb off", [OFF], id="two kinds, cut alike"),
        pytest.param(
            "a100-40gb off,a100-40gb off,h100-80gb on,h100-80gb on",
            [replace(OFF, filters=(A100,)), replace(ON, filters=(H100,))],
            id="two kinds, each cut in its way",
        ),
        pytest.param(
            "a100-40gb off,a100-40gb on,h100-80gb off,h100-80gb on",
            [
                replace(OFF, devices=(0, 2), filters=(A100, H100)),
                replace(ON, devices=(1, 3), filters=(A100, H100)),
            ],
            id="two kinds, and both have both ways",
        ),
        pytest.param(
            "a100-40gb off,a100-40gb on,h100-80gb on",
            [replace(OFF, devices=(0,), filters=(A100,)), replace(ON, devices=(1, 2), filters=(A100, H100))],
            id="two kinds, and one of them in two ways",
        ),
        pytest.param(
            "h100-80gb seven,l4 off,a100-40gb seven,l4 off",
            [
                Entry(True, None, (A100, H100), {"1g.10gb": 7}),
                replace(OFF, filters=(L4,)),
            ],
            id="boards without MIG are off",
        ),
        pytest.param(
            "h100-80gb on,h100-80gb seven,h100-80gb two",
            [
                replace(ON, devices=(0,)),
                Entry(True, (1,), counts={"1g.10gb": 7}),
                Entry(True, (2,), counts={"3g.40gb": 2}),
            ],
            id="slices tell ways apart",
        ),
        pytest.param(
            "thor-igpu off,h100-80gb on",
            [replace(OFF, devices=(0,)), replace(ON, filters=(H100,))],
            id="a GPU without a device id goes by its index",
        ),
    ],
)
def test_gpus_that_are_cut_alike_share_an_entry(node: str, entries: list[Entry]) -> None:
    assert export(cuts(node)) == MigConfigFile({"current": tuple(entries)})


def test_the_subsystem_is_left_out_so_that_the_file_fits_all_boards_of_a_kind() -> None:
    one, other = cuts("h100-80gb off,a100-40gb on")
    one = replace(one, gpu=replace(one.gpu, pci_subsystem_id=0x16C110DE))
    assert [entry.filters for entry in export([one, other]).choose("current")] == [(H100,), (A100,)]


def test_the_configuration_has_the_name_that_is_asked_for() -> None:
    assert list(export(cuts("l4 off"), "mine").configs) == ["mine"]


def test_no_gpu_no_configuration() -> None:
    assert export([]) == MigConfigFile({})


def test_a_cut_counts_mig_devices_by_name() -> None:
    driver = SimulatedDriver(parse_gpus("h100-80gb:mig"), node="n")
    (gpu,) = driver.gpus()
    for profile_id, parts in ((9, (0, 1)), (19, (None,)), (19, (None,)), (14, ())):
        made = driver.create_gpu_instance(gpu.uuid, profile_id, None)
        for part in parts:
            driver.create_compute_instance(gpu.uuid, made.gi_id, part)
    profiles, instances = driver.instance_profiles(gpu.uuid), driver.instances(gpu.uuid)
    assert cut(gpu, profiles, instances) == Cut(gpu, True, {"1g.10gb": 2, "1c.3g.40gb": 1, "2c.3g.40gb": 1})


@pytest.mark.parametrize(
    ("mode", "on"),
    [
        (MigState.UNSUPPORTED, False),
        (MigState.DISABLED, False),
        (MigState.PENDING_ENABLE, False),
        (MigState.ENABLED, True),
        (MigState.PENDING_DISABLE, True),
    ],
)
def test_the_mode_is_the_one_that_holds_now(mode: MigState, on: bool) -> None:
    (gpu,) = gpus_of("h100-80gb")
    assert cut(replace(gpu, mig=mode), (), ()).mig_enabled is on


nodes = st.lists(
    st.tuples(
        st.sampled_from(["h100-80gb", "a100-40gb", "a30-24gb", "thor-igpu"]), st.sampled_from(sorted(CUTS))
    ),
    min_size=1,
    max_size=8,
).map(lambda gpus: ",".join(f"{board} {'off' if board == 'thor-igpu' else how}" for board, how in gpus))


@given(nodes)
def test_what_is_exported_selects_for_each_gpu_the_way_it_is_cut(node: str) -> None:
    known = cuts(node)
    exported = parse(spell(export(known)), source="f").choose("current")
    selection = select(exported, [one.gpu for one in known])
    assert not selection.unmatched
    for one in known:
        entry = selection.entries.get(one.gpu.uuid)
        if one.gpu.mig is not MigState.UNSUPPORTED:
            assert entry is not None
            assert (entry.mig_enabled, entry.counts) == (one.mig_enabled, one.counts)
