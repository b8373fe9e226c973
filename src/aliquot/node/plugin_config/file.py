"""The configuration file of NVIDIA's device plugin, version v1.

    version: v1
    flags:
      migStrategy: mixed
      plugin: {deviceListStrategy: [cdi-cri]}
    sharing:
      timeSlicing:
        renameByDefault: true
        resources:
        - {name: nvidia.com/gpu, replicas: 4, devices: [0, 1]}

What NVIDIA's plugin takes is taken. Three things that it reads and then ignores are honoured: `devices` and `rename` of
a shared resource, and the patterns under `resources`. `interval` under `timeSlicing` and `exclusiveProcess` under `mps` are our own. A key that it would
silently drop is refused, in one line with the place.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import msgspec

from aliquot import document
from aliquot.document import Document
from aliquot.gpu.driver import TimeSlice
from aliquot.kube.api.gpunode import MOST_SHARES, AllocationPolicy
from aliquot.node.plugin_config.names import BadResourceName, Naming, Pattern, full_name
from aliquot.node.plugin_config.references import BadReference, References

VERSION = "v1"
_Place = tuple[str | int, ...]


class MigStrategy(StrEnum):
    NONE = "none"
    """MIG is not looked at: GPUs only."""
    SINGLE = "single"
    """All devices are `nvidia.com/gpu`: whole GPUs, or MIG devices of one profile on every GPU."""
    MIXED = "mixed"
    """Whole GPUs where MIG is off, and a resource name for each profile where it is on."""


class DeviceListStrategy(StrEnum):
    """How a container is told its devices."""

    ENVVAR = "envvar"
    VOLUME_MOUNTS = "volume-mounts"
    CDI_ANNOTATIONS = "cdi-annotations"
    CDI_CRI = "cdi-cri"


class DeviceIdStrategy(StrEnum):
    """What a container is told of a device."""

    UUID = "uuid"
    INDEX = "index"


class Discovery(StrEnum):
    AUTO = "auto"
    NVML = "nvml"
    TEGRA = "tegra"
    VFIO = "vfio"


class PluginFlags(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """None: not given here."""

    pass_device_specs: bool | None = None
    device_list_strategy: DeviceListStrategy | list[DeviceListStrategy] | None = None
    device_id_strategy: DeviceIdStrategy | None = msgspec.field(name="deviceIDStrategy", default=None)
    cdi_annotation_prefix: str | None = None
    nvidia_ctk_path: str | None = msgspec.field(name="nvidiaCTKPath", default=None)
    container_driver_root: str | None = None
    shared_devices_allocation_policy: AllocationPolicy | None = None


class FeatureFlags(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Of GPU feature discovery. None: not given here."""

    oneshot: bool | None = None
    no_timestamp: bool | None = None
    sleep_interval: int | str | None = None
    output_file: str | None = None
    machine_type_file: str | None = None


