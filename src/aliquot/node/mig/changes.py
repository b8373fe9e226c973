"""The changes of MIG mode and slices that are under way, from the wish to the deed, over any number of looks.

Keeps what a single look cannot know: which devices are being withdrawn from kubelet, which GPU is being worked on, and
what failed lately. All of it may be lost: a restarted agent decides from what it finds.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import structlog

from aliquot.clock import Clock
from aliquot.kube.api.gpunode import Disruption, GPUNodeSpec
from aliquot.node.advertise import Device, known_profiles
from aliquot.node.inventory import ObservedGpu, Snapshot
from aliquot.node.metrics.counts import DONE, Counts
from aliquot.node.mig.decision import (
    Act,
    Blocked,
    Decision,
    Evict,
    Settled,
    Situation,
    Withdraw,
    decide,
)
from aliquot.node.mig.evictions import Evictions
from aliquot.node.mig.executor import Executor, ModeWaits, StepFailed
from aliquot.node.mig.gpu_clients import HELD_BY_CLIENT
from aliquot.node.mig.journal import JournalError, unfinished_of
from aliquot.node.mig.one_writer import GpuHeld, held
from aliquot.node.pod_resources import Allocations
from aliquot.node.status import Note
from aliquot.node.withdrawals import Withdrawals

_log = structlog.get_logger()

_FIRST_RETRY_S = 5.0
_LAST_RETRY_S = 300.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the machine, kubelet and the pods found."""

    snapshot: Snapshot
    devices: Sequence[Device]
    """All of the node, advertised or not."""
    uses: Mapping[str, str]
    allocations: Allocations
    busy: frozenset[str]
    """GPUs on which work ran at any time of the look: what was seen of them is worth nothing."""
    left_alone: Mapping[str, Note] = field(default_factory=dict)
    """GPUs that are somebody else's, and why: nothing is begun on them."""


@dataclass(frozen=True, slots=True)
class _Failure:
    generation: int
    count: int
    retry_at: float
    note: Note


