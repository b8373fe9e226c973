"""What pods count, for the nodes of one moment: before they have a place the least that they could, then what they got."""

from collections import Counter
from collections.abc import Iterator, Mapping

from aliquot.partition.demand import Classes, GpuKind
from aliquot.scheduler.core.facts import NodeFacts, device_id
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodShape
from aliquot.scheduler.core.queues import currency
from aliquot.scheduler.core.queues.currency import Board, Given, Prices

_WHOLE = "nvidia.com/gpu"


def boards_of(nodes: Mapping[str, NodeFacts]) -> Mapping[object, Board]:
    """Each make of GPU once. By what tells it from others."""
    found: dict[object, Board] = {}
    for facts in nodes.values():
        product = currency.product_of(facts)
        for gpu in facts.gpus:
            found.setdefault(_make(product, gpu), Board(product, gpu))
    return found


def _make(product: str, gpu: GpuKind) -> object:
    return product, gpu.board, id(gpu.profiles), gpu.memory_mib, gpu.mps_clients


def prices_of(nodes: Mapping[str, NodeFacts]) -> Prices:
    return Prices(boards_of(nodes).values(), classes_of(nodes), counted=counted_of(nodes))


def counted_of(nodes: Mapping[str, NodeFacts]) -> frozenset[str]:
    """Products of the nodes that offer GPUs by number alone."""
    return frozenset(currency.product_of(facts) for facts in nodes.values() if _is_counted(facts))


def _is_counted(facts: NodeFacts) -> bool:
    return bool(facts.allocatable.get(_WHOLE)) and not (facts.gpus or facts.devices.gpus)


def classes_of(nodes: Mapping[str, NodeFacts]) -> Classes:
    """All nodes know the same."""
    first = next(iter(nodes.values()), None)
    return first.classes if first is not None else {}


class Makes:
    """Of GPUs, that prices are to be found for. Only nodes that have changed are looked at."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[object]] = {}
        self._nodes_with: Counter[object] = Counter()

    def look(self, changed: Mapping[str, NodeFacts | None]) -> bool:
        """None: the node is gone. Returns whether a make has come, or the last one of its kind has gone."""
        before = self._nodes_with.keys()
        now = self._nodes_with.copy()
        for name, facts in changed.items():
            now.subtract(self._of.pop(name, ()))
            if facts is not None:
                self._of[name] = makes_of(facts)
                now.update(self._of[name])
        self._nodes_with = +now
        return self._nodes_with.keys() != before


def makes_of(facts: NodeFacts) -> frozenset[object]:
    product = currency.product_of(facts)
    makes: set[object] = {_make(product, gpu) for gpu in facts.gpus}
    return frozenset(makes | {product} if _is_counted(facts) else makes)


class Tariff:
    """`nodes` may change: prices stay, where a pod is is looked up."""

    def __init__(self, nodes: Mapping[str, NodeFacts], prices: Prices) -> None:
        self._nodes = nodes
        self._prices = prices
        self._asked: dict[str, Amounts] = {}
        self._fixed: dict[str, bool] = {}

    def asked(self, shape: PodShape) -> Amounts:
        found = self._asked.get(shape.signature)
        if found is None:
            found = self._asked[shape.signature] = currency.asked(shape.request, self._prices)
        return found

    def got(self, shape: PodShape, placed: PlacedPod) -> Amounts | None:
        """None: as asked, wherever it is."""
        fixed = self._fixed.get(shape.signature)
        if fixed is None:
            fixed = self._fixed[shape.signature] = all(map(self._prices.is_fixed, shape.request))
        if fixed:
            return None
        facts = self._nodes.get(placed.node)
        if facts is None:
            # It is not known yet what the pod has there.
            return self.asked(shape)
        given = _given(facts, placed)
        return currency.placed(shape.request, given, self._prices, currency.product_of(facts))


def _given(facts: NodeFacts, placed: PlacedPod) -> Iterator[Given]:
    kinds = {gpu.uuid: gpu for gpu in facts.gpus}
    product = currency.product_of(facts)
    for choice in placed.devices:
        kind = kinds.get(choice.gpu)
        if kind is None:
            continue
        device = facts.devices.by_id.get(device_id(choice.gpu, choice.start))
        listed = device.shares if device is not None else 0
        yield Given(choice, Board(product, kind), max(1, choice.replicas or listed or choice.shares))
