"""Which devices of the chosen node, for each container.

Whole GPUs: the set that reaches itself best, and of equal sets the one that leaves the best links behind; where all are linked
alike, as by an NVSwitch, those of one NUMA node. Slices:
onto the GPU that is used the most already, so that whole GPUs stay free; or the least, where the node says so. Shares: see
`shares`. Containers that run at the same time never share a device; an init container is given devices that the containers
after it get too, as kubelet does.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations, islice
from math import comb

from aliquot.scheduler.core.facts import Devices, DeviceState
from aliquot.scheduler.core.gpu_domains import together
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import ContainerKind, DeviceChoice, PodShape
from aliquot.scheduler.core.shares import share_out
from aliquot.scheduler.core.worth import Worth

_MOST_SETS = 5000
"""More sets of GPUs than this are not all tried: the set grows greedily instead."""


def assign(shape: PodShape, node: NodeState, worth: Worth | None = None) -> tuple[DeviceChoice, ...]:
    """Devices for every container that asks for resources which `node` lists one by one, containers in order. `worth`: where
    the node packs shares, they come from the GPU that loses the least of it.

    Raises LookupError when too few are free: ask the `devices` filter first.
    """
    if shape.gpu_wish is not None:
        node = together(shape, node)
    listed = node.facts.devices
    pools: dict[str, list[DeviceState]] = {}
    held = node.held
    for resource in listed.largest_first:
        count = shape.request.get(resource)
        if count is None or resource in listed.shared:
            continue
        free = [device for device in listed.usable[resource] if device.id not in held]
        if len(free) < count:
            raise LookupError(f"{node.name}: {count} {resource} wanted, {len(free)} free")
        if free[0].start is None:
            pool = _best_linked(free, count, listed)
        else:
            choose = _packed if node.facts.packs_slices else _distributed
            pool = choose(free, count, _use_by_gpu(node, pools.values()))
        pools[resource] = pool
    choices: list[DeviceChoice] = []
    for resource in shape.request:
        if resource in pools:
            choices += _hand_out(resource, pools[resource], shape, listed)
        elif resource in listed.shared:
            shares = share_out(resource, shape, node, worth)
            if shares is None:
                raise LookupError(f"{node.name}: no GPU has enough shares of {resource} left")
            choices += shares
    return tuple(choices)


def _use_by_gpu(node: NodeState, chosen: Iterable[Iterable[DeviceState]]) -> dict[str, int]:
    """With what is chosen already."""
    use = dict.fromkeys(node.facts.devices.gpus, 0)
    for device in chain(map(node.facts.devices.by_id.__getitem__, node.held), *chosen):
        use[device.gpu] += device.size
    return use


def _packed(free: Sequence[DeviceState], count: int, weight: Mapping[str, int]) -> list[DeviceState]:
    """All on one GPU where one has room, the most used of those; else from the most used on."""
    by_gpu: dict[str, list[DeviceState]] = {}
    for device in free:
        by_gpu.setdefault(device.gpu, []).append(device)
    order = sorted(by_gpu, key=lambda gpu: (len(by_gpu[gpu]) < count, -weight[gpu]))
    chosen: list[DeviceState] = []
    for gpu in order:
        by_start = sorted(by_gpu[gpu], key=lambda d: -1 if d.start is None else d.start)
        chosen.extend(by_start[: count - len(chosen)])
    return chosen


def _distributed(free: Sequence[DeviceState], count: int, weight: Mapping[str, int]) -> list[DeviceState]:
    """One by one, each of the GPU that is used least by then."""
    use = dict(weight)
    left = list(free)
    chosen: list[DeviceState] = []
    while len(chosen) < count:
        least = min(left, key=lambda device: use[device.gpu])
        left.remove(least)
        use[least.gpu] += least.size
        chosen.append(least)
    return chosen


def _best_linked(free: list[DeviceState], count: int, devices: Devices) -> list[DeviceState]:
    if count == len(free):
        return free
    if not devices.links or devices.evenly_linked:
        return _nearest(free, count, devices)
    links = [[devices.links.get((a.gpu, b.gpu), 0) for b in free] for a in free]
    everything = range(len(free))
    if len({links[a][b] for a, b in combinations(everything, 2)}) == 1:
        return _nearest(free, count, devices)
    if comb(len(free), count) > _MOST_SETS:
        return [free[i] for i in sorted(_grown(count, links))]

    def worth(chosen: tuple[int, ...]) -> tuple[int, int]:
        return _linkage(chosen, links), _linkage([i for i in everything if i not in chosen], links)

    # max keeps the first of equals, and combinations come in the order listed: ties go to the lowest indexes.
    return [free[i] for i in max(combinations(everything, count), key=worth)]


def _nearest(free: list[DeviceState], count: int, devices: Devices) -> list[DeviceState]:
    """Of the NUMA node that they leave the fewest of, else of as few as can be. In the order listed where nobody tells."""
    if len(devices.numa) < 2:
        return free[:count]
    groups = [
        group for domain in devices.numa if (group := [device for device in free if device.gpu in domain])
    ]
    large = [group for group in groups if len(group) >= count]
    if large:
        return min(large, key=len)[:count]
    groups.sort(key=len, reverse=True)
    order = dict.fromkeys(device.id for device in (*chain(*groups), *free))
    chosen = set(islice(order, count))
    return [device for device in free if device.id in chosen]


def _grown(count: int, links: Sequence[Sequence[int]]) -> list[int]:
    """The best of the sets grown from each GPU by always adding the one that is linked best to those chosen."""
    best: list[int] = []
    for seed in range(len(links)):
        chosen = [seed]
        while len(chosen) < count:
            rest = (i for i in range(len(links)) if i not in chosen)
            chosen.append(max(rest, key=lambda i: sum(links[i][j] for j in chosen)))
        if not best or _linkage(chosen, links) > _linkage(best, links):
            best = chosen
    return best


def _linkage(chosen: Sequence[int], links: Sequence[Sequence[int]]) -> int:
    return sum(links[a][b] for a, b in combinations(chosen, 2))


def _hand_out(
    resource: str, pool: list[DeviceState], shape: PodShape, devices: Devices
) -> list[DeviceChoice]:
    choices: list[DeviceChoice] = []
    left = pool
    for container in shape.containers:
        count = container.requests.get(resource, 0)
        if not count:
            continue
        given = left if count == len(left) else _best_linked(left, count, devices)
        choices += [
            DeviceChoice(container.name, resource, device.gpu, device.profile, device.start)
            for device in given
        ]
        if container.kind is not ContainerKind.INIT:
            if len(given) == len(left):
                left = []
            else:
                taken = {device.id for device in given}
                left = [device for device in left if device.id not in taken]
    return choices
