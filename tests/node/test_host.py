"""What is prepared on this machine before kubelet hears of the devices."""

import json
from pathlib import Path
from typing import Any

import pytest

from aliquot.node.advertise import Device
from aliquot.node.cdi.writer import CdiFiles
from aliquot.node.host import Host, Prepared
from aliquot.node.plugin_config.file import DeviceListStrategy
from aliquot.node.plugin_config.settings import Companion, Settings
from tests.node.test_companions import CHANNEL, laid_out

GPU = Device("GPU-a", "nvidia.com/gpu", "GPU-a", 0, 0)
CDI = (DeviceListStrategy.CDI_CRI,)
DRIVER = ("dev/nvidiactl", "dev/nvidia0", "usr/lib64/libcuda.so.580.1")


def host(root: Path, *, driver_here: bool = True) -> Host:
    return Host(CdiFiles(root / "cdi"), driver_here=driver_here, root=root)


def prepared(root: Path, settings: Settings) -> Prepared:
    return host(root).prepare([GPU], "580.1", settings)


def spec(root: Path, kind: str = "gpu") -> Any:
    return json.loads((root / f"cdi/k8s.device-plugin.nvidia.com-{kind}.json").read_text())


def kinds(root: Path) -> list[str]:
    return sorted(path.stem.rpartition("com-")[2] for path in (root / "cdi").glob("*.json"))


def test_devices_have_the_nodes_that_are_here(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER)
    found = prepared(tmp_path, Settings())
    assert found.files == {"GPU-a": ("/dev/nvidiactl", "/dev/nvidia0")}
    assert (found.settings, found.faults, found.notes) == (Settings(), (), ())
    assert kinds(tmp_path) == []


def test_specs_are_written_where_cdi_is_asked_for_and_kept_up_from_then_on(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER)
    prepared(tmp_path, Settings(device_list_strategies=CDI))
    assert [one["name"] for one in spec(tmp_path)["devices"]] == ["GPU-a", "0", "all"]
    assert host(tmp_path).prepare([], "580.1", Settings()).faults == ()
    assert spec(tmp_path)["devices"] == []


def test_what_is_named_to_containers_is_what_has_a_spec(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER, "dev/gdrdrv")
    asked = Settings(device_list_strategies=CDI, companions=(Companion.GDRCOPY, Companion.GDS))
    found = prepared(tmp_path, asked)
    assert found.settings.companions == (Companion.GDRCOPY,)
    assert found.notes == ("gdsEnabled: this machine has no /dev/nvidia-fs*, so containers get none",)
    assert kinds(tmp_path) == ["gdrcopy", "gpu"]
    (tmp_path / "dev/nvidia-fs0").touch()
    assert prepared(tmp_path, asked).settings == asked
    assert kinds(tmp_path) == ["gdrcopy", "gds", "gpu"]


def test_an_imex_channel_comes_with_each_device(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER, CHANNEL)
    asked = Settings(device_list_strategies=CDI, companions=(Companion.IMEX_CHANNEL,), imex_required=True)
    found = prepared(tmp_path, asked)
    assert found.files == {"GPU-a": ("/dev/nvidiactl", "/dev/nvidia0", f"/{CHANNEL}")}
    assert (found.settings, found.faults) == (asked, ())
    (entry, *_) = spec(tmp_path)["devices"]
    assert entry["containerEdits"] == {"deviceNodes": [{"path": "/dev/nvidia0"}]}


def test_without_the_channel_that_is_required_nothing_is_handed_out(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER)
    (fault,) = prepared(tmp_path, Settings(companions=(Companion.IMEX_CHANNEL,), imex_required=True)).faults
    assert fault.reason == "NoIMEXChannel"
    assert "NVreg_CreateImexChannel0=1" in fault.message


def test_specs_that_cannot_be_written_matter_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cdi").write_text("in the way")
    (fault,) = prepared(tmp_path, Settings(device_list_strategies=CDI)).faults
    assert fault.reason == "CDINotWritten"
    assert str(tmp_path / "cdi") in fault.message
    assert prepared(tmp_path, Settings()).faults == ()


@pytest.mark.parametrize(
    ("names", "settings", "expected"),
    [
        (("drv/dev/nvidia0",), Settings(driver_root="/drv", dev_root="/drv"), "/dev/nvidia0"),
        (("drv/usr/x", "dev/nvidia0"), Settings(driver_root="/drv", dev_root="/"), "/dev/nvidia0"),
        (("driver-root/dev/nvidia0",), Settings(driver_root="/drv", dev_root="/drv"), "/dev/nvidia0"),
    ],
)
def test_a_driver_elsewhere_has_its_device_nodes_or_the_machine_has_them(
    tmp_path: Path, names: tuple[str, ...], settings: Settings, expected: str
) -> None:
    laid_out(tmp_path, *names)
    assert prepared(tmp_path, settings).files == {"GPU-a": (expected,)}


def test_a_simulated_driver_has_no_files_and_all_companions(tmp_path: Path) -> None:
    laid_out(tmp_path, *DRIVER)
    asked = Settings(device_list_strategies=CDI, companions=tuple(Companion), imex_required=True)
    found = host(tmp_path, driver_here=False).prepare([GPU], "580.1", asked)
    assert (found.settings, found.files, found.faults, found.notes) == (asked, {}, (), ())
    assert kinds(tmp_path) == sorted(["gpu", *Companion])
    assert "mounts" not in spec(tmp_path)["containerEdits"]
