"""Is a device in use? The one rule, and everything that counts.

In use = a process runs on it (NVML), or kubelet lists a holder (pod-resources), or an Allocate for it was answered and
kubelet does not list it yet, or a pod that is bound here and not yet admitted is to get it. NVML alone would not do:
a container that holds a slice idly looks free to it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from aliquot.gpu.driver import Process
from aliquot.node.advertise import Device, device_of
from aliquot.node.assignments import Claim, Promise
from aliquot.node.inventory import ObservedGpu
from aliquot.node.pod_resources import Allocations

SETTLE_S = 30.0
"""Kubelet lists a device moments after Allocate. One that it has not listed after this long was never admitted."""
SOON_S = 3.0
"""What kubelet has not listed by then belongs, most likely, to a pod that has ended already."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An Allocate that was answered and is not listed by pod-resources yet."""

    device_ids: tuple[str, ...]
    """Devices or shares, as kubelet names them."""
    at: float
    claim: tuple[str, str, str] | None
    """The outstanding claim it served, as far as that can be told."""


class Answers:
    """Allocate answers on their way into pod-resources. Lost at a restart, where bound pods take their place."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    def add(self, answer: Answer) -> None:
        self._answers.append(answer)

    def settle(self, allocations: Allocations) -> None:
        """Forget what kubelet lists by now, and what it has had time enough to list."""
        if allocations.failure or allocations.asked_at is None:
            return
        listed = allocations.held_ids
        self._answers = [
            answer
            for answer in self._answers
            if not listed.issuperset(answer.device_ids) and answer.at > allocations.asked_at - SETTLE_S
        ]

    def device_ids(self) -> frozenset[str]:
        return frozenset(device_id for answer in self._answers for device_id in answer.device_ids)

    def claims(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(answer.claim for answer in self._answers if answer.claim is not None)

    def are_listed_soon(self, now: float) -> bool:
        """Whether one of them is so young that kubelet will list it any moment."""
        return any(now - answer.at < SOON_S for answer in self._answers)

    def due_in_s(self, now: float) -> float:
        """When the next of them is given up; infinity when none is left."""
        return min((due for a in self._answers if (due := a.at + SETTLE_S - now) > 0), default=inf)

    def __len__(self) -> int:
        return len(self._answers)


def served_claim(resource: str, device_ids: Collection[str], promised: Iterable[Promise]) -> Claim | None:
    """The claim that an Allocate serves: the one whose devices these are, else the oldest of equal count."""
    wanted = frozenset(device_ids)
    oldest: Claim | None = None
    for promise in promised:
        claim = promise.claim
        if claim.resource != resource or claim.count != len(device_ids):
            continue
        if promise.ids is not None and wanted.issuperset(promise.ids):
            return claim
        if promise.shared is not None and {promise.shared} == set(map(device_of, wanted)):
            return claim
        oldest = oldest or claim
    return oldest


@dataclass(frozen=True, slots=True)
class Awaited:
    """What bound pods are still to get, with the pod that is."""

    devices: Mapping[str, str]
    """By device id: chosen for it."""
    resources: Mapping[str, str]
    """Of these, kubelet may give it any device."""

    def ids(self, devices: Iterable[Device]) -> frozenset[str]:
        """Those of `devices` that somebody is to get or may get."""
        return frozenset(
            device.id
            for device in devices
            if device.id in self.devices or (device.resource and device.resource in self.resources)
        )


def awaited(promised: Iterable[Promise], devices: Iterable[Device], allocations: Allocations) -> Awaited:
    """`promised` are of pods that kubelet does not list (`assignments.unlisted`)."""
    capacity = {device.id: len(device.kubelet_ids) for device in devices}
    chosen: dict[str, str] = {}
    anyones: dict[str, str] = {}
    for promise in promised:
        claim = promise.claim
        ids = promise.ids if promise.shared is None else (promise.shared,)
        count = 1 if promise.shared is None else claim.count
        if ids is None:
            if not claim.assigned:
                anyones[claim.resource] = claim.pod
            continue
        chosen.update((device_id, claim.pod) for device_id in ids)
        taken = [sum(allocations.shares_by_device.get(device_id, {}).values()) for device_id in ids]
        has_room = all(capacity[i] - used >= count for i, used in zip(ids, taken, strict=True))
        if claim.pending and not has_room:
            # Kubelet gave it to another, who was to get an equal one: this pod gets that, or one more like it.
            anyones[claim.resource] = claim.pod
    return Awaited(chosen, anyones)


def uses(
    devices: Sequence[Device],
    gpus: Iterable[ObservedGpu],
    allocations: Allocations,
    answered: Collection[str],
    promised: Iterable[Promise],
) -> Mapping[str, str]:
    """Device id -> by whom it is in use, in words; devices not named are free. A device is in use if a share of it is.

    `promised` as in `awaited`. One without an assignment may be given any free device of its resource, so it counts on all
    of them.
    """
    processes = {observed.gpu.uuid: observed.processes for observed in gpus}
    to_get = awaited(promised, devices, allocations)
    answered = frozenset(map(device_of, answered))
    found: dict[str, str] = {}
    for device in devices:
        running = _pids_on(device, processes.get(device.gpu_uuid, ()))
        if pods := allocations.pods(device.id):
            found[device.id] = ", ".join(pods)
        elif running:
            found[device.id] = f"process {', '.join(map(str, running))}"
        elif device.id in answered:
            found[device.id] = "a pod that kubelet is admitting"
        elif device.id in to_get.devices:
            found[device.id] = f"{to_get.devices[device.id]}, which is bound here for it"
        elif device.resource in to_get.resources:
            found[device.id] = f"{to_get.resources[device.resource]}, which is bound here and may get it"
    return found


def _pids_on(device: Device, processes: Sequence[Process]) -> list[int]:
    if device.slice is None:
        return [process.pid for process in processes]
    ours = device.slice
    return [
        process.pid
        for process in processes
        if process.gi_id == ours.gi_id and (process.ci_id is None or process.ci_id == ours.ci_id)
    ]
