"""What is read of the bus."""

from pathlib import Path

import pytest

from aliquot.node.discovery.pci import BusUnreadable, PciDevice, gpus, read_bus
from tests.node.discovery.buses import AMD_GPU, H100, L4_WITH_A_MONITOR, NV_AUDIO, NV_SWITCH, bus


@pytest.mark.parametrize(
    ("devices", "count"),
    [
        ((), 0),
        ((H100,), 1),
        ((H100, H100, NV_SWITCH), 2),
        ((L4_WITH_A_MONITOR, NV_AUDIO), 1),
        ((NV_SWITCH,), 0),
        ((AMD_GPU,), 0),
    ],
    ids=["nothing", "a GPU", "beside a switch", "a graphics card", "a switch alone", "another maker's"],
)
def test_only_gpus_count(tmp_path: Path, devices: tuple[tuple[str, str, str], ...], count: int) -> None:
    assert len(gpus(read_bus(bus(tmp_path, *devices)))) == count


def test_a_device_as_the_kernel_has_it(tmp_path: Path) -> None:
    assert read_bus(bus(tmp_path, H100)) == (PciDevice("0000:01:00.0", 0x10DE, 0x2330, 0x0302),)


def test_one_that_goes_meanwhile_is_not_there(tmp_path: Path) -> None:
    root = bus(tmp_path, H100, H100)
    (root / "bus/pci/devices/0000:01:00.0/class").unlink()
    (root / "bus/pci/devices/0000:02:00.0/vendor").write_text("")
    assert read_bus(root) == ()


def test_a_machine_without_such_a_bus_has_none(tmp_path: Path) -> None:
    assert read_bus(tmp_path) == ()


def test_a_wrong_path_is_no_machine_without_gpus(tmp_path: Path) -> None:
    with pytest.raises(BusUnreadable, match="--sys-root"):
        read_bus(tmp_path / "nowhere")
