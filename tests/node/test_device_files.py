"""Only files that exist are named."""

from pathlib import Path

from aliquot.gpu.driver import Placement
from aliquot.node.advertise import Device, Slice
from aliquot.node.device_files import DeviceFiles

WHOLE = Device("GPU-1", "nvidia.com/gpu", "GPU-1", 1, 1)
PART = Device("MIG-1", "nvidia.com/mig-1g.10gb", "GPU-1", 1, 1, slice=Slice("1g.10gb", Placement(0, 1), 7, 0))


def host(tmp_path: Path, *devices: str, minors: str = "") -> DeviceFiles:
    for name in devices:
        path = tmp_path / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if minors:
        table = tmp_path / "proc/driver/nvidia-caps/mig-minors"
        table.parent.mkdir(parents=True)
        table.write_text(minors)
    return DeviceFiles(tmp_path, tmp_path / "proc")


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert host(tmp_path).of([WHOLE, PART]) == {"GPU-1": (), "MIG-1": ()}


def test_a_gpu_gets_its_node_and_the_control_nodes_that_exist(tmp_path: Path) -> None:
    files = host(tmp_path, "nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")
    assert files.of([WHOLE])["GPU-1"] == ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia1")


def test_a_slice_gets_the_capabilities_of_both_its_instances(tmp_path: Path) -> None:
    files = host(
        tmp_path,
        "nvidia1",
        "nvidia-caps/nvidia-cap66",
        "nvidia-caps/nvidia-cap67",
        "nvidia-caps/nvidia-cap12",
        minors="config 1\nmonitor 2\ngpu0/gi7/access 12\ngpu1/gi7/access 66\ngpu1/gi7/ci0/access 67\n",
    )
    assert files.of([PART])["MIG-1"] == (
        "/dev/nvidia1",
        "/dev/nvidia-caps/nvidia-cap66",
        "/dev/nvidia-caps/nvidia-cap67",
    )
