from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.gpu.driver import Gpu
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.file import Entry
from aliquot.gpu.mig_config.selection import SelectionError, select
from aliquot.gpu.simulated import SimulatedDriver

A100, H100, L4 = "0x20B010DE", "0x233010DE", "0x27B810DE"
OFF, SLICED = Entry(False), Entry(True, counts={"1g.10gb": 4})


def gpus(text: str) -> list[Gpu]:
    return list(SimulatedDriver(parse_gpus(text), node="n").gpus())


def entry(base: Entry, *devices: int, on: str = "") -> Entry:
    """`on`: device filters, with blanks."""
    filters = tuple(DeviceFilter.parse(text) for text in on.split())
    return replace(base, devices=devices or None, filters=filters)


@pytest.mark.parametrize(
    ("node", "entries", "expected"),
    [
        pytest.param("h100-80gb:3", [OFF], [1, 1, 1], id="all devices"),
        pytest.param("h100-80gb:3", [entry(OFF, 0, 2), entry(SLICED, 1)], [1, 2, 1], id="by index"),
        pytest.param("h100-80gb:3", [entry(OFF, 1)], [None, 1, None], id="nobody's GPUs"),
        pytest.param(
            "h100-80gb:2,a100-40gb:2",
            [entry(OFF, on=A100), entry(SLICED, on=H100)],
            [2, 2, 1, 1],
            id="by device id",
        ),
        pytest.param(
            "h100-80gb,a100-40gb,l4", [entry(OFF, on=f"{A100} {H100}")], [1, 1, None], id="by several"
        ),
        pytest.param(
            "h100-80gb:2,a100-40gb:2",
            [entry(OFF, 0, 1, 2, on=A100), entry(SLICED, 0, 1, 3, on=H100)],
            [2, 2, 1, None],
            id="index and device id must both fit",
        ),
        pytest.param(
            "h100-80gb:2",
            [entry(OFF, 0, 1, 2, 3, on=A100), entry(SLICED)],
            [2, 2],
            id="an entry for boards of other nodes may name GPUs that are not here",
        ),
        pytest.param(
            "h100-80gb", [entry(OFF, on=f"{H100}:0x16C110DE")], [None], id="the subsystem is unknown"
        ),
        # boards without MIG
        pytest.param("l4,h100-80gb", [SLICED], ["left", 1], id="slices for all are for those with MIG"),
        pytest.param(
            "l4,h100-80gb", [entry(SLICED, on=f"{L4} {H100}")], ["left", 1], id="all of some boards"
        ),
        pytest.param("l4,h100-80gb", [OFF], ["left", 1], id="off for all"),
        pytest.param("l4,h100-80gb", [entry(OFF, 0), entry(SLICED, 1)], ["left", 2], id="off for one"),
        # edges
        pytest.param("h100-80gb", [], [None], id="no entry"),
        pytest.param("h100-80gb", [replace(OFF, devices=())], [None], id="an entry for no device"),
    ],
)
def test_which_entry_is_for_which_gpu(
    node: str, entries: list[Entry], expected: list[int | str | None]
) -> None:
    found = gpus(node)
    selection = select(entries, found)
    by_index = [
        "unmatched" if gpu in selection.unmatched else selection.entries.get(gpu.uuid, "left")
        for gpu in found
    ]
    assert by_index == [
        "unmatched" if one is None else one if isinstance(one, str) else entries[one - 1] for one in expected
    ]


def test_the_subsystem_tells_boards_of_one_chip_apart() -> None:
    one, other = (
        replace(gpu, pci_subsystem_id=subsystem)
        for gpu, subsystem in zip(gpus("h100-80gb:2"), (0x16C010DE, 0x16C110DE), strict=True)
    )
    entries = [entry(OFF, on=f"{H100}:0x16C110DE"), entry(SLICED, on=f"{H100}:0x16C010DE")]
    assert select(entries, [one, other]).entries == {one.uuid: entries[1], other.uuid: entries[0]}


def test_a_node_without_gpus_has_nothing_to_select() -> None:
    assert select([OFF, entry(SLICED, on=A100)], []).entries == {}


@pytest.mark.parametrize(
    ("node", "entries", "message"),
    [
        pytest.param(
            "h100-80gb:2",
            [entry(OFF, 1), entry(OFF, 0), SLICED],
            "entries 2 and 3 are both for GPU 0 (NVIDIA H100 80GB HBM3): give each its own devices or device-filter",
            id="two entries for one GPU",
        ),
        pytest.param(
            "h100-80gb,a100-40gb",
            [entry(OFF, on=A100), entry(OFF, on=f"{H100} {A100}")],
            "entries 1 and 2 are both for GPU 1 (NVIDIA A100-SXM4-40GB): give each its own devices or device-filter",
            id="two filters for one GPU",
        ),
        pytest.param(
            "h100-80gb:2",
            [entry(OFF, 0), entry(SLICED, 1, 2, 9)],
            "entry 2 is for GPU 2, 9: the node has 0, 1",
            id="an index that is not there",
        ),
        pytest.param(
            "h100-80gb,a100-40gb",
            [entry(OFF, 5, on=A100)],
            "entry 1 is for GPU 5: the node has 0, 1",
            id="an index that is not there, and the board is",
        ),
        pytest.param("", [entry(OFF, 0)], "entry 1 is for GPU 0: the node has no GPU", id="no GPU at all"),
        pytest.param(
            "h100-80gb,l4",
            [entry(SLICED, 0, 1)],
            "entry 1 turns MIG on for GPU 1 (NVIDIA L4), which has none: leave it out of devices",
            id="MIG for a board without",
        ),
        pytest.param(
            "a100-40gb",
            [OFF, entry(SLICED, on="A100-SXM4-40GB")],
            "entry 2: device-filter 'A100-SXM4-40GB' is no PCI id and would match nothing: give one like 0x233010DE",
            id="a filter that can match nothing",
        ),
    ],
)
def test_what_does_not_fit_the_node_is_refused(node: str, entries: list[Entry], message: str) -> None:
    with pytest.raises(SelectionError) as caught:
        select(entries, gpus(node) if node else [])
    assert str(caught.value) == message


def test_a_lost_gpu_leaves_a_gap_among_the_indexes() -> None:
    first, _, third = gpus("h100-80gb:3")
    assert select([entry(OFF, 2)], [first, third]).unmatched == (first,)
    with pytest.raises(SelectionError, match=r"^entry 1 is for GPU 1: the node has 0, 2$"):
        select([entry(OFF, 1)], [first, third])


NODE = gpus("h100-80gb:2,a100-40gb:2,l4")
entries_of_a_node = st.lists(
    st.builds(
        entry,
        st.sampled_from([OFF, SLICED]),
        *[st.integers(0, 4)] * 2,
        on=st.sampled_from(["", A100, H100, f"{A100} {L4}"]),
    ),
    max_size=4,
)


@given(entries_of_a_node)
def test_every_gpu_is_selected_left_or_nobodys(entries: list[Entry]) -> None:
    try:
        selection = select(entries, NODE)
    except SelectionError as error:
        assert "\n" not in str(error)
        return
    for gpu in NODE:
        of_it = [
            one
            for one in entries
            if gpu.index in (one.devices or ())
            and (not one.filters or DeviceFilter(gpu.pci_device_id) in one.filters)
        ]
        assert len(of_it) <= 1
        assert (gpu in selection.unmatched) is (not of_it)
        selected = selection.entries.get(gpu.uuid)
        assert selected is None or selected is of_it[0]
        assert selected is not None or not of_it or gpu.product == "NVIDIA L4"
