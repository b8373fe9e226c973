"""Which free device a container gets when kubelet asks for a preference.

Neither GetPreferredAllocation nor Allocate says which pod it is for. Where a scheduler has decided, its decision is
on the pod (`aliquot.dev/assignment`), and the oldest one still outstanding for the same resource and count is
answered: equal slices are interchangeable, so if kubelet asks for two pods in another order, each still gets an
equal device. Everything here is a preference: Topology Manager may overrule it, and pod-resources is the truth.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.assignment import AssignedDevice, assignment_on
from aliquot.kube.api.core import Container, Pod
from aliquot.kube.api.gpunode import AllocationPolicy
from aliquot.kube.quantity import parse
from aliquot.kube.resources import key
from aliquot.node.advertise import Device, device_of
from aliquot.node.linked_sets import PairScores, best_linked_set
from aliquot.node.pod_resources import PREFIXES, Holding


@dataclass(frozen=True, slots=True)
class Claim:
    """What one container of a bound pod still has to get of one resource."""

    pod: str
    """`namespace/name`"""
    pod_uid: str
    container: str
    resource: str
    count: int
    assigned: tuple[AssignedDevice, ...]
    """Empty where nobody has chosen the devices."""
    pending: bool = True
    """The pod is not yet admitted."""

    @property
    def id(self) -> tuple[str, str, str]:
        return self.pod_uid, self.container, self.resource


def unlisted(pods: Iterable[Pod], holdings: Iterable[Holding]) -> tuple[Claim, ...]:
    """Claims of live pods that pod-resources does not list, oldest binding first.

    Those of running pods too: kubelet lists nobody for a moment after its restart.
    """
    listed: set[tuple[str, str, str]] = set()
    for holding in holdings:
        # Kubelet lists no init containers, and gives their devices to the containers that follow.
        listed.update((holding.pod, container, holding.resource) for container in (holding.container, ""))
    found: list[tuple[float, str, int, Claim]] = []
    for pod in pods:
        if pod.status.has_ended:
            continue
        name = key(pod)
        assigned = _assignment(pod)
        pending = pod.status.phase in ("", "Pending")
        # Kubelet serves init containers first, then the others, each in the order of the spec.
        containers = (*(pod.spec.init_containers or ()), *pod.spec.containers)
        for position, container in enumerate(containers):
            passing = container not in pod.spec.containers and container.restart_policy != "Always"
            if passing and not pending:
                continue
            for resource, count in _wanted(container):
                if (name, "" if passing else container.name, resource) in listed:
                    continue
                mine = (d for d in assigned if (d.container, d.resource) == (container.name, resource))
                claim = Claim(name, pod.metadata.uid, container.name, resource, count, tuple(mine), pending)
                found.append((_bound_at(pod), name, position, claim))
    return tuple(claim for *_, claim in sorted(found, key=lambda f: (*f[:3], f[3].resource)))


def asks_for_devices(pod: Pod) -> bool:
    containers = (*(pod.spec.init_containers or ()), *pod.spec.containers)
    return any(map(_wanted, containers))


@dataclass(frozen=True, slots=True)
class Promise:
    """A claim, and the devices that were chosen for it."""

    claim: Claim
    ids: tuple[str, ...] | None
    """None where nobody has chosen, or where not all of the devices exist."""
    claim_id: tuple[str, str, str]
    shared: str | None = None
    """The device whose shares were chosen, any of them, in place of `ids`."""


def promises(claims: Iterable[Claim], places: "Places") -> tuple[Promise, ...]:
    """In the order of `claims`. Made once for many questions: kubelet waits for each answer."""
    return tuple(places.promise(claim) for claim in claims)


def outstanding(
    promised: Iterable[Promise], served: Collection[tuple[str, str, str]] = ()
) -> tuple[Promise, ...]:
    """Those of pods that are not yet admitted, and whose Allocate was not answered (`served`) either.

    A pod that runs has been admitted, with or without its devices.
    """
    return tuple([one for one in promised if one.claim_id not in served and one.claim.pending])


def _assignment(pod: Pod) -> tuple[AssignedDevice, ...]:
    """Empty when absent, unreadable or another pod's: kubelet then gets a good default instead of an error."""
    try:
        assignment = assignment_on(pod)
    except ValueError:
        return ()
    return assignment.devices if assignment is not None else ()