class Flags(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """None: not given here."""

    mig_strategy: MigStrategy | None = None
    fail_on_init_error: bool | None = None
    mps_root: str | None = None
    nvidia_driver_root: str | None = None
    nvidia_dev_root: str | None = None
    gdrcopy_enabled: bool | None = None
    gds_enabled: bool | None = None
    mofed_enabled: bool | None = None
    use_node_feature_api: bool | None = msgspec.field(name="useNodeFeatureAPI", default=None)
    device_discovery_strategy: Discovery | None = None
    plugin: PluginFlags | None = None
    gfd: FeatureFlags | None = None


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many shares each of some devices has."""

    resource: str
    replicas: int
    devices: References
    rename: str = ""
    """Name of the shares; empty: as the section says."""
    place: str = ""
    """File and line, for whoever finds that it does not fit."""


@dataclass(frozen=True, slots=True)
class SharingSection:
    resources: tuple[Replicas, ...]
    rename_by_default: bool = False
    fail_requests_greater_than_one: bool | None = None
    """None: not given."""
    interval: TimeSlice | None = None
    """Of time slices; None: whatever the GPU has."""
    exclusive_process: bool = False
    """Under MPS: keep everybody off the GPU who does not come through the daemon."""


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """One file; as it is, without defaults."""

    flags: Flags = field(default_factory=Flags)
    naming: Naming = field(default_factory=Naming)
    time_slicing: SharingSection | None = None
    mps: SharingSection | None = None
    imex_channel: bool = False
    imex_required: bool = False


class _Pattern(msgspec.Struct):
    pattern: str
    name: str


class _Resources(msgspec.Struct):
    gpus: list[_Pattern] | None = None
    mig: list[_Pattern] | None = None


class _Replicated(msgspec.Struct):
    name: str
    replicas: int
    rename: str | None = None
    devices: str | int | list[str | int] | None = None


class _Shared(msgspec.Struct, rename="camel"):
    resources: list[_Replicated]
    rename_by_default: bool | None = None
    fail_requests_greater_than_one: bool | None = None


class _TimeSlicing(_Shared):
    interval: TimeSlice | None = None


class _Mps(_Shared):
    exclusive_process: bool | None = None


class _Sharing(msgspec.Struct, rename="camel"):
    time_slicing: _TimeSlicing | None = None
    mps: _Mps | None = None


class _Imex(msgspec.Struct, rename="camel"):
    channel_ids: list[int] | None = msgspec.field(name="channelIDs", default=None)
    required: bool | None = None


class _File(msgspec.Struct):
    version: str | None = None
    flags: Flags | None = None
    resources: _Resources | None = None
    sharing: _Sharing | None = None
    imex: _Imex | None = None


def load(path: Path) -> PluginConfig:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> PluginConfig:
    """An empty text asks for nothing. Raises DocumentError."""
    if not document.parse_all(text, source=source):
        return PluginConfig()
    parsed = document.parse(text, source=source)
    _check_version(parsed)
    file = parsed.into(_File)
    resources, sharing, imex = (
        file.resources or _Resources(),
        file.sharing or _Sharing(),
        file.imex or _Imex(),
    )
    flags = file.flags or Flags()
    if flags.gfd is not None and flags.gfd.sleep_interval is not None:
        _check_duration(parsed, ("flags", "gfd", "sleepInterval"), flags.gfd.sleep_interval)
    sliced, mps = sharing.time_slicing, sharing.mps
    if (imex.channel_ids or []) not in ([], [0]):
        raise parsed.error(("imex", "channelIDs"), f"channelIDs is [] or [0], not {imex.channel_ids}")
    return PluginConfig(
        flags,
        Naming(
            _patterns(parsed, ("resources", "gpus"), resources.gpus or ()),
            _patterns(parsed, ("resources", "mig"), resources.mig or ()),
        ),
        replace(_section(parsed, "timeSlicing", sliced), interval=sliced.interval)
        if sliced is not None
        else None,
        replace(_section(parsed, "mps", mps), exclusive_process=bool(mps.exclusive_process))
        if mps is not None
        else None,
        bool(imex.channel_ids),
        bool(imex.required),
    )


def _check_version(parsed: Document) -> None:
    """Before all else: another version may have other fields."""
    version = parsed.value.get("version") if isinstance(parsed.value, dict) else None
    if isinstance(version, str) and version not in ("", VERSION):
        raise parsed.error(("version",), f"version '{version}' is not '{VERSION}', the only one there is")


def _patterns(parsed: Document, path: _Place, patterns: Sequence[_Pattern]) -> tuple[Pattern, ...]:
    return tuple(
        Pattern(one.pattern, _resource(parsed, (*path, number, "name"), one.name))
        for number, one in enumerate(patterns)
    )


def _section(parsed: Document, strategy: str, shared: _Shared) -> SharingSection:
    path: _Place = ("sharing", strategy, "resources")
    if not shared.resources:
        raise parsed.error(path, f"no resource is shared: list one, or remove {strategy}")
    return SharingSection(
        tuple(_replicas(parsed, (*path, number), one) for number, one in enumerate(shared.resources)),
        bool(shared.rename_by_default),
        shared.fail_requests_greater_than_one,
    )


def _replicas(parsed: Document, path: _Place, one: _Replicated) -> Replicas:
    if one.replicas < 2:
        raise parsed.error(
            (*path, "replicas"), f"{one.replicas} replicas: two is the least that can be shared"
        )
    if one.replicas > MOST_SHARES:
        raise parsed.error((*path, "replicas"), f"{one.replicas} replicas: {MOST_SHARES} is the most")
    try:
        devices = References.parse(one.devices)
    except BadReference as error:
        raise parsed.error((*path, "devices"), str(error)) from None
    line = parsed.line(path)
    return Replicas(
        _resource(parsed, (*path, "name"), one.name),
        one.replicas,
        devices,
        _resource(parsed, (*path, "rename"), one.rename) if one.rename else "",
        f"{parsed.source}:{line}" if line is not None else parsed.source,
    )


def _resource(parsed: Document, path: _Place, text: str) -> str:
    try:
        return full_name(text)
    except BadResourceName as error:
        raise parsed.error(path, str(error)) from None


_GO_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
INFINITE = "infinite"


def _check_duration(parsed: Document, path: _Place, value: int | str) -> None:
    if isinstance(value, str) and value != INFINITE and not _GO_DURATION.fullmatch(value):
        raise parsed.error(path, f"'{value}' is no duration: give one like 60s, nanoseconds, or '{INFINITE}'")
    if str(value).startswith("-"):
        raise parsed.error(path, f"'{value}' is less than nothing: give a duration like 60s, or '{INFINITE}'")
