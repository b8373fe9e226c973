"""Which devices are fit to be handed out, and why the others are not.

A critical XID condemns exactly what it names: the compute instance, the GPU instance, or the whole GPU, and never a
neighbour. Every ailment has a way back: a quiet time; answering for a while after having been away; figures that tell
it no more; and where only a reset mends it, a reset, a reboot, or a driver that says that nothing is needed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aliquot.clock import parse_rfc3339
from aliquot.gpu.driver import RecoveryAction, ReturnCode, Telemetry, XidEvent
from aliquot.kube.api.gpunode import Cure, GPUNodeStatus
from aliquot.node.advertise import Device
from aliquot.node.health import figures, xids
from aliquot.node.health.ailment import PROBE_S, QUIET_S, Ailment, Change, worst_first
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.inventory import ObservedGpu, Snapshot

_LOST, _NOT_ANSWERING = "GPULost", "NotAnswering"
_RESET_BY_NOW = frozenset({ReturnCode.GPU_IS_LOST, ReturnCode.RESET_REQUIRED})
"""A GPU that answers again after these was reset in between."""


@dataclass(slots=True)
class _Gpu:
    ailments: dict[str, dict[str, Ailment]] = field(default_factory=dict)
    """By the id they condemn (the GPU's own UUID for the whole GPU, else a MIG UUID) and by reason."""
    answering_since: float | None = None
    was_seen: bool = False
    figures: Telemetry | None = None


class Health:
    """Fed with events, snapshots and figures, asked about devices. Times are Unix seconds.

    What feeds it returns the changes. A restarted agent `takes_over` what the last one reported.
    """

    def __init__(self, policy: HealthPolicy) -> None:
        self._policy = policy
        self._gpus: dict[str, _Gpu] = {}
        self.boot_id = ""
        """Of the machine, when the ailments were seen; empty when unknown."""

    # --- what it is told ---

    def take_over(self, last: GPUNodeStatus, now: float) -> None:
        """What the last agent of this node reported. It holds until it is over by the rules, and is no change."""
        self.boot_id = last.boot_id
        for gpu in last.gpus:
            for known in gpu.ailments:
                if self._policy.ignores(xids.number(known.reason)):
                    continue
                since = _moment(known.since, now)
                ailment = Ailment(known.reason, known.message, known.cure, since, now, known.measured)
                by_device = self._gpus.setdefault(gpu.uuid, _Gpu()).ailments
                by_device.setdefault(known.device, {})[known.reason] = ailment

    def booted(self, boot_id: str) -> None:
        """A machine that was rebooted has reset its GPUs."""
        if boot_id and self.boot_id and boot_id != self.boot_id:
            for gpu_uuid in self._gpus:
                self.was_reset(gpu_uuid)
        self.boot_id = boot_id or self.boot_id

    def was_reset(self, gpu_uuid: str) -> None:
        """Whatever a reset can mend heals once the GPU answers; the figures tell the rest."""
        record = self._gpus.get(gpu_uuid)
        if record is None:
            return
        record.answering_since = None
        for ailments in record.ailments.values():
            for reason, ailment in ailments.items():
                if ailment.cure is Cure.RESET and not ailment.measured:
                    ailments[reason] = replace(ailment, cure=Cure.ANSWER)

    def xid(self, event: XidEvent, snapshot: Snapshot, now: float) -> list[Change]:
        """Events of unknown GPUs condemn nobody."""
        observed = snapshot.by_uuid.get(event.gpu_uuid)
        if observed is None or self._policy.ignores(event.xid):
            return []
        condemned = list(_named(event, observed)) or [event.gpu_uuid]
        ailment = xids.ailment(event.xid, now)
        return [
            change for device_id in condemned for change in self._fell_ill(event.gpu_uuid, device_id, ailment)
        ]

    def observe(self, snapshot: Snapshot, now: float) -> list[Change]:
        """Take in what the GPUs answer, and let go of what is over."""
        changes = []
        for observed in snapshot.gpus:
            uuid = observed.gpu.uuid
            record = self._gpus.setdefault(uuid, _Gpu())
            record.was_seen = True
            if observed.failure is not None:
                changes += self._does_not_answer(observed, snapshot, now)
                continue
            if record.answering_since is None:
                record.answering_since = now
            present = {uuid, *(compute.uuid for _, compute in observed.mig_devices())}
            for gone in record.ailments.keys() - present:
                del record.ailments[gone]
            over = {
                (device_id, reason)
                for device_id, ailments in record.ailments.items()
                for reason, ailment in ailments.items()
                if _over(ailment, record.answering_since, now)
            }
            changes += self._recovered(uuid, over)
        for uuid in [uuid for uuid, record in self._gpus.items() if record.was_seen]:
            if uuid not in snapshot.by_uuid:
                del self._gpus[uuid]
        return changes

    def take_figures(self, telemetry: Mapping[str, Telemetry], now: float) -> list[Change]:
        """`telemetry`: of the GPUs that answered, by UUID. It is about the whole GPU, in MIG mode as well."""
        changes: list[Change] = []
        for uuid, told in telemetry.items():
            record = self._gpus.get(uuid)
            if record is None or record.answering_since is None:
                continue
            found = figures.ailments(told, record.figures, now) if self._policy.memory else ()
            record.figures = told
            for ailment in found:
                changes += self._fell_ill(uuid, uuid, ailment)
            still = {ailment.reason for ailment in found}
            over = {
                (device_id, reason)
                for device_id, ailments in record.ailments.items()
                for reason, ailment in ailments.items()
                if (ailment.measured and reason not in still) or _nothing_needed(ailment, told, now)
            }
            changes += self._recovered(uuid, over)
        return changes

    # --- what it is asked ---

    def of(self, device: Device) -> Ailment | None:
        """The worst that is wrong with the device, or with the GPU it is part of."""
        found = self.all_of(device.gpu_uuid, device.gpu_uuid) or self.all_of(device.gpu_uuid, device.id)
        return found[0] if found else None

    def all_of(self, gpu_uuid: str, device_id: str) -> tuple[Ailment, ...]:
        """Worst first; of exactly that GPU or slice."""
        record = self._gpus.get(gpu_uuid)
        return worst_first(list(record.ailments.get(device_id, {}).values())) if record else ()

    def ailments(self) -> Mapping[str, tuple[Ailment, ...]]:
        """By GPU or MIG UUID, of those that are not healthy; worst first."""
        return {
            device_id: self.all_of(uuid, device_id)
            for uuid, record in self._gpus.items()
            for device_id in record.ailments
        }

    @property
    def waits_for_figures(self) -> bool:
        return any(ailment.measured for ailments in self.ailments().values() for ailment in ailments)

    # --- inside ---

    def _does_not_answer(self, observed: ObservedGpu, snapshot: Snapshot, now: float) -> list[Change]:
        uuid, failure = observed.gpu.uuid, observed.failure
        assert failure is not None
        if failure.code in _RESET_BY_NOW or snapshot.failure is not None:
            self.was_reset(uuid)
        self._gpus[uuid].answering_since = None
        lost = failure.code is ReturnCode.GPU_IS_LOST
        reason, other = (_LOST, _NOT_ANSWERING) if lost else (_NOT_ANSWERING, _LOST)
        self._gpus[uuid].ailments.get(uuid, {}).pop(other, None)
        return self._fell_ill(uuid, uuid, Ailment(reason, str(failure), Cure.ANSWER, now, now))

    def _fell_ill(self, gpu_uuid: str, device_id: str, ailment: Ailment) -> list[Change]:
        ailments = self._gpus.setdefault(gpu_uuid, _Gpu()).ailments.setdefault(device_id, {})
        before = ailments.get(ailment.reason)
        if before is not None:
            ailment = replace(ailment, since=before.since)
        ailments[ailment.reason] = ailment
        return [Change(gpu_uuid, device_id, ailment)] if before is None else []

    def _recovered(self, gpu_uuid: str, over: Iterable[tuple[str, str]]) -> list[Change]:
        changes = []
        by_device = self._gpus[gpu_uuid].ailments
        for device_id, reason in sorted(over):
            ailment = by_device[device_id].pop(reason)
            if not by_device[device_id]:
                del by_device[device_id]
                changes.append(Change(gpu_uuid, device_id, ailment, recovered=True))
        return changes


def _moment(text: str, otherwise: float) -> float:
    try:
        return parse_rfc3339(text)
    except ValueError:
        return otherwise


def _named(event: XidEvent, observed: ObservedGpu) -> Iterator[str]:
    """The MIG devices that the event is about; none where it names no instance that exists."""
    if event.gi_id is None and event.ci_id is None:
        return
    for instance, compute in observed.mig_devices():
        if event.gi_id in (None, instance.gi_id) and event.ci_id in (None, compute.ci_id):
            yield compute.uuid


def _over(ailment: Ailment, answering_since: float, now: float) -> bool:
    if ailment.measured:
        return False
    if ailment.cure is Cure.ANSWER:
        return now - answering_since >= PROBE_S
    return ailment.cure is Cure.QUIET and now - ailment.last_seen >= QUIET_S


def _nothing_needed(ailment: Ailment, told: Telemetry, now: float) -> bool:
    """The driver knows better than a table of XIDs, once it has had the time to find out."""
    return (
        ailment.cure is Cure.RESET
        and not ailment.measured
        and told.recovery_action is RecoveryAction.NONE
        and now - ailment.last_seen >= QUIET_S
    )
