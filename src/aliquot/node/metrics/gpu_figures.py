"""The GPUs' figures under the names and labels of NVIDIA's dcgm-exporter, so that its dashboards and alerts go on.

A figure of the whole GPU is there once, also in MIG mode, and memory in MIG mode once for each GPU instance: a sum over
a metric counts nothing twice. Only what is shared is there once for each container that holds a share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import Memory, Telemetry
from aliquot.metrics.exposition import Family, Kind, Sample, labels
from aliquot.node.inventory import ObservedGpu, Snapshot
from aliquot.node.metrics.holders import Holder


@dataclass(frozen=True, slots=True)
class _GpuFigure:
    name: str
    kind: Kind
    help: str
    of: Callable[[Telemetry], float | None]


@dataclass(frozen=True, slots=True)
class _MemoryFigure:
    name: str
    help: str
    of: Callable[[Memory], int | None]


_GPU_FIGURES = (
    _GpuFigure("DCGM_FI_DEV_SM_CLOCK", Kind.GAUGE, "Clock of the SMs in MHz.", lambda t: t.sm_clock_mhz),
    _GpuFigure(
        "DCGM_FI_DEV_MEM_CLOCK", Kind.GAUGE, "Clock of the memory in MHz.", lambda t: t.memory_clock_mhz
    ),
    _GpuFigure(
        "DCGM_FI_DEV_MEMORY_TEMP",
        Kind.GAUGE,
        "Temperature of the memory in degrees Celsius.",
        lambda t: t.memory_temperature_celsius,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_GPU_TEMP",
        Kind.GAUGE,
        "Temperature of the GPU in degrees Celsius.",
        lambda t: t.temperature_celsius,
    ),
    _GpuFigure("DCGM_FI_DEV_POWER_USAGE", Kind.GAUGE, "Power drawn now in watts.", lambda t: t.power_watts),
    _GpuFigure(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        Kind.COUNTER,
        "Energy used since the driver was loaded, in millijoules.",
        lambda t: t.energy_mj,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
        Kind.COUNTER,
        "Transfers over PCIe that had to be repeated.",
        lambda t: t.pcie_replays,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_GPU_UTIL",
        Kind.GAUGE,
        "Share of the time in which any kernel ran, in percent.",
        lambda t: t.busy_percent,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_MEM_COPY_UTIL",
        Kind.GAUGE,
        "Share of the time in which memory was read or written, in percent.",
        lambda t: t.memory_busy_percent,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_ENC_UTIL", Kind.GAUGE, "Use of the encoder in percent.", lambda t: t.encoder_percent
    ),
    _GpuFigure(
        "DCGM_FI_DEV_DEC_UTIL", Kind.GAUGE, "Use of the decoder in percent.", lambda t: t.decoder_percent
    ),
    _GpuFigure(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        Kind.COUNTER,
        "Rows of memory replaced after errors that could not be corrected.",
        lambda t: t.uncorrected_rows,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        Kind.COUNTER,
        "Rows of memory replaced after errors that could be corrected.",
        lambda t: t.corrected_rows,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_ROW_REMAP_PENDING",
        Kind.GAUGE,
        "Whether a row of memory waits for a reset to be replaced.",
        lambda t: t.row_remap_pending,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        Kind.GAUGE,
        "Whether a row of memory could not be replaced.",
        lambda t: t.row_remap_failed,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_RETIRED_SBE",
        Kind.COUNTER,
        "Pages retired after single-bit errors.",
        lambda t: t.retired_pages_single_bit,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_RETIRED_DBE",
        Kind.COUNTER,
        "Pages retired after double-bit errors.",
        lambda t: t.retired_pages_double_bit,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_RETIRED_PENDING",
        Kind.GAUGE,
        "Whether pages wait to be retired.",
        lambda t: t.retired_pages_pending,
    ),
    _GpuFigure(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        Kind.COUNTER,
        "Errors of memory that ECC could not correct, since the last reset.",
        lambda t: t.uncorrected_errors,
    ),
)
_MEMORY_FIGURES = (
    _MemoryFigure("DCGM_FI_DEV_FB_FREE", "Memory that is free, in MiB.", lambda m: m.free_mib),
    _MemoryFigure("DCGM_FI_DEV_FB_USED", "Memory that is used, in MiB.", lambda m: m.used_mib),
    _MemoryFigure(
        "DCGM_FI_DEV_FB_RESERVED",
        "Memory that the driver keeps for itself, in MiB.",
        lambda m: m.reserved_mib,
    ),
)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A GPU that answered, with the labels of its series."""

    telemetry: Telemetry
    series: Sequence[str]
    memories: Sequence[tuple[Memory, Sequence[str]]]


