"""What a GPU measures of itself, as NVML tells it: every figure asked on its own, so that one may be missing."""

from collections.abc import Callable
from typing import Any, TypeVar

from aliquot.gpu.driver import DriverError, Memory, RecoveryAction, ReturnCode, Telemetry
from aliquot.gpu.nvml import mig
from aliquot.gpu.nvml.session import MIB, Device, Session

T = TypeVar("T")

_ENDS_ALL = frozenset({ReturnCode.UNINITIALIZED, ReturnCode.GPU_IS_LOST, ReturnCode.RESET_REQUIRED})
"""After which no other figure can be had either."""
_RECOVERY_ACTIONS = tuple(RecoveryAction)
"""By NVML's numbers."""


def read(session: Session, device: Device) -> Telemetry:
    """Raises DriverError when the GPU as a whole does not answer."""
    nvml, handle = session.nvml, device.handle

    def ask(question: Callable[..., T], *arguments: Any) -> T | None:
        return _ask(session, device, question, handle, *arguments)

    fields = _fields(session, device)
    power_mw = ask(nvml.nvmlDeviceGetPowerUsage)
    busy = ask(nvml.nvmlDeviceGetUtilizationRates)
    encoder = ask(nvml.nvmlDeviceGetEncoderUtilization)
    decoder = ask(nvml.nvmlDeviceGetDecoderUtilization)
    rows = ask(nvml.nvmlDeviceGetRemappedRows)
    pending = fields.get(nvml.NVML_FI_DEV_RETIRED_PENDING)
    action = fields.get(nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, len(_RECOVERY_ACTIONS))
    return Telemetry(
        sm_clock_mhz=ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        memory_clock_mhz=ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
        temperature_celsius=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        # Boards without that thermometer may say 0 instead of "not supported".
        memory_temperature_celsius=fields.get(nvml.NVML_FI_DEV_MEMORY_TEMP) or None,
        power_watts=None if power_mw is None else power_mw / 1000,
        energy_mj=ask(nvml.nvmlDeviceGetTotalEnergyConsumption),
        pcie_replays=ask(nvml.nvmlDeviceGetPcieReplayCounter),
        busy_percent=None if busy is None else busy.gpu,
        memory_busy_percent=None if busy is None else busy.memory,
        encoder_percent=None if encoder is None else encoder[0],
        decoder_percent=None if decoder is None else decoder[0],
        memory=_memory(session, device, handle),
        instance_memory=_instance_memory(session, device),
        corrected_rows=None if rows is None else rows[0],
        uncorrected_rows=None if rows is None else rows[1],
        row_remap_pending=None if rows is None else bool(rows[2]),
        row_remap_failed=None if rows is None else bool(rows[3]),
        retired_pages_single_bit=fields.get(nvml.NVML_FI_DEV_RETIRED_SBE),
        retired_pages_double_bit=fields.get(nvml.NVML_FI_DEV_RETIRED_DBE),
        retired_pages_pending=None if pending is None else bool(pending),
        uncorrected_errors=ask(
            nvml.nvmlDeviceGetTotalEccErrors, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        # An action that a later driver thought of is not known here.
        recovery_action=_RECOVERY_ACTIONS[action] if action < len(_RECOVERY_ACTIONS) else None,
    )


def _ask(session: Session, device: Device, question: Callable[..., T], *arguments: Any) -> T | None:
    try:
        with session.errors(device.gpu.uuid):
            return question(*arguments)
    except DriverError as error:
        if error.code in _ENDS_ALL:
            raise
        return None


def _fields(session: Session, device: Device) -> dict[int, int]:
    """Those that have no call of their own, by NVML_FI_DEV_*: each has a return code of its own."""
    nvml = session.nvml
    wanted = [
        nvml.NVML_FI_DEV_MEMORY_TEMP,
        nvml.NVML_FI_DEV_RETIRED_SBE,
        nvml.NVML_FI_DEV_RETIRED_DBE,
        nvml.NVML_FI_DEV_RETIRED_PENDING,
        nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,
    ]
    answers = _ask(session, device, nvml.nvmlDeviceGetFieldValues, device.handle, wanted) or ()
    members = {
        nvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        nvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
    }
    return {
        answer.fieldId: int(getattr(answer.value, members[answer.valueType]))
        for answer in answers
        if answer.nvmlReturn == nvml.NVML_SUCCESS and answer.valueType in members
    }


def _memory(session: Session, device: Device, handle: Any) -> Memory | None:
    nvml = session.nvml
    second = _ask(session, device, nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
    if second is not None:
        return Memory(second.used // MIB, second.free // MIB, second.reserved // MIB)
    first = _ask(session, device, nvml.nvmlDeviceGetMemoryInfo, handle)  # drivers before R510
    return None if first is None else Memory(first.used // MIB, first.free // MIB, None)


def _instance_memory(session: Session, device: Device) -> dict[int, Memory]:
    """Memory belongs to the GPU instance: all MIG devices in it tell the same."""
    nvml = session.nvml
    found: dict[int, Memory] = {}
    if not mig.is_on(session, device):
        return found
    for handle in mig.devices(session, device):
        gi_id = _ask(session, device, nvml.nvmlDeviceGetGpuInstanceId, handle)
        # One that goes away just now has no figures.
        if gi_id is not None and gi_id not in found and (memory := _memory(session, device, handle)):
            found[gi_id] = memory
    return found
