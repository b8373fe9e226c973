"""What Allocate answers: how a container is told of its devices, and what else it is given for them.

As NVIDIA's plugin answers, option by option, so that its container toolkit and CDI runtimes understand. Kubelet merges
the answers for a container's resources by variable name, so of two MIG kinds one would lose its devices in
NVIDIA_VISIBLE_DEVICES: the variable `ALIQUOT_VISIBLE_DEVICES_<resource>`, of which there is one for each resource,
always survives. A runtime that wants both joins the values; the toolkit does so for the names in its `swarm-resource`
setting. Mounts, CDI names and device nodes do not have this problem, kubelet adds them up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aliquot.kube.api.gpunode import Sharing
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    CDIDevice,
    ContainerAllocateResponse,
    DeviceSpec,
    Mount,
)
from aliquot.node.advertise import Device
from aliquot.node.cdi import spec as cdi
from aliquot.node.mps.directories import Directories
from aliquot.node.plugin_config.file import DeviceIdStrategy, DeviceListStrategy
from aliquot.node.plugin_config.settings import Companion, Settings

VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
VOLUME_ROOT = "/var/run/nvidia-container-devices"
"""NVIDIA's container toolkit reads the names of what is mounted here."""
_CONTAINER_MPS = PurePosixPath("/mps")


@dataclass(frozen=True, slots=True)
class Given:
    """One container's part of one resource."""

    resource: str
    devices: tuple[Device, ...]
    """Each once, in order; one alone where it is shared."""
    shares: int = 0
    """How many of that device; 0: the devices as a whole."""
    files: tuple[str, ...] = ()
    """Device nodes; all of them exist."""


def refusal(devices: Sequence[Device]) -> str:
    """Why one container cannot have all of these, one for each id that kubelet asks for; empty when it can."""
    shared = [device for device in devices if device.shares is not None]
    if not shared:
        return ""
    if len(devices) > 1 and any(
        device.shares is not None and device.shares.fails_above_one for device in shared
    ):
        # The words of NVIDIA's plugin: people search for them.
        return f"maximum request size for shared resources is 1; found {len(devices)}"
    if len({device.id for device in devices}) > 1:
        ids = ", ".join(sorted({device.id for device in devices}))
        return f"a container's shares are of one GPU or slice, and these are of {ids}: ask for fewer"
    return ""


def answer(given: Given, settings: Settings, new_id: Callable[[], str]) -> ContainerAllocateResponse:
    """`new_id` gives a text that no other call gets."""
    strategies = settings.device_list_strategies
    names = [_name(device, settings) for device in given.devices]
    response = ContainerAllocateResponse()
    if settings.uses_cdi:
        cdi_names = [f"{cdi.VENDOR}/{cdi.GPU}={name}" for name in names]
        cdi_names += [f"{cdi.VENDOR}/{one}={cdi.companion_name(one)}" for one in settings.companions]
        if DeviceListStrategy.CDI_ANNOTATIONS in strategies:
            key = f"{settings.cdi_annotation_prefix}nvidia-device-plugin_{new_id()}"
            response.annotations[key] = ",".join(cdi_names)
        if DeviceListStrategy.CDI_CRI in strategies:
            response.cdi_devices.extend(CDIDevice(name=name) for name in cdi_names)
    shares = given.devices[0].shares
    if shares is not None and shares.strategy is Sharing.MPS:
        _with_mps(response, given, shares.replicas, settings)
    for companion in settings.companions:
        if companion is not Companion.IMEX_CHANNEL:
            response.envs[f"NVIDIA_{companion.upper()}"] = "enabled"
    if all(one in (DeviceListStrategy.CDI_ANNOTATIONS, DeviceListStrategy.CDI_CRI) for one in strategies):
        return response
    if DeviceListStrategy.ENVVAR in strategies:
        _with_variables(response, given.resource, names, settings)
    if DeviceListStrategy.VOLUME_MOUNTS in strategies:
        response.envs[VISIBLE_DEVICES] = VOLUME_ROOT
        mounted = [*names, *(["imex/0"] if Companion.IMEX_CHANNEL in settings.companions else [])]
        response.mounts.extend(
            Mount(host_path="/dev/null", container_path=f"{VOLUME_ROOT}/{name}") for name in mounted
        )
    if settings.pass_device_specs:
        response.devices.extend(
            DeviceSpec(container_path=path, host_path=_on_host(path, settings), permissions="rw")
            for path in given.files
        )
    return response


def _name(device: Device, settings: Settings) -> str:
    return device.index_name if settings.device_id_strategy is DeviceIdStrategy.INDEX else device.id


def _with_variables(
    response: ContainerAllocateResponse, resource: str, names: Sequence[str], settings: Settings
) -> None:
    listed = ",".join(names)
    suffix = "".join(c if c.isalnum() else "_" for c in resource.rpartition("/")[2].upper())
    response.envs[VISIBLE_DEVICES] = listed
    response.envs[f"ALIQUOT_VISIBLE_DEVICES_{suffix}"] = listed
    if Companion.IMEX_CHANNEL in settings.companions:
        response.envs["NVIDIA_IMEX_CHANNELS"] = "0"


def _with_mps(response: ContainerAllocateResponse, given: Given, replicas: int, settings: Settings) -> None:
    """The daemon's own defaults stay unlimited, so a container's part follows from how many shares it has."""
    (device,) = given.devices
    pipe = _CONTAINER_MPS / given.resource / "pipe"
    response.envs["CUDA_MPS_PIPE_DIRECTORY"] = str(pipe)
    places = Directories(Path(settings.mps_root))
    response.mounts.append(Mount(host_path=str(places.pipe(device.id)), container_path=str(pipe)))
    response.mounts.append(Mount(host_path=str(places.shm), container_path="/dev/shm"))
    if given.shares == replicas:
        return
    response.envs["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(max(1, 100 * given.shares // replicas))
    if device.memory_mib is not None:
        # By its number in the container, where it is the only one.
        response.envs["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = (
            f"0={device.memory_mib * given.shares // replicas}M"
        )


def _on_host(path: str, settings: Settings) -> str:
    root = settings.dev_root.rstrip("/")
    return f"{root}{path}"
