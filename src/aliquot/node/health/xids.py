"""What an XID means for the device that it names."""

from aliquot.kube.api.gpunode import Cure
from aliquot.node.health.ailment import Ailment

NEEDS_RESET = frozenset({48, 62, 64, 74, 79, 95, 119, 120, 140})
"""Errors that quiet does not mend: uncontained memory errors, a dead link, firmware or bus."""

_MEANING = {
    48: "double-bit ECC error",
    61: "internal microcontroller breakpoint",
    62: "internal microcontroller halt",
    63: "memory row remapping or page retirement",
    64: "failure to remap a memory row",
    69: "graphics engine class error",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "high single-bit ECC error rate",
    94: "contained memory error",
    95: "uncontained memory error",
    119: "the GPU system processor does not answer",
    120: "the GPU system processor failed",
    140: "unrecovered ECC error",
}


def ailment(xid: int, now: float) -> Ailment:
    meaning = _MEANING.get(xid, "critical error")
    cure = Cure.RESET if xid in NEEDS_RESET else Cure.QUIET
    return Ailment(f"XID{xid}", f"XID {xid}: {meaning}", cure, now, now)


def number(reason: str) -> int | None:
    """The XID of an ailment's reason; None where it is no XID's."""
    digits = reason.removeprefix("XID")
    return int(digits) if digits != reason and digits.isdecimal() else None
