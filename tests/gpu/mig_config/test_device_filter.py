from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.mig_config.device_filter import BadDeviceFilter, DeviceFilter, any_matches
from aliquot.gpu.simulated import SimulatedDriver

H100 = replace(
    SimulatedDriver([InventoryGpus("h100-80gb")], node="n").gpus()[0],
    pci_device_id=0x233010DE,
    pci_subsystem_id=0x16C010DE,
)


@pytest.mark.parametrize(
    ("filters", "matched"),
    [
        pytest.param([], True, id="no filter is for every GPU"),
        pytest.param(["0x233010DE"], True, id="without a subsystem it is any"),
        pytest.param(["0x233010de"], True, id="digits of either case"),
        pytest.param(["0X233010DE"], True, id="prefix of either case"),
        pytest.param(["590352606"], True, id="a decimal number is the same number"),
        pytest.param(["0x233110DE"], False, id="another chip"),
        pytest.param(["0x23301002"], False, id="another vendor"),
        pytest.param(["0x233010DE:0x16C010DE"], True, id="the very board"),
        pytest.param(["0x233010DE:0x16C110DE"], False, id="a sibling of the board"),
        pytest.param(["0x233110DE:0x16C010DE"], False, id="the subsystem alone does not do"),
        pytest.param(["0x233010DE:0x16C110DE", "0x233010DE:0x16C010DE"], True, id="one of several does"),
        pytest.param(["NVIDIA H100 80GB HBM3"], False, id="a product name matches nothing"),
        pytest.param(["A100-SXM4-40GB", "0x233010DE"], True, id="a word does not harm the others"),
    ],
)
def test_which_filters_match_a_gpu(filters: list[str], matched: bool) -> None:
    assert any_matches([DeviceFilter.parse(text) for text in filters], H100) is matched


@pytest.mark.parametrize(
    ("device_id", "subsystem_id", "text", "matched"),
    [
        pytest.param(0x233010DE, None, "0x233010DE", True, id="unknown subsystem, none asked for"),
        pytest.param(0x233010DE, None, "0x233010DE:0x16C010DE", False, id="unknown subsystem, one asked for"),
        pytest.param(None, None, "0x233010DE", False, id="unknown device"),
        pytest.param(None, None, "H100", False, id="unknown device and a word"),
    ],
)
def test_what_is_unknown_of_a_gpu_is_not_guessed(
    device_id: int | None, subsystem_id: int | None, text: str, matched: bool
) -> None:
    gpu = replace(H100, pci_device_id=device_id, pci_subsystem_id=subsystem_id)
    assert DeviceFilter.parse(text).matches(gpu) is matched


FORM = (
    "is no device filter: give device and vendor as NVML reports them, like 0x233010DE, and a subsystem like "
    "0x233010DE:0x16C110DE"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' {FORM}"),
        ("0x", f"'0x' {FORM}"),
        ("0x2330G0DE", f"'0x2330G0DE' {FORM}"),
        ("0x1233010DE", f"'0x1233010DE' {FORM}"),
        (" 0x233010DE", f"' 0x233010DE' {FORM}"),
        ("0x233010DE:", f"'0x233010DE:' {FORM}"),
        ("0x233010DE:-1", f"'0x233010DE:-1' {FORM}"),
        ("0x233010DE:0x16C010DE:extra", f"'0x233010DE:0x16C010DE:extra' {FORM}"),
        (
            "0x233010DE:0x16C010DE:0x16C110DE",
            "'0x233010DE:0x16C010DE:0x16C110DE' has 3 ids: a device and a subsystem can be given",
        ),
        ("0x2330", "'0x2330' names no vendor: NVIDIA's is 10DE, so 0x233010DE"),
        ("0x233010DE:0x16C0", "'0x16C0' names no vendor: NVIDIA's is 10DE, so 0x16C010DE"),
    ],
)
def test_what_was_meant_as_an_id_and_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadDeviceFilter) as caught:
        DeviceFilter.parse(text)
    assert str(caught.value) == message


ids = st.integers(0x10000, 0xFFFFFFFF)
device_filters = st.builds(DeviceFilter, ids, st.none() | ids) | st.builds(
    DeviceFilter, st.none(), st.none(), st.from_regex(r"[A-Za-z][^\n]*", fullmatch=True)
)


@given(device_filters)
def test_a_filter_reads_as_it_was_spelled(one: DeviceFilter) -> None:
    assert DeviceFilter.parse(str(one)) == one
