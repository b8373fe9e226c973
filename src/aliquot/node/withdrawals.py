"""Devices on their way out of kubelet's hands.

Kubelet learns of an unhealthy device some time after it was told, and may allocate it until then. When it surely will
not any more is what this keeps book of. Forgotten at a restart: the devices are then advertised again, and whoever
wants them gone begins anew.
"""

from collections.abc import Collection, KeysView
from dataclasses import dataclass

from aliquot.node.pod_resources import Allocations

UNSEEN_S = 2.0
"""For a device that kubelet never listed: long enough for an update already under way to arrive and be listed."""
PATIENCE_S = 30.0
"""For kubelet to take a device off its list."""


@dataclass(slots=True)
class _Withdrawal:
    since: float
    was_listed: bool


class Withdrawals:
    """Times are Unix seconds, compared with the time of the question that `Allocations` answers."""

    def __init__(self) -> None:
        self._out: dict[str, _Withdrawal] = {}
        self._listed: frozenset[str] = frozenset()

    def want(self, device_ids: Collection[str], now: float) -> None:
        """Exactly these are to leave; those no longer named come back."""
        before = set(self._out)
        for device_id in before - set(device_ids):
            del self._out[device_id]
        for device_id in sorted(set(device_ids) - before):
            self._out[device_id] = _Withdrawal(now, device_id in self._listed)

    def look(self, allocations: Allocations) -> None:
        self._listed = allocations.allocatable
        for device_id, withdrawal in self._out.items():
            withdrawal.was_listed |= device_id in allocations.allocatable

    def device_ids(self) -> KeysView[str]:
        return self._out.keys()

    def released(self, allocations: Allocations) -> frozenset[str]:
        """Those that kubelet has had on its list and has no more, or has not had for long enough.

        Its stream keeps order: once it has dropped a device it has read the update that says so.
        """
        asked_at = allocations.asked_at
        if allocations.failure or asked_at is None:
            return frozenset()
        return frozenset(
            device_id
            for device_id, withdrawal in self._out.items()
            if device_id not in allocations.allocatable
            and asked_at >= withdrawal.since
            and (withdrawal.was_listed or asked_at - withdrawal.since >= UNSEEN_S)
        )

    def overdue(self, now: float) -> tuple[str, ...]:
        return tuple(sorted(i for i, withdrawal in self._out.items() if now - withdrawal.since > PATIENCE_S))
