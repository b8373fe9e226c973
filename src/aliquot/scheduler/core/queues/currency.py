"""What a pod counts in its queue: whole GPUs, slices, shares and GPUClasses in thousandths of a GPU, CPU and memory as they are.

| what | counts |
| --- | --- |
| whole GPU | 1000 |
| MIG slice | the larger of its part of the memory slots and its part of the compute slices |
| share | what is shared, divided by the number of shares |
| one of a GPUClass | before it is placed as the first way to provide it; then as what stands behind it |

The larger part of a slice, because it is the one that keeps others out: a 1g.20gb of an H100 leaves six compute slices of
seven, but of its memory only what makes three more of its like. Parts are rounded down, so that a quota of one GPU is enough for
all the slices that one GPU can be cut into.

Before a pod is placed it counts the least that it could on any board of the cluster: what is refused then would be refused
wherever it is placed. What no board could provide counts as whole GPUs: nobody gets around a quota by asking for something
unknown, and such pods are not placed anyway.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.profiles import of_gpu_instance
from aliquot.partition.demand import Classes, GpuKind, could_be_made, ways
from aliquot.partition.ways import SliceWay, WayOn
from aliquot.scheduler.core.facts import MODEL_LABEL, NodeFacts
from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts, DeviceChoice
from aliquot.scheduler.core.queues.terms import GPU, of_model

WHOLE_MILLI = 1000
_SHARED = ".shared"
_SHARED_PRODUCT = "-SHARED"
"""What the label says besides on a node that shares its GPUs."""


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """One make of GPU that the cluster has."""

    product: str
    """As the node label `nvidia.com/gpu.product` has it; empty: unknown."""
    kind: GpuKind
    """What can be made of it: any such GPU of a node."""


def slice_milli(profile: InstanceProfile, profiles: Sequence[InstanceProfile]) -> int:
    """`profiles`: all of the board. The largest is the whole of it."""
    slots = max(one.memory_slots for one in profiles)
    slices = max(one.compute_slices for one in profiles)
    by_memory = WHOLE_MILLI * profile.memory_slots // slots
    by_compute = WHOLE_MILLI * profile.compute_slices // slices
    return max(1, by_memory, by_compute)


def share_milli(of_milli: int, replicas: int) -> int:
    return max(1, of_milli // replicas)


def _way_milli(way: WayOn, board: Board) -> int:
    if isinstance(way, SliceWay):
        return slice_milli(way.profile, board.kind.profiles)
    return share_milli(WHOLE_MILLI, way.replicas)


class Prices:
    """What one of each resource counts before it is placed. For the boards and classes of one moment."""

    def __init__(
        self,
        boards: Iterable[Board],
        classes: Classes,
        replicas: Mapping[str, int] | None = None,
        counted: Iterable[str] = (),
    ) -> None:
        """`replicas`: of resources that nodes offer as shares, the most shares that one device has. `counted`: products of
        nodes that offer GPUs by number alone."""
        self._counted = frozenset(counted)
        self._boards = tuple(boards)
        self._classes = classes
        self._replicas = replicas or {}
        self._known: dict[str, tuple[int, str]] = {}
        self._fixed: dict[str, bool] = {}

    def is_fixed(self, resource: str) -> bool:
        """Whether one of it counts the same, and of the same model, wherever it is had and in whatever way."""
        fixed = self._fixed.get(resource)
        if fixed is None:
            fixed = self._fixed[resource] = self._is_fixed(resource)
        return fixed

    def _is_fixed(self, resource: str) -> bool:
        base = resource.removesuffix(_SHARED)
        if not could_be_made(base):
            return True
        products = self._counted | {board.product for board in self._boards}
        found = {
            _way_milli(way, board) for board in self._boards for way in ways(base, self._classes, board.kind)
        }
        return len(products) == 1 and len(found) == 1 and base == resource

    def of(self, resource: str) -> tuple[int, str]:
        """In thousandths of a GPU, and the product if there is but one that could provide it. Zero: it is no part of a GPU."""
        known = self._known.get(resource)
        if known is None:
            known = self._known[resource] = self._of(resource)
        return known

    def _of(self, resource: str) -> tuple[int, str]:
        base = resource.removesuffix(_SHARED)
        if not could_be_made(base):
            return 0, ""
        found: list[int] = []
        products: set[str] = set()
        for board in self._boards:
            provided = ways(base, self._classes, board.kind)
            if provided:
                found.append(_way_milli(provided[0], board))
                products.add(board.product)
        # Each of these may be one of theirs.
        products |= self._counted if products else frozenset()
        milli = share_milli(min(found, default=WHOLE_MILLI), self._replicas.get(resource, 1))
        return milli, products.pop() if len(products) == 1 else ""


def asked(request: Amounts, prices: Prices) -> Amounts:
    """What a pod counts before it is placed; `request`: its effective one."""
    amounts = _plain(request)
    for resource, count in request.items():
        milli, product = prices.of(resource)
        if milli:
            _add(amounts, product, milli * count)
    return amounts


def offered(facts: NodeFacts, prices: Prices) -> Amounts:
    """What a node has to divide. GPUs that it lists count whole, however they are cut; else what it offers by number."""
    amounts = _plain(facts.allocatable)
    gpus = facts.devices.gpus or facts.gpus
    if gpus:
        _add(amounts, product_of(facts), WHOLE_MILLI * len(gpus))
        return amounts
    for resource, count in facts.allocatable.items():
        milli, product = prices.of(resource)
        _add(amounts, product, milli * count)
    return amounts


def product_of(facts: NodeFacts) -> str:
    """The model of its GPUs; empty where no label says it."""
    return facts.labels.get(MODEL_LABEL, "").removesuffix(_SHARED_PRODUCT)


@dataclass(frozen=True, slots=True)
class Given:
    """A device of a placed pod, with what it is a part of."""

    choice: DeviceChoice
    board: Board
    replicas: int = 1
    """How many shares it has in all; 1: it is not shared."""

    @property
    def milli(self) -> int:
        """Of one share, or of the device."""
        return share_milli(self._device_milli, self.replicas)

    @property
    def _device_milli(self) -> int:
        if self.choice.start is None:
            return WHOLE_MILLI
        name = of_gpu_instance(self.choice.profile)
        profile = next((one for one in self.board.kind.profiles if one.name == name), None)
        return slice_milli(profile, self.board.kind.profiles) if profile is not None else WHOLE_MILLI


def placed(request: Amounts, given: Iterable[Given], prices: Prices, product: str = "") -> Amounts:
    """What a pod counts with the devices that it was given. Containers that run one after the other may have the same device:
    each resource counts as often as it is asked for, the dearest first. What was asked for beyond the devices that are known
    counts as before it was placed, and is of the model of its node: `product`."""
    amounts = _plain(request)
    by_resource: dict[str, list[tuple[int, str]]] = {}
    for one in given:
        units = by_resource.setdefault(one.choice.resource, [])
        units.extend([(one.milli, one.board.product)] * max(1, one.choice.shares))
    for resource, count in request.items():
        asked_for = prices.of(resource)
        units = by_resource.get(resource, [])
        if not units and not asked_for[0]:
            continue
        units.sort(reverse=True)
        for milli, model in units[:count]:
            _add(amounts, model, milli)
        missing = count - len(units)
        if missing > 0:
            _add(amounts, product or asked_for[1], asked_for[0] * missing)
    return amounts


def _plain(request: Amounts) -> dict[str, int]:
    return {resource: request[resource] for resource in (CPU, MEMORY) if request.get(resource)}


def _add(amounts: dict[str, int], product: str, milli: int) -> None:
    if milli:
        amounts[GPU] = amounts.get(GPU, 0) + milli
        if product:
            model = of_model(product)
            amounts[model] = amounts.get(model, 0) + milli