def gpu_families(
    node_name: str,
    snapshot: Snapshot,
    telemetry: Mapping[str, Telemetry],
    holders: Mapping[str, Sequence[Holder]],
    last_xids: Mapping[str, int],
) -> Iterator[Family]:
    """`telemetry`: of the GPUs that answered, by UUID. What is known without them is shown of all."""
    driver = snapshot.version.driver if snapshot.version is not None else ""
    measured, xids, up = [], [], []
    for observed in snapshot.gpus:
        uuid = observed.gpu.uuid
        series = _series(_gpu_labels(observed), node_name, driver, holders.get(uuid, ()))
        xids += [Sample(one, last_xids.get(uuid, 0)) for one in series]
        up.append(Sample(labels(*_gpu_labels(observed), ("hostname", node_name)), uuid in telemetry))
        if (found := telemetry.get(uuid)) is not None:
            memories = list(_memories(observed, found, series, node_name, driver, holders))
            measured.append(_Measured(found, series, memories))
    for figure in _GPU_FIGURES:
        samples = [
            Sample(one, value)
            for gpu in measured
            if (value := figure.of(gpu.telemetry)) is not None
            for one in gpu.series
        ]
        yield Family(figure.name, figure.kind, figure.help, samples)
    for share in _MEMORY_FIGURES:
        samples = [
            Sample(one, value)
            for gpu in measured
            for memory, series in gpu.memories
            if (value := share.of(memory)) is not None
            for one in series
        ]
        yield Family(share.name, Kind.GAUGE, share.help, samples)
    yield Family("DCGM_FI_DEV_XID_ERRORS", Kind.GAUGE, "The last XID since the agent started; 0: none.", xids)
    yield Family("aliquot_gpu_up", Kind.GAUGE, "Whether the GPU told its figures when it was asked.", up)


def _memories(
    observed: ObservedGpu,
    telemetry: Telemetry,
    series: Sequence[str],
    node_name: str,
    driver: str,
    holders: Mapping[str, Sequence[Holder]],
) -> Iterator[tuple[Memory, Sequence[str]]]:
    """Of the GPU instances, where there are any, else of the GPU."""
    if not telemetry.instance_memory:
        if telemetry.memory is not None:
            yield telemetry.memory, series
        return
    for instance in observed.instances:
        memory, profile = telemetry.instance_memory.get(instance.gi_id), observed.profile(instance.profile_id)
        if memory is None or profile is None:
            continue
        # Compute instances in one GPU instance share its memory.
        mine = {holder for ci in instance.compute_instances for holder in holders.get(ci.uuid, ())}
        names = (
            *_gpu_labels(observed),
            ("GPU_I_PROFILE", profile.name),
            ("GPU_I_ID", str(instance.gi_id)),
        )
        yield memory, _series(names, node_name, driver, sorted(mine))


def _gpu_labels(observed: ObservedGpu) -> tuple[tuple[str, str], ...]:
    gpu = observed.gpu
    return (
        ("gpu", str(gpu.index)),
        ("UUID", gpu.uuid),
        ("pci_bus_id", gpu.pci_bus_id),
        ("device", f"nvidia{gpu.minor}"),
        ("modelName", gpu.product),
    )


def _series(
    names: tuple[tuple[str, str], ...], node_name: str, driver: str, holders: Sequence[Holder]
) -> Sequence[str]:
    """The labels of each series: one for each holder; one without a pod where there is none."""
    common = labels(
        *names, ("hostname", node_name), *((("DCGM_FI_DRIVER_VERSION", driver),) if driver else ())
    )
    if not holders:
        return (common,)
    return tuple(
        f"{common},{labels(('container', h.container), ('namespace', h.namespace), ('pod', h.pod))}"
        for h in holders
    )