def _wanted(container: Container) -> list[tuple[str, int]]:
    resources = {**(container.resources.requests or {}), **(container.resources.limits or {})}
    counts = (
        (name, int(parse(value))) for name, value in sorted(resources.items()) if name.startswith(PREFIXES)
    )
    return [(name, count) for name, count in counts if count > 0]


def _bound_at(pod: Pod) -> float:
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "True" and condition.last_transition_time:
            return parse_rfc3339(condition.last_transition_time)
    return parse_rfc3339(pod.metadata.creation_timestamp) if pod.metadata.creation_timestamp else 0.0


class Places:
    """All devices of the node, and which of them an assignment names. Built once for each set of devices."""

    def __init__(self, devices: Iterable[Device]) -> None:
        in_order = sorted(devices, key=lambda device: device.order)
        self.devices = {device.id: device for device in in_order}
        self.by_id = {kubelet_id: device for device in in_order for kubelet_id in device.kubelet_ids}
        """By what kubelet calls it: shares are many names of one device."""
        self.rank = {kubelet_id: rank for rank, kubelet_id in enumerate(self.by_id)}
        """Id -> its number, by `Device.order`, then by share."""
        self._ids: dict[tuple[str, str, str, int | None], list[str]] = {}
        for device in in_order:
            profile = device.slice.profile if device.slice else ""
            start = device.slice.placement.start if device.slice else None
            self._ids.setdefault((device.gpu_uuid, device.resource, profile, start), []).append(device.id)

    def promise(self, claim: Claim) -> Promise:
        """With the devices that were chosen, unless not all of them exist."""
        if any(assigned.shares for assigned in claim.assigned):
            return Promise(claim, None, claim.id, self._shared(claim))
        return Promise(claim, self._exclusive(claim), claim.id)

    def _exclusive(self, claim: Claim) -> tuple[str, ...] | None:
        if len(claim.assigned) != claim.count:
            return None
        found: list[str] = []
        for assigned in claim.assigned:
            free = next((i for i in self._found(assigned) if i not in found), None)
            if free is None or self.devices[free].shares is not None:
                return None
            found.append(free)
        return tuple(found)

    def _shared(self, claim: Claim) -> str | None:
        """A container's shares are all of one device."""
        if len(claim.assigned) != 1 or claim.assigned[0].shares != claim.count:
            return None
        found = self._found(claim.assigned[0])
        return found[0] if found and self.devices[found[0]].shares is not None else None

    def _found(self, assigned: AssignedDevice) -> Sequence[str]:
        return self._ids.get((assigned.gpu, assigned.resource, assigned.profile, assigned.start), ())


@dataclass(frozen=True, slots=True)
class Question:
    """One container's part of GetPreferredAllocation."""

    resource: str
    available: tuple[str, ...]
    must_include: tuple[str, ...]
    size: int


