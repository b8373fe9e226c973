"""What a node goes by: command line before environment before file before default."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import msgspec

from aliquot.kube.api.gpunode import AllocationPolicy
from aliquot.node.plugin_config.file import (
    DeviceIdStrategy,
    DeviceListStrategy,
    Discovery,
    FeatureFlags,
    Flags,
    MigStrategy,
    PluginConfig,
    PluginFlags,
    SharingSection,
)
from aliquot.node.plugin_config.names import Naming


class SettingsError(ValueError):
    """One line: which settings do not go together."""


class Companion(StrEnum):
    """What a container may be given beside its devices, by NVIDIA's CDI kinds."""

    IMEX_CHANNEL = "imex-channel"
    GDRCOPY = "gdrcopy"
    GDS = "gds"
    MOFED = "mofed"


@dataclass(frozen=True, slots=True)
class Settings:
    mig_strategy: MigStrategy = MigStrategy.MIXED
    """NVIDIA's default is none. Ours cuts GPUs by itself, and then says so by name."""
    fail_on_init_error: bool = True
    driver_root: str = "/"
    dev_root: str = "/"
    pass_device_specs: bool = True
    """NVIDIA's default is false. With it kubelet tells the runtime of the device nodes, so that a container keeps its
    GPU when systemd reloads."""
    device_list_strategies: tuple[DeviceListStrategy, ...] = (DeviceListStrategy.ENVVAR,)
    device_id_strategy: DeviceIdStrategy = DeviceIdStrategy.UUID
    allocation_policy: AllocationPolicy | None = None
    """None: shares are distributed, and slices packed, so that other GPUs stay whole."""
    cdi_annotation_prefix: str = "cdi.k8s.io/"
    nvidia_ctk_path: str = "/usr/bin/nvidia-ctk"
    container_driver_root: str = "/driver-root"
    companions: tuple[Companion, ...] = ()
    imex_required: bool = False
    """Whether nothing is to be handed out without the IMEX channel that is asked for."""
    mps_root: str = ""
    naming: Naming = field(default_factory=Naming)
    time_slicing: SharingSection | None = None
    mps: SharingSection | None = None
    labels_timestamp: bool = True
    machine_type_file: str = "/sys/class/dmi/id/product_name"
    without_effect: tuple[str, ...] = ()
    """Options that were given and mean nothing here, each with the reason."""

    @property
    def uses_cdi(self) -> bool:
        return any(
            strategy in (DeviceListStrategy.CDI_ANNOTATIONS, DeviceListStrategy.CDI_CRI)
            for strategy in self.device_list_strategies
        )


_DEFAULTS = Settings()
_ANNOTATION_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/([A-Za-z0-9][-_.A-Za-z0-9]{0,5})?", re.ASCII)
"""A domain, and perhaps the beginning of a name: 63 characters are the limit, and what follows has 57."""
_T = TypeVar("_T")
_S = TypeVar("_S", bound=msgspec.Struct)


