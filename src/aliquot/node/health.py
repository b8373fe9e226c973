"""Which devices are fit to be handed out, and why the others are not.

A critical XID condemns exactly what it names: the compute instance, the GPU instance, or the whole GPU, and never a
neighbour. Every ailment has a way back: by a quiet time in which the GPU answers, or, where only a reset mends it,
by being seen to go away and come back. Ailments live in this process; a restarted agent starts from what it sees.
"""

from dataclasses import dataclass, field

from aliquot.gpu.driver import ReturnCode, XidEvent
from aliquot.node.advertise import Device
from aliquot.node.inventory import Snapshot
from aliquot.node.metrics.counts import RECOVERED, Counts

IGNORED_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Faults of the application, not of the GPU; NVIDIA's plugin ignores the same."""

NEEDS_RESET = frozenset({48, 62, 64, 74, 79, 95, 119, 120, 140})
"""Errors that quiet does not mend: uncontained memory errors, a dead link, firmware or bus."""

QUIET_S = 60.0
"""Without a further event, after which a passing error is over."""
PROBE_S = 10.0
"""Answering without a break, after which a GPU that was away is trusted again."""

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


@dataclass(frozen=True, slots=True)
class Ailment:
    reason: str
    """`XID48`, `GPULost`, `NotAnswering`."""
    message: str
    last_seen: float
    needs_reset: bool = False


@dataclass(slots=True)
class _Gpu:
    ailments: dict[str, Ailment] = field(default_factory=dict)
    """By the id they condemn: the GPU's own UUID for the whole GPU, else a MIG UUID."""
    answering_since: float | None = None
    was_away: bool = False


class Health:
    """Fed with events and snapshots, asked about devices. Times are Unix seconds."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._gpus: dict[str, _Gpu] = {}

    def xid(self, event: XidEvent, snapshot: Snapshot, now: float) -> bool:
        """Whether the event changes anything. Events of unknown GPUs condemn nobody."""
        observed = snapshot.by_uuid.get(event.gpu_uuid)
        if observed is None or event.xid in IGNORED_XIDS:
            return False
        meaning = _MEANING.get(event.xid, "critical error")
        ailment = Ailment(
            f"XID{event.xid}", f"XID {event.xid}: {meaning}", now, needs_reset=event.xid in NEEDS_RESET
        )
        condemned = [
            compute.uuid
            for instance, compute in observed.mig_devices()
            if event.gi_id == instance.gi_id and event.ci_id in (None, compute.ci_id)
        ]
        record = self._gpus.setdefault(event.gpu_uuid, _Gpu())
        for device_id in condemned or [event.gpu_uuid]:
            self._fell_ill(record, device_id, ailment)
        return True

    def observe(self, snapshot: Snapshot, now: float) -> None:
        """Take in what the GPUs answer, and let go of what is over."""
        for observed in snapshot.gpus:
            uuid = observed.gpu.uuid
            record = self._gpus.setdefault(uuid, _Gpu())
            if observed.failure is not None:
                lost = observed.failure.code is ReturnCode.GPU_IS_LOST
                reason = "GPULost" if lost else "NotAnswering"
                self._fell_ill(record, uuid, Ailment(reason, str(observed.failure), now, needs_reset=True))
                record.answering_since = None
                record.was_away = True
                continue
            if record.answering_since is None:
                record.answering_since = now
            present = {uuid, *(compute.uuid for _, compute in observed.mig_devices())}
            still_there = {key: ailment for key, ailment in record.ailments.items() if key in present}
            record.ailments = {
                key: ailment for key, ailment in still_there.items() if not _over(ailment, record, now)
            }
            for _ in range(len(still_there) - len(record.ailments)):
                self._counts.health_changed(RECOVERED)
            if not record.ailments:
                record.was_away = False
        for uuid in set(self._gpus) - set(snapshot.by_uuid):
            del self._gpus[uuid]

    def _fell_ill(self, record: _Gpu, device_id: str, ailment: Ailment) -> None:
        before = record.ailments.get(device_id)
        if before is None or before.reason != ailment.reason:
            self._counts.health_changed(ailment.reason)
        record.ailments[device_id] = ailment

    def was_reset(self, gpu_uuid: str) -> None:
        """Whatever a reset can mend may now heal."""
        if gpu_uuid in self._gpus:
            self._gpus[gpu_uuid].was_away = True
            self._gpus[gpu_uuid].answering_since = None

    def of(self, device: Device) -> Ailment | None:
        """What is wrong with the device, or with the GPU it is part of."""
        return self.of_gpu(device.gpu_uuid) or self._ailments(device.gpu_uuid).get(device.id)

    def of_gpu(self, gpu_uuid: str) -> Ailment | None:
        return self._ailments(gpu_uuid).get(gpu_uuid)

    def _ailments(self, gpu_uuid: str) -> dict[str, Ailment]:
        record = self._gpus.get(gpu_uuid)
        return record.ailments if record else {}


def _over(ailment: Ailment, record: _Gpu, now: float) -> bool:
    if ailment.needs_reset:
        answering = record.answering_since
        return record.was_away and answering is not None and now - answering >= PROBE_S
    return now - ailment.last_seen >= QUIET_S