class Changes:
    """`finished` is called when work on a GPU has ended. `directory`: where `aliquot mig` keeps its locks and journals,
    so that the two do not change a GPU at the same time; None where there is nobody to meet."""

    def __init__(
        self,
        executor: Executor,
        evictions: Evictions,
        clock: Clock,
        finished: Callable[[], None],
        counts: Counts,
        directory: Path | None = None,
    ) -> None:
        self._counts = counts
        self._directory = directory
        self._executor = executor
        self._evictions = evictions
        self._evicting_since: dict[str, float] = {}
        self._clock = clock
        self._finished = finished
        self._withdrawals = Withdrawals()
        self._works: dict[str, Act] = {}
        self._failures: dict[str, _Failure] = {}

    def busy(self) -> frozenset[str]:
        """GPUs that are being worked on."""
        return frozenset(self._works)

    @property
    def under_way(self) -> bool:
        return bool(self._works or self._withdrawals.device_ids())

    def due_in_s(self) -> float:
        """When something that failed is to be tried again; infinity when nothing is."""
        now = self._clock.now()
        return min(
            (failure.retry_at - now for failure in self._failures.values() if failure.retry_at > now),
            default=inf,
        )

    def hold(self, device_id: str) -> tuple[str, bool]:
        """Why the device must not be handed out, and whether Allocate has to refuse it; ("", False) when free."""
        if any(device_id in act.device_ids for act in self._works.values()):
            return "it is being taken away", True
        if device_id in self._withdrawals.device_ids():
            return "it is about to be taken away", False
        return "", False

    def consider(
        self, spec: GPUNodeSpec, generation: int, look: Look, tasks: asyncio.TaskGroup
    ) -> Mapping[str, Note]:
        """Decide for each GPU, begin what can be begun. `generation` is that of the spec. GPU UUID -> its note."""
        wanted = spec.gpus
        self._withdrawals.look(look.allocations)
        notes: dict[str, Note] = {}
        uuids = {gpu.uuid for gpu in wanted}
        self._failures = {uuid: failure for uuid, failure in self._failures.items() if uuid in uuids}
        leaving = {device_id for act in self._works.values() for device_id in act.device_ids}
        for gpu in sorted(wanted, key=lambda gpu: gpu.uuid):
            observed = look.snapshot.by_uuid.get(gpu.uuid)
            if observed is None:
                notes[gpu.uuid] = _absent(gpu.uuid, look.snapshot)
                continue
            if gpu.uuid in look.busy:
                notes[gpu.uuid] = Note("Reconfiguring", "mode or slices are being changed", in_progress=True)
                continue
            situation = Situation(
                observed,
                tuple(device for device in look.devices if device.gpu_uuid == gpu.uuid),
                look.uses,
                self._withdrawals.released(look.allocations),
                look.allocations.shares_by_device,
                spec.disruption is Disruption.EVICT,
            )
            wish = decide(gpu, situation)
            if gpu.uuid in look.left_alone and not isinstance(wish, Settled):
                notes[gpu.uuid] = look.left_alone[gpu.uuid]
                continue
            decided = self._in_time(gpu.uuid, wish, generation, spec)
            decision = self._patiently(gpu.uuid, decided, generation, look.allocations)
            notes[gpu.uuid] = self._note(decision)
            if isinstance(decision, Evict):
                self._evictions.want(decision.pods, tasks)
            if isinstance(decision, Withdraw | Evict | Act):
                leaving.update(decision.device_ids)
            if isinstance(decision, Act):
                self._works[gpu.uuid] = decision
                tasks.create_task(self._work(decision, observed, generation))
        self._withdrawals.want(leaving, self._clock.now())
        return notes

    def _in_time(self, uuid: str, decision: Decision, generation: int, spec: GPUNodeSpec) -> Decision:
        """Pods that are not gone by the deadline stay; it is begun anew later."""
        if not isinstance(decision, Evict):
            self._evicting_since.pop(uuid, None)
            return decision
        now = self._clock.now()
        if now - self._evicting_since.setdefault(uuid, now) < spec.eviction_deadline_seconds:
            return decision
        del self._evicting_since[uuid]
        waited = f"within {spec.eviction_deadline_seconds} s"
        self._failed(uuid, generation, Note("NotEvicted", f"{self._still_there(decision)} {waited}"))
        return decision

    def _still_there(self, decision: Evict) -> str:
        refused = [self._evictions.refusals[pod] for pod in decision.pods if pod in self._evictions.refusals]
        why = f" ({refused[0]})" if refused else ""
        return f"{', '.join(decision.pods)} did not go{why}"

    def _patiently(
        self, uuid: str, decision: Decision, generation: int, allocations: Allocations
    ) -> Decision:
        """What failed lately waits for its next turn, unless the spec has changed since."""
        now = self._clock.now()
        if isinstance(decision, Settled):
            self._failures.pop(uuid, None)
        if isinstance(decision, Withdraw):
            overdue = sorted(set(self._withdrawals.overdue(now)) & set(decision.device_ids))
            if overdue:
                why = allocations.failure or f"kubelet still lists {', '.join(overdue)} as allocatable"
                self._failed(uuid, generation, Note("NotReleased", why))
        failure = self._failures.get(uuid)
        if failure is None or not isinstance(decision, Withdraw | Evict | Act):
            return decision
        if failure.generation != generation or now >= failure.retry_at:
            return decision
        return Blocked(failure.note.reason, failure.note.message)

    async def _work(self, act: Act, observed: ObservedGpu, generation: int) -> None:
        uuid = observed.gpu.uuid
        names = {profile.profile_id: profile.name for profile in known_profiles(observed)}
        try:
            with held(self._directory, uuid) if self._directory is not None else nullcontext():
                if self._directory is not None and (earlier := unfinished_of(self._directory, uuid)):
                    raise JournalError(str(earlier))
                await self._executor.carry_out(uuid, act.steps, observed.instances, names=names)
        except GpuHeld as error:
            self._failed(uuid, generation, Note("OtherWriter", str(error)))
        except JournalError as error:
            self._failed(uuid, generation, Note("CutShort", str(error)))
        except ModeWaits as waits:
            note = Note("RebootRequired", f"{waits}; the agent goes on by itself after it")
            self._failed(uuid, generation, note)
        except StepFailed as failure:
            reason = HELD_BY_CLIENT if failure.in_use else "DriverError"
            self._failed(uuid, generation, Note(reason, str(failure)))
        else:
            self._counts.reconfigured(DONE)
            self._failures.pop(uuid, None)
        finally:
            del self._works[uuid]
            self._finished()

    def _failed(self, uuid: str, generation: int, note: Note) -> None:
        self._counts.reconfigured(note.reason)
        before = self._failures.get(uuid)
        count = before.count + 1 if before is not None and before.generation == generation else 1
        delay_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2 ** min(count - 1, 10))
        self._failures[uuid] = _Failure(generation, count, self._clock.now() + delay_s, note)
        _log.warning(
            "MIG change failed", gpu=uuid, reason=note.reason, error=note.message, retry_in_s=delay_s
        )

    def _note(self, decision: Decision) -> Note:
        match decision:
            case Settled():
                return Note()
            case Blocked(reason, message):
                return Note(reason, message)
            case Withdraw(device_ids):
                ids = ", ".join(device_ids)
                return Note("Withdrawing", f"waiting for kubelet to let go of {ids}", in_progress=True)
            case Evict(_, pods):
                refused = [f"; {text}" for pod, text in self._evictions.refusals.items() if pod in pods]
                text = f"waiting for the eviction of {', '.join(pods)}{''.join(refused[:1])}"
                return Note("Evicting", text, in_progress=True)
            case Act():
                return Note("Reconfiguring", "mode or slices are being changed", in_progress=True)


def _absent(uuid: str, snapshot: Snapshot) -> Note:
    # A driver that never saw a GPU alive does not know its UUID.
    for lost in snapshot.lost:
        if lost.uuid in (uuid, ""):
            return Note("GPULost", str(lost.error))
    return Note("NoSuchGPU", "the node has no GPU of this UUID")
