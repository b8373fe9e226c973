"""What a GPU tells of its memory, and what its driver asks for, as ailments."""

from aliquot.gpu.driver import RecoveryAction, Telemetry
from aliquot.kube.api.gpunode import Cure
from aliquot.node.health.ailment import Ailment

_UNCORRECTED = "UncorrectedECC"
_ROW_PENDING, _ROW_FAILED, _PAGE_PENDING = "RowRemapPending", "RowRemapFailed", "PageRetirementPending"

_ASKED_FOR = {
    RecoveryAction.GPU_RESET: ("NeedsReset", Cure.RESET, "a reset of the GPU"),
    RecoveryAction.BUS_RESET: ("NeedsReset", Cure.RESET, "a reset of the GPU's bus"),
    RecoveryAction.NODE_REBOOT: ("NeedsReboot", Cure.RESET, "a reboot of the node"),
    RecoveryAction.SYSTEM_REBOOT: ("NeedsReboot", Cure.RESET, "a reboot of the whole system"),
    RecoveryAction.DRAIN_AND_RESET: ("NeedsDrain", Cure.RESET, "the GPU to be drained, then reset"),
    RecoveryAction.DRAIN_P2P: ("NeedsDrain", Cure.DRAIN, "an end of what runs between GPUs (P2P)"),
    RecoveryAction.RECOVER_IMEX_DOMAIN: ("NeedsRecovery", Cure.DRAIN, "its IMEX domain to be recovered"),
}


REASONS = tuple(
    dict.fromkeys(
        (
            *(reason for reason, _, _ in _ASKED_FOR.values()),
            _ROW_FAILED,
            _ROW_PENDING,
            _PAGE_PENDING,
            _UNCORRECTED,
        )
    )
)


def ailments(now: Telemetry, before: Telemetry | None, at: float) -> tuple[Ailment, ...]:
    """`before`: the figures of the last time; None when there are none since the agent started."""
    found = []
    if (asked := _ASKED_FOR.get(now.recovery_action or RecoveryAction.NONE)) is not None:
        reason, cure, what = asked
        found.append(_figure(reason, f"the driver asks for {what}", cure, at))
    if now.row_remap_failed:
        found.append(_figure(_ROW_FAILED, "a row of memory could not be replaced", Cure.REPLACEMENT, at))
    if now.row_remap_pending:
        found.append(_figure(_ROW_PENDING, "a row of memory is replaced at the next reset", Cure.RESET, at))
    if now.retired_pages_pending:
        found.append(_figure(_PAGE_PENDING, "a page of memory is retired at the next reset", Cure.RESET, at))
    if errors := now.uncorrected_errors or 0:
        message = f"{errors} memory errors that ECC could not correct, since the last reset"
        if now.row_remap_pending is None:
            found.append(_figure(_UNCORRECTED, message, Cure.RESET, at))
        # Boards that replace rows keep an error to the process that met it. The count starts anew at a reset, and does
        # not tell when errors came: only those that come while the agent looks count.
        elif before is not None and errors != (before.uncorrected_errors or 0):
            found.append(Ailment(_UNCORRECTED, message, Cure.QUIET, at, at))
    return tuple(found)


def _figure(reason: str, message: str, cure: Cure, at: float) -> Ailment:
    return Ailment(reason, message, cure, at, at, measured=True)
