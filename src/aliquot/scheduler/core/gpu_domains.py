"""The topology within a node: all GPUs of a pod in one domain of a level, an NVLink domain or a NUMA node.

A node confined to a domain is one that has all its other GPUs in use. So whoever asks what is free there, or chooses devices, asks
as of any node.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from msgspec import structs

from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import Amounts, GpuWish, PodShape
from aliquot.scheduler.core.reasons import Kind, Reason, Shortage
from aliquot.scheduler.core.shares import share_out
from aliquot.scheduler.core.topology import GpuLevel

_ELSEWHERE = "outside the domain"
"""Who has the other GPUs."""
_GPUS = ("nvidia.com/gpu", "nvidia.com/mig-", CLASS_PREFIX)


class GpuDomain(NamedTuple):
    node: str
    gpus: frozenset[str]


def confined(node: NodeState, gpus: Collection[str]) -> NodeState:
    """As if nobody could get anything but of these GPUs. What pods will get of which it is not known yet where counts here."""
    devices = node.facts.devices
    held = dict(node.held)
    for device in devices.all:
        if device.gpu not in gpus:
            held[device.id] = (_ELSEWHERE,) * device.capacity
    free = {
        resource: sum(device.free(len(held.get(device.id, ()))) for device in listed)
        - node.kept_back(resource)
        for resource, listed in devices.by_resource.items()
    }
    return structs.replace(node, held=held, free=free)


def apart(shape: PodShape, node: NodeState) -> Reason | None:
    """Why the level that the pod requires keeps it off a node that has room for it otherwise."""
    wish = shape.gpu_wish
    if wish is None or wish.required is None:
        return None
    if unknown := _unlisted(shape, node):
        return Reason(Kind.GPU_TOPOLOGY, f"without a GPUNode it is not known which {unknown[0]} are free")
    if _is_one_device(shape, node) or _with_room(shape, node, wish.required):
        return None
    domains = _domains(node, wish.required)
    if not domains:
        return Reason(
            Kind.GPU_TOPOLOGY, f"its GPUNode does not say which {wish.required.in_words} a GPU is in"
        )
    return _shortest(shape, node, domains)


def together(shape: PodShape, node: NodeState) -> NodeState:
    """The node confined to where the pod's GPUs are to be: of the domains that have room the fullest, so that others stay whole.

    Raises LookupError where none has, of a level that is required.
    """
    wish = shape.gpu_wish
    if wish is None or _is_one_device(shape, node):
        return node
    levels = _levels(wish.required)
    if wish.preferred is not None and (found := _with_room(shape, node, *levels, wish.preferred)):
        return found[0]
    if not levels:
        return node
    found = _with_room(shape, node, *levels)
    if not found:
        raise LookupError(f"{node.name}: no {levels[0].in_words} has room")
    return found[0]


def as_preferred(shape: PodShape, node: NodeState) -> bool:
    """Whether the pod would have its GPUs in one domain of the level that it prefers."""
    wish = shape.gpu_wish
    if wish is None or wish.preferred is None or _unlisted(shape, node):
        return False
    return _is_one_device(shape, node) or bool(
        _with_room(shape, node, *_levels(wish.required), wish.preferred)
    )


def search(
    nodes: Iterable[NodeState],
    levels: Sequence[GpuLevel],
    wanted: Amounts,
    among: Collection[str] | None = None,
    theirs: Collection[str] = (),
) -> tuple[list[GpuDomain], list[GpuDomain]]:
    """Domains for several pods that ask for `wanted` together: those that have so many devices free, the fullest first; and those
    that would have, were more of them free, the emptiest first. `among`: of these GPUs alone. `theirs` have to be in it."""
    room: list[tuple[int, GpuDomain]] = []
    large: list[tuple[int, GpuDomain]] = []
    for node in nodes:
        listed = node.facts.devices.by_resource
        if any(resource.startswith(_GPUS) and resource not in listed for resource in wanted):
            continue
        asked = {resource: count for resource, count in wanted.items() if resource in listed}
        free = None
        if all(node.available(resource) >= count for resource, count in wanted.items()):
            free = {resource: _free_by_gpu(node, resource) for resource in asked}
        for domain in _domains(node, *levels):
            gpus = domain if among is None else domain & frozenset(among)
            if not gpus.issuperset(theirs):
                continue
            # Of a node that has too little as a whole it does not matter how much is where.
            left = 0
            has_room = free is not None
            for resource, count in asked.items():
                there = (
                    node.free[resource] if free is None else _sum(free[resource], gpus, node.free[resource])
                )
                left += there
                has_room = has_room and there >= count
            if has_room:
                room.append((left, GpuDomain(node.name, gpus)))
            elif all(_most(node, resource, gpus) >= count for resource, count in asked.items()):
                large.append((-left, GpuDomain(node.name, gpus)))
    room.sort(key=lambda one: one[0])
    large.sort(key=lambda one: one[0])
    return [domain for _, domain in room], [domain for _, domain in large]


def too_large(nodes: Iterable[NodeState], level: GpuLevel, wanted: Amounts) -> str:
    """Why no domain of the level will ever hold so much."""
    resource = next((r for r in wanted if r.startswith(_GPUS)), next(iter(wanted)))
    largest = max(
        (_most(node, resource, gpus) for node in nodes for gpus in _domains(node, level)), default=None
    )
    if largest is None:
        return f"no node says which {level.in_words} its GPUs are in"
    count = wanted[resource]
    return f"no {level.in_words} has the {count} {resource} that its pods ask for together: the largest has {largest}"


def most_together(shape: PodShape, node: NodeState, resource: str) -> int | None:
    """How many of them one domain of the level that the pod requires will ever hold there; None: the level does not bound it, or
    nobody can say."""
    wish = shape.gpu_wish
    if wish is None or wish.required is None or _is_one_device(shape, node) or node.facts.makes_devices:
        return None
    if resource not in node.facts.devices.by_resource:
        return None
    return max((_most(node, resource, gpus) for gpus in _domains(node, wish.required)), default=None)


def total(shapes: Iterable[PodShape]) -> Amounts:
    found: dict[str, int] = {}
    for shape in shapes:
        for resource, count in shape.request.items():
            found[resource] = found.get(resource, 0) + count
    return found


def gpus_held(node: NodeState, pod: str) -> set[str]:
    return {gpu for (gpu, _), holders in node.held.items() if pod in holders}


def wishing(shape: PodShape, wish: GpuWish) -> PodShape:
    return replace(shape, signature=f"{shape.signature} {wish}", gpu_wish=wish)


def _free_by_gpu(node: NodeState, resource: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for device in node.facts.devices.by_resource[resource]:
        found[device.gpu] = found.get(device.gpu, 0) + node.free_of(device)
    return found


def _sum(by_gpu: Mapping[str, int], gpus: Iterable[str], of_node: int) -> int:
    """Less those kept back of `of_node`, which may be of any GPU."""
    return sum([by_gpu.get(gpu, 0) for gpu in gpus]) + of_node - sum(by_gpu.values())


def _most(node: NodeState, resource: str, gpus: Collection[str]) -> int:
    """How many of them are of these GPUs, in use or not."""
    return sum(d.capacity for d in node.facts.devices.by_resource.get(resource, ()) if d.gpu in gpus)


def requires_gpus_together(shape: PodShape) -> bool:
    """Where one device alone is always together with itself."""
    if shape.gpu_wish is None or shape.gpu_wish.required is None:
        return False
    return sum(count for resource, count in shape.request.items() if resource.startswith(_GPUS)) > 1


def _levels(level: GpuLevel | None) -> tuple[GpuLevel, ...]:
    return () if level is None else (level,)


def _unlisted(shape: PodShape, node: NodeState) -> list[str]:
    """Resources of GPUs that the node counts, and of which nobody says which are free."""
    offered = node.facts.allocatable
    return [r for r in shape.request if r.startswith(_GPUS) and r not in node.free and offered.get(r)]


def _is_one_device(shape: PodShape, node: NodeState) -> bool:
    return sum(count for resource, count in shape.request.items() if resource in node.free) <= 1


def _domains(node: NodeState, *levels: GpuLevel) -> list[frozenset[str]]:
    """GPUs that are together at all of these levels."""
    found = [frozenset(node.facts.devices.gpus)]
    for level in levels:
        of_level = node.facts.devices.domains.get(level, ())
        found = [both for one in found for domain in of_level if (both := one & domain)]
    return found


def _with_room(shape: PodShape, node: NodeState, *levels: GpuLevel) -> list[NodeState]:
    """The node confined to each domain that has room, the fullest first."""
    found = [state for gpus in _domains(node, *levels) if _has_devices(shape, state := confined(node, gpus))]
    found.sort(key=lambda state: sum(state.free[r] for r in shape.request if r in state.free))
    return found


def _has_devices(shape: PodShape, node: NodeState) -> bool:
    """Whether it has all of the listed devices that the pod asks for."""
    for resource, count in shape.request.items():
        if resource in node.free:
            if node.available(resource) < count:
                return False
            if resource in node.facts.devices.shared and share_out(resource, shape, node) is None:
                return False
    return True


def _shortest(shape: PodShape, node: NodeState, domains: Collection[frozenset[str]]) -> Reason:
    """By the resource of which the domains have the least for what is asked."""
    states = [confined(node, gpus) for gpus in domains]
    listed = node.facts.devices.by_resource
    found = []
    for resource, count in shape.request.items():
        if resource in listed:
            free = [max(0, state.free[resource]) for state in states]
            most = max(_most(node, resource, gpus) for gpus in domains)
            found.append((max(free) - count, free, Shortage(resource, count, max(free), most)))
    _, free, shortage = min(found, key=lambda one: one[0])
    return Reason(Kind.GPU_TOPOLOGY, _counted(free), (shortage,))


def _counted(free: list[int]) -> str:
    """`2 and 3`"""
    return " and ".join([", ".join(map(str, free[:-1])), str(free[-1])] if len(free) > 1 else map(str, free))
