"""What is wrong with a device, and what brings it back."""

from collections.abc import Sequence
from dataclasses import dataclass

from aliquot.kube.api.gpunode import Cure

QUIET_S = 60.0
"""Without a further event, after which a passing error is over."""
PROBE_S = 10.0
"""Answering without a break, after which a GPU that was away is trusted again."""

_OUTLOOK = {
    Cure.ANSWER: f"handed out again once it has answered for {PROBE_S:g} s",
    Cure.REPLACEMENT: "it needs a reset, and where that does not help the GPU has to be replaced (RMA)",
    Cure.RESET: "not handed out until the GPU is reset or the node rebooted",
    Cure.DRAIN: "not handed out until the driver asks for it no more",
    Cure.QUIET: f"handed out again after {QUIET_S:g} s without another",
}
_WORST_FIRST = tuple(_OUTLOOK)


@dataclass(frozen=True, slots=True)
class Ailment:
    reason: str
    """`XID48`, `GPULost`, `RowRemapPending`."""
    message: str
    cure: Cure
    since: float
    last_seen: float
    measured: bool = False
    """The GPU tells it whenever it is asked, and so tells when it is over."""

    @property
    def outlook(self) -> str:
        """What happens next."""
        return _OUTLOOK[self.cure]


@dataclass(frozen=True, slots=True)
class Change:
    """A device got another ailment, or its last one went."""

    gpu_uuid: str
    device_id: str
    """GPU or MIG UUID."""
    ailment: Ailment
    recovered: bool = False


def worst_first(ailments: Sequence[Ailment]) -> tuple[Ailment, ...]:
    return tuple(sorted(ailments, key=lambda a: (_WORST_FIRST.index(a.cure), -a.last_seen, a.reason)))
