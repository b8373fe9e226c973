"""What Allocate answers, option by option."""

import pytest

from aliquot.gpu.driver import Placement
from aliquot.kube.api.gpunode import Sharing
from aliquot.node.advertise import Device, Shares, Slice
from aliquot.node.allocation import Given, answer, refusal
from aliquot.node.plugin_config.file import DeviceIdStrategy, DeviceListStrategy
from aliquot.node.plugin_config.settings import Companion, Settings

GPU = "nvidia.com/gpu"
WHOLE = [Device(f"GPU-{i}", GPU, f"GPU-{i}", i, i, memory_mib=81920) for i in range(2)]
SLICE = Device(
    "MIG-a", "nvidia.com/mig-1g.5gb.me", "GPU-1", 1, 1, slice=Slice("1g.5gb+me", Placement(2, 1), 9, 0, 1)
)


def shared(strategy: Sharing = Sharing.TIME_SLICING, *, fails: bool = False, gpu: int = 0) -> Device:
    return Device(
        f"GPU-{gpu}", GPU, f"GPU-{gpu}", gpu, gpu, memory_mib=81920, shares=Shares(strategy, 4, fails)
    )


def by(*strategies: DeviceListStrategy, **more: object) -> Settings:
    return Settings(device_list_strategies=strategies, **more)  # type: ignore[arg-type]


ENVVAR, MOUNTS = DeviceListStrategy.ENVVAR, DeviceListStrategy.VOLUME_MOUNTS
ANNOTATIONS, CRI = DeviceListStrategy.CDI_ANNOTATIONS, DeviceListStrategy.CDI_CRI


def given(*devices: Device, shares: int = 0, files: tuple[str, ...] = ()) -> Given:
    return Given(devices[0].resource, devices, shares, files)


def test_envvar_lists_the_devices() -> None:
    said = answer(given(*WHOLE), Settings(), lambda: "u")
    assert dict(said.envs) == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-0,GPU-1",
        "ALIQUOT_VISIBLE_DEVICES_GPU": "GPU-0,GPU-1",
    }
    assert not said.mounts
    assert not said.annotations
    assert not said.cdi_devices


def test_two_kinds_of_slice_in_one_container_keep_a_variable_each() -> None:
    """Kubelet merges the answers by name: one NVIDIA_VISIBLE_DEVICES is lost, these are not."""
    first = answer(given(WHOLE[0]), Settings(), lambda: "u").envs
    second = answer(given(SLICE), Settings(), lambda: "u").envs
    assert dict(first) | dict(second) == {
        "NVIDIA_VISIBLE_DEVICES": "MIG-a",
        "ALIQUOT_VISIBLE_DEVICES_GPU": "GPU-0",
        "ALIQUOT_VISIBLE_DEVICES_MIG_1G_5GB_ME": "MIG-a",
    }


def test_volume_mounts_name_the_devices_by_what_is_mounted() -> None:
    said = answer(given(*WHOLE), by(MOUNTS), lambda: "u")
    assert dict(said.envs) == {"NVIDIA_VISIBLE_DEVICES": "/var/run/nvidia-container-devices"}
    assert [(m.host_path, m.container_path) for m in said.mounts] == [
        ("/dev/null", "/var/run/nvidia-container-devices/GPU-0"),
        ("/dev/null", "/var/run/nvidia-container-devices/GPU-1"),
    ]


def test_cdi_annotations_have_a_key_of_their_own_each_time() -> None:
    said = answer(given(*WHOLE), by(ANNOTATIONS, cdi_annotation_prefix="cdi.example/"), lambda: "7")
    names = "k8s.device-plugin.nvidia.com/gpu=GPU-0,k8s.device-plugin.nvidia.com/gpu=GPU-1"
    assert dict(said.annotations) == {"cdi.example/nvidia-device-plugin_7": names}
    assert not said.envs
    assert not said.cdi_devices


def test_cdi_by_the_runtime_names_the_devices() -> None:
    said = answer(given(SLICE), by(CRI), lambda: "u")
    assert [device.name for device in said.cdi_devices] == ["k8s.device-plugin.nvidia.com/gpu=MIG-a"]
    assert not said.envs


