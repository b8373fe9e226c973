"""What a CDI spec says of a node's devices."""

from typing import Any

from aliquot.gpu.driver import Placement
from aliquot.node.advertise import Device, Slice
from aliquot.node.cdi.spec import DriverFiles, Roots, file_name, specs
from aliquot.node.companions import CompanionFiles
from aliquot.node.plugin_config.settings import Companion

WHOLE = Device("GPU-a", "nvidia.com/gpu", "GPU-a", 0, 0)
PART = Device("MIG-b", "r", "GPU-b", 1, 1, slice=Slice("1g.5gb", Placement(0, 1), 7, 0, 2))
NODES = {
    "GPU-a": ("/dev/nvidiactl", "/dev/nvidia0"),
    "MIG-b": ("/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap66"),
}
DRIVER = DriverFiles(
    version="580.82.07",
    libraries=("/usr/lib64/libcuda.so.580.82.07", "/usr/lib64/libnvidia-ml.so.580.82.07"),
    binaries=("/usr/bin/nvidia-smi",),
    firmware=("/lib/firmware/nvidia/580.82.07/gsp_ga10x.bin",),
    sockets=("/run/nvidia-persistenced/socket",),
    control_nodes=("/dev/nvidiactl",),
)


def gpus(*devices: Device, driver: DriverFiles = DRIVER, roots: Roots | None = None) -> Any:
    return specs(devices, NODES, driver, roots or Roots())["gpu"]


def edits(spec: Any, name: str) -> Any:
    return next(one["containerEdits"] for one in spec["devices"] if one["name"] == name)


def test_each_device_is_there_by_uuid_and_by_index_and_all_together() -> None:
    spec = gpus(WHOLE, PART)
    assert (spec["cdiVersion"], spec["kind"]) == ("0.5.0", "k8s.device-plugin.nvidia.com/gpu")
    assert [one["name"] for one in spec["devices"]] == ["GPU-a", "0", "MIG-b", "1:2", "all"]
    assert edits(spec, "GPU-a") == edits(spec, "0") == {"deviceNodes": [{"path": "/dev/nvidia0"}]}
    part = [{"path": "/dev/nvidia1"}, {"path": "/dev/nvidia-caps/nvidia-cap66"}]
    assert edits(spec, "1:2") == {"deviceNodes": part}
    assert edits(spec, "all") == {"deviceNodes": [{"path": "/dev/nvidia0"}, *part]}


def test_what_every_device_needs_is_there_once() -> None:
    common = gpus(WHOLE)["containerEdits"]
    assert common["env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert common["deviceNodes"] == [{"path": "/dev/nvidiactl"}]
    assert [mount["containerPath"] for mount in common["mounts"]] == [
        *DRIVER.libraries,
        *DRIVER.binaries,
        *DRIVER.firmware,
        *DRIVER.sockets,
    ]
    assert common["mounts"][0]["options"] == ["ro", "nosuid", "nodev", "rbind", "rprivate"]
    assert common["mounts"][-1]["options"][-1] == "noexec"


def test_a_driver_elsewhere_on_the_host_keeps_its_paths_in_the_container() -> None:
    spec = gpus(WHOLE, roots=Roots(driver="/run/nvidia/driver", dev="/run/nvidia/driver/"))
    assert edits(spec, "0")["deviceNodes"] == [
        {"path": "/dev/nvidia0", "hostPath": "/run/nvidia/driver/dev/nvidia0"}
    ]
    mount = spec["containerEdits"]["mounts"][0]
    assert (mount["hostPath"], mount["containerPath"]) == (
        "/run/nvidia/driver/usr/lib64/libcuda.so.580.82.07",
        "/usr/lib64/libcuda.so.580.82.07",
    )


def hooks(*disabled: str, hook: str = "/usr/bin/nvidia-ctk") -> dict[str, list[str]]:
    spec = gpus(WHOLE, roots=Roots(hook=hook, disabled_hooks=frozenset(disabled)))
    found = spec["containerEdits"].get("hooks", [])
    assert all((one["hookName"], one["path"]) == ("createContainer", hook) for one in found)
    return {one["args"][2]: one["args"] for one in found}


def test_hooks_make_the_libraries_found() -> None:
    called = hooks(hook="/opt/nvidia-cdi-hook")
    assert list(called) == [
        "create-symlinks",
        "enable-cuda-compat",
        "update-ldcache",
        "disable-device-node-modification",
    ]
    assert called["create-symlinks"] == [
        "nvidia-cdi-hook",
        "hook",
        "create-symlinks",
        "--link=libcuda.so.580.82.07::/usr/lib64/libcuda.so.1",
        "--link=libnvidia-ml.so.580.82.07::/usr/lib64/libnvidia-ml.so.1",
        "--link=libcuda.so.1::/usr/lib64/libcuda.so",
    ]
    assert called["enable-cuda-compat"][3:] == ["--host-driver-version=580.82.07"]
    assert called["update-ldcache"][3:] == ["--folder=/usr/lib64"]


def test_hooks_are_left_out_by_name_or_all() -> None:
    assert "update-ldcache" not in hooks("update-ldcache")
    assert hooks("all") == {}


def test_without_a_driver_nothing_is_promised_that_is_not_there() -> None:
    spec = specs([WHOLE], {}, DriverFiles(), Roots())["gpu"]
    assert spec["containerEdits"] == {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}
    assert edits(spec, "GPU-a") == {"env": ["ALIQUOT_SIMULATED_DEVICE=GPU-a"]}


def test_companions_have_specs_of_their_own_where_they_are() -> None:
    here = {
        Companion.IMEX_CHANNEL: CompanionFiles(("/dev/nvidia-caps-imex-channels/channel0",)),
        Companion.GDRCOPY: CompanionFiles(("/dev/gdrdrv",)),
        Companion.GDS: CompanionFiles(("/dev/nvidia-fs0", "/dev/nvidia-fs1"), ("/run/udev",)),
        Companion.MOFED: CompanionFiles(),
    }
    found = specs([], {}, DriverFiles(), Roots(driver="/drv", dev="/drv"), here)
    assert list(found) == ["gpu", "imex-channel", "gdrcopy", "gds", "mofed"]
    (gds,) = found["gds"]["devices"]
    assert gds["name"] == "all"
    assert [node["hostPath"] for node in gds["containerEdits"]["deviceNodes"]] == [
        "/drv/dev/nvidia-fs0",
        "/drv/dev/nvidia-fs1",
    ]
    assert [mount["hostPath"] for mount in gds["containerEdits"]["mounts"]] == ["/drv/run/udev"]
    (simulated,) = found["mofed"]["devices"]
    assert simulated["containerEdits"] == {"env": ["ALIQUOT_SIMULATED_DEVICE=mofed"]}
    assert found["gdrcopy"]["kind"] == "k8s.device-plugin.nvidia.com/gdrcopy"
    assert [one["name"] for one in found["imex-channel"]["devices"]] == ["0"]
    assert file_name("gdrcopy") == "k8s.device-plugin.nvidia.com-gdrcopy.json"