def prefer(
    question: Question,
    promised: Iterable[Promise],
    places: Places,
    held: Collection[str],
    scores: PairScores,
    policy: AllocationPolicy | None = None,
) -> tuple[str, ...]:
    """The ids to take: `size` of `available`, `must_include` among them; as many as there are when there are too few.

    `promised` are the outstanding ones, oldest first, `held` the ids in use, `scores` say how well GPUs are linked.
    `policy` None: shares are distributed over the GPUs, and slices packed.
    """
    free_ids = {i for i in (*question.available, *question.must_include) if i in places.rank}
    free = sorted(free_ids, key=places.rank.__getitem__)
    must = [i for i in free if i in question.must_include]
    spoken_for: set[str] = set()
    for promise in promised:
        if promise.claim.resource != question.resource:
            continue
        ids = _of_promise(promise, [i for i in free if i not in spoken_for], must)
        if (
            len(ids) == question.size == promise.claim.count
            and free_ids.issuperset(ids)
            and set(must) <= set(ids)
        ):
            return ids
        spoken_for.update(ids)
    # Nobody chose. What is promised to somebody else comes last.
    unpromised = [i for i in free if i not in spoken_for or i in must]
    if len(unpromised) < question.size:
        others = [i for i in free if i not in unpromised]
        unpromised += others[: question.size - len(unpromised)]
    candidates = [places.by_id[i] for i in unpromised]
    if any(device.shares is not None for device in candidates):
        distributed = policy is not AllocationPolicy.PACKED
        return _shares_of_one(unpromised, must, question.size, places, held, distributed=distributed)
    if len(candidates) <= question.size:
        return tuple(unpromised)
    if all(device.slice is None for device in candidates):
        return best_linked_set(tuple(unpromised), tuple(must), question.size, scores)
    load = _load(places.devices.values(), held)
    distributed = policy is AllocationPolicy.DISTRIBUTED
    return _slices(candidates, must, question.size, load, distributed=distributed)


def _of_promise(promise: Promise, free: Sequence[str], must: Sequence[str]) -> tuple[str, ...]:
    """What of `free` the promise is to get: its devices, or any shares of its device."""
    if promise.shared is None:
        # Not all of them free: kubelet asks for somebody else, and the promise keeps what is left.
        return promise.ids or ()
    shares = [i for i in free if device_of(i) == promise.shared]
    shares.sort(key=lambda i: i not in must)
    return tuple(shares[: promise.claim.count])


def _shares_of_one(
    free: Sequence[str],
    must: Sequence[str],
    size: int,
    places: Places,
    held: Collection[str],
    *,
    distributed: bool,
) -> tuple[str, ...]:
    """Shares of one device that has enough left: of the least used, or of the most used.

    Where none has enough the answer is short or mixed, and kubelet will hear from Allocate that it cannot be.
    """
    by_device: dict[str, list[str]] = {}
    for kubelet_id in free:
        by_device.setdefault(device_of(kubelet_id), []).append(kubelet_id)
    used = dict.fromkeys(by_device, 0)
    for kubelet_id in held:
        device_id = device_of(kubelet_id)
        if device_id in used:
            used[device_id] += 1

    def rank(device_id: str) -> tuple[bool, bool, float, tuple[int, int, int]]:
        device = places.devices[device_id]
        part = used[device_id] / len(device.kubelet_ids)
        bound = any(device_of(i) != device_id for i in must)
        enough = len(by_device[device_id]) >= size
        return bound, not enough, part if distributed else -part, device.order

    chosen = list(must)
    for device_id in sorted(by_device, key=rank):
        for kubelet_id in by_device[device_id]:
            if len(chosen) < size and kubelet_id not in chosen:
                chosen.append(kubelet_id)
    return tuple(chosen)


def _load(devices: Iterable[Device], held: Collection[str]) -> dict[str, int]:
    """GPU -> devices of it in use."""
    load: dict[str, int] = {}
    for device in devices:
        load[device.gpu_uuid] = load.get(device.gpu_uuid, 0) + (device.id in held)
    return load


def _slices(
    candidates: Sequence[Device],
    must: Sequence[str],
    size: int,
    load: Mapping[str, int],
    *,
    distributed: bool,
) -> tuple[str, ...]:
    """From the GPU that is used most, so that others stay whole for large ones; or from the one that is used least."""
    taken = dict(load)
    chosen = [device for device in candidates if device.id in must]
    rest = [device for device in candidates if device.id not in must]
    for device in chosen:
        taken[device.gpu_uuid] += 1
    sign = 1 if distributed else -1
    while len(chosen) < size:
        best = min(rest, key=lambda d: (sign * taken[d.gpu_uuid], d.order))
        rest.remove(best)
        chosen.append(best)
        taken[best.gpu_uuid] += 1
    return tuple(device.id for device in chosen)