def test_with_cdi_alone_no_device_node_is_passed() -> None:
    files = ("/dev/nvidia0",)
    assert not answer(given(WHOLE[0], files=files), by(CRI), lambda: "u").devices
    assert answer(given(WHOLE[0], files=files), by(CRI, ENVVAR), lambda: "u").devices


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        (Settings(), [("/dev/nvidia0", "/dev/nvidia0")]),
        (Settings(dev_root="/driver/"), [("/dev/nvidia0", "/driver/dev/nvidia0")]),
        (Settings(pass_device_specs=False), []),
    ],
)
def test_device_nodes_are_found_under_the_dev_root(settings: Settings, paths: list[tuple[str, str]]) -> None:
    said = answer(given(WHOLE[0], files=("/dev/nvidia0",)), settings, lambda: "u")
    assert [(d.container_path, d.host_path) for d in said.devices] == paths
    assert all(d.permissions == "rw" for d in said.devices)


def test_a_device_is_named_by_index_where_that_is_asked_for() -> None:
    settings = by(ENVVAR, CRI, device_id_strategy=DeviceIdStrategy.INDEX)
    assert answer(given(*WHOLE), settings, lambda: "u").envs["NVIDIA_VISIBLE_DEVICES"] == "0,1"
    said = answer(given(SLICE), settings, lambda: "u")
    assert said.envs["NVIDIA_VISIBLE_DEVICES"] == "1:1"
    assert said.cdi_devices[0].name == "k8s.device-plugin.nvidia.com/gpu=1:1"


def test_companions_and_channels_come_with_the_devices() -> None:
    settings = by(ENVVAR, CRI, companions=tuple(Companion))
    said = answer(given(WHOLE[0]), settings, lambda: "u")
    assert [device.name for device in said.cdi_devices] == [
        "k8s.device-plugin.nvidia.com/gpu=GPU-0",
        "k8s.device-plugin.nvidia.com/imex-channel=0",
        "k8s.device-plugin.nvidia.com/gdrcopy=all",
        "k8s.device-plugin.nvidia.com/gds=all",
        "k8s.device-plugin.nvidia.com/mofed=all",
    ]
    assert {name: said.envs[name] for name in said.envs if name.startswith("NVIDIA_")} == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-0",
        "NVIDIA_IMEX_CHANNELS": "0",
        "NVIDIA_GDRCOPY": "enabled",
        "NVIDIA_GDS": "enabled",
        "NVIDIA_MOFED": "enabled",
    }
    mounted = answer(given(WHOLE[0]), by(MOUNTS, companions=(Companion.IMEX_CHANNEL,)), lambda: "u").mounts
    assert mounted[-1].container_path == "/var/run/nvidia-container-devices/imex/0"


def test_with_cdi_alone_companions_are_still_in_the_environment() -> None:
    said = answer(given(WHOLE[0]), by(CRI, companions=tuple(Companion)), lambda: "u")
    assert dict(said.envs) == {
        "NVIDIA_GDRCOPY": "enabled",
        "NVIDIA_GDS": "enabled",
        "NVIDIA_MOFED": "enabled",
    }


@pytest.mark.parametrize(
    ("shares", "percentage", "memory"),
    [(1, "25", "0=20480M"), (3, "75", "0=61440M"), (4, None, None)],
)
def test_an_mps_share_is_a_part_of_the_gpu(shares: int, percentage: str | None, memory: str | None) -> None:
    said = answer(given(shared(Sharing.MPS), shares=shares), Settings(mps_root="/run/mps"), lambda: "u")
    assert said.envs["CUDA_MPS_PIPE_DIRECTORY"] == "/mps/nvidia.com/gpu/pipe"
    assert said.envs.get("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", None) == percentage
    assert said.envs.get("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", None) == memory
    assert [(m.host_path, m.container_path) for m in said.mounts] == [
        ("/run/mps/GPU-0/pipe", "/mps/nvidia.com/gpu/pipe"),
        ("/run/mps/shm", "/dev/shm"),
    ]


def test_a_time_slice_is_told_like_a_gpu() -> None:
    said = answer(given(shared(), shares=2), Settings(), lambda: "u")
    assert said.envs["NVIDIA_VISIBLE_DEVICES"] == "GPU-0"
    assert not said.mounts


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (WHOLE, ""),
        ([shared()], ""),
        ([shared(), shared()], ""),
        ([shared(fails=True)], ""),
        ([shared(fails=True)] * 2, "maximum request size for shared resources is 1; found 2"),
        ([shared(), shared(gpu=1)], "these are of GPU-0, GPU-1"),
        ([shared(), WHOLE[1]], "these are of GPU-0, GPU-1"),
    ],
)
def test_what_one_container_cannot_have(devices: list[Device], words: str) -> None:
    said = refusal(devices)
    assert words in said
    assert bool(said) == bool(words)
