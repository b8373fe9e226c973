"""What a simulated GPU would measure: plausible figures that follow from what runs on it, and from nothing else."""

from collections.abc import Mapping, Sequence

from aliquot.gpu.boards import Board
from aliquot.gpu.driver import InstanceProfile, Memory, Process, Telemetry

_BUSY_PERCENT = 35
"""Of each process, until the GPU is full."""
_IDLE_CLOCK_MHZ = 345
_BUSY_CLOCK_MHZ = 1755
_RESERVED_SHARE = 128
"""The driver keeps the 128th part of the memory for itself."""
_HBM = frozenset({(6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (10, 3)})
"""Compute capabilities of chips with stacked memory, which has a thermometer of its own."""
_REMAPS_ROWS = (8, 0)


def simulate(
    board: Board, processes: Sequence[Process], instances: Mapping[int, InstanceProfile] | None
) -> Telemetry:
    """`instances`: profiles of the GPU instances that have a MIG device, by GI id; None while MIG mode is off."""
    load = min(100, _BUSY_PERCENT * len(processes))
    temperature = 32 + load * 2 // 5
    remaps = board.compute_capability_numbers >= _REMAPS_ROWS
    # In MIG mode NVML has no utilization: neither of the GPU nor of its instances.
    whole = instances is None
    return Telemetry(
        sm_clock_mhz=_BUSY_CLOCK_MHZ if load else _IDLE_CLOCK_MHZ,
        memory_clock_mhz=2619,
        temperature_celsius=temperature,
        memory_temperature_celsius=temperature + 6 if board.compute_capability_numbers in _HBM else None,
        power_watts=70.0 + 4.5 * load,
        energy_mj=0,
        pcie_replays=0,
        busy_percent=load if whole else None,
        memory_busy_percent=load // 2 if whole else None,
        encoder_percent=0 if whole else None,
        decoder_percent=0 if whole else None,
        memory=_memory(board.memory_mib, processes),
        instance_memory={
            gi_id: memory
            for gi_id, profile in (instances or {}).items()
            if (memory := _memory(profile.memory_mib, [p for p in processes if p.gi_id == gi_id]))
        },
        corrected_rows=0 if remaps else None,
        uncorrected_rows=0 if remaps else None,
        row_remap_pending=False if remaps else None,
        row_remap_failed=False if remaps else None,
        retired_pages_single_bit=None if remaps else 0,
        retired_pages_double_bit=None if remaps else 0,
        retired_pages_pending=None if remaps else False,
        uncorrected_errors=0,
    )


def _memory(total_mib: int | None, processes: Sequence[Process]) -> Memory | None:
    if total_mib is None:
        return None
    reserved_mib = total_mib // _RESERVED_SHARE
    used_mib = min(total_mib - reserved_mib, sum(process.memory_mib or 0 for process in processes))
    return Memory(used_mib, total_mib - reserved_mib - used_mib, reserved_mib)