def resolve(given: Flags, config: PluginConfig) -> Settings:
    """`given` on the command line or in the environment. Raises SettingsError, with all that is wrong."""
    flags = _over(given, config.flags)
    plugin = _over(given.plugin or PluginFlags(), config.flags.plugin or PluginFlags())
    features = _over(given.gfd or FeatureFlags(), config.flags.gfd or FeatureFlags())
    driver_root = _or(flags.nvidia_driver_root, _DEFAULTS.driver_root)
    strategies = plugin.device_list_strategy
    if strategies is None:
        strategies = list(_DEFAULTS.device_list_strategies)
    elif isinstance(strategies, DeviceListStrategy):
        strategies = [strategies]
    problems = [*_problems(flags, plugin)]
    if not strategies:
        problems.append("deviceListStrategy is empty: give envvar, volume-mounts, cdi-annotations or cdi-cri")
    if config.mps is not None and not flags.mps_root:
        problems.append("sharing.mps needs mpsRoot, a directory of the host (--mps-root, MPS_ROOT)")
    if problems:
        raise SettingsError("; ".join(problems))
    asked_for = {
        Companion.IMEX_CHANNEL: config.imex_channel,
        Companion.GDRCOPY: flags.gdrcopy_enabled,
        Companion.GDS: flags.gds_enabled,
        Companion.MOFED: flags.mofed_enabled,
    }
    return Settings(
        mig_strategy=_or(flags.mig_strategy, _DEFAULTS.mig_strategy),
        fail_on_init_error=_or(flags.fail_on_init_error, _DEFAULTS.fail_on_init_error),
        driver_root=driver_root,
        dev_root=_or(flags.nvidia_dev_root, driver_root),
        pass_device_specs=_or(plugin.pass_device_specs, _DEFAULTS.pass_device_specs),
        device_list_strategies=tuple(dict.fromkeys(strategies)),
        device_id_strategy=_or(plugin.device_id_strategy, _DEFAULTS.device_id_strategy),
        allocation_policy=plugin.shared_devices_allocation_policy,
        cdi_annotation_prefix=_or(plugin.cdi_annotation_prefix, _DEFAULTS.cdi_annotation_prefix),
        nvidia_ctk_path=_or(plugin.nvidia_ctk_path, _DEFAULTS.nvidia_ctk_path),
        container_driver_root=_or(plugin.container_driver_root, _DEFAULTS.container_driver_root),
        companions=tuple(companion for companion, asked in asked_for.items() if asked),
        imex_required=config.imex_required,
        mps_root=flags.mps_root or "",
        naming=config.naming,
        time_slicing=config.time_slicing,
        mps=config.mps,
        labels_timestamp=not features.no_timestamp,
        machine_type_file=_or(features.machine_type_file, _DEFAULTS.machine_type_file),
        without_effect=_without_effect(flags, features, config),
    )


def _problems(flags: Flags, plugin: PluginFlags) -> Iterator[str]:
    if flags.device_discovery_strategy in (Discovery.TEGRA, Discovery.VFIO):
        yield f"deviceDiscoveryStrategy {flags.device_discovery_strategy} is not supported: give auto or nvml"
    for option, path in (
        ("mpsRoot", flags.mps_root),
        ("nvidiaDriverRoot", flags.nvidia_driver_root),
        ("nvidiaDevRoot", flags.nvidia_dev_root),
        ("nvidiaCTKPath", plugin.nvidia_ctk_path),
        ("containerDriverRoot", plugin.container_driver_root),
    ):
        if path and not path.startswith("/"):
            yield f"{option} {path} is no path from the root: begin it with /"
    prefix = plugin.cdi_annotation_prefix
    if prefix is not None and not _ANNOTATION_PREFIX.fullmatch(prefix):
        like = _DEFAULTS.cdi_annotation_prefix
        yield f"cdiAnnotationPrefix '{prefix}' makes no annotation: give one like {like}"


def _over(upper: _S, lower: _S) -> _S:
    """`upper` where it says something."""
    said = {name: value for name in upper.__struct_fields__ if (value := getattr(upper, name)) is not None}
    return msgspec.structs.replace(lower, **said)


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _without_effect(flags: Flags, features: FeatureFlags, config: PluginConfig) -> tuple[str, ...]:
    """NVIDIA's feature discovery is a program of its own, which looks every minute and writes a file."""
    reasons = {
        "useNodeFeatureAPI": (flags.use_node_feature_api, "labels are written to the Node itself"),
        "gfd.oneshot": (features.oneshot, "labels follow every change"),
        "gfd.sleepInterval": (features.sleep_interval, "labels follow every change at once"),
        "gfd.outputFile": (features.output_file, "labels are written to the Node itself"),
        "imex.required": (
            True if config.imex_required and not config.imex_channel else None,
            "no channel is asked for: give channelIDs: [0]",
        ),
    }
    return tuple(f"{name}: {reason}" for name, (value, reason) in reasons.items() if value is not None)
