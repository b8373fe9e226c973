"""One dominant reason out of what each node said.

In this order, the first that applies:

1. the pod asks for something that this scheduler does not know;
2. there are no nodes;
3. no node offers a resource, or none is large enough. Waiting will not help, so nothing else matters;
4. no node matches what the pod says of nodes (name, selector, affinity), or where its volumes are: told by the nodes that
   got furthest;
5. of the nodes that match, none offers a resource, or none is large enough;
6. those that are large enough are cordoned or tainted;
7. some have room, and rules between pods keep it out of them: the rule is named;
8. they are full. Told by the resource that is short on all of them, a GPU before CPU, with what keeps its devices
   from being free; where each node lacks something else, each is named.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.partition import demand
from aliquot.partition.served import class_verdict, with_boards
from aliquot.scheduler.core import making
from aliquot.scheduler.core.facts import Withheld
from aliquot.scheduler.core.filters import is_extended
from aliquot.scheduler.core.gpu_domains import most_together
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import CPU, PODS, PodShape
from aliquot.scheduler.core.reasons import (
    CAPACITY,
    MISMATCH,
    NEIGHBOURS,
    Explanation,
    Kind,
    Reason,
    Shortage,
    upstream_counts,
)
from aliquot.scheduler.core.scores import is_accelerator

_BYTES = ("memory", "ephemeral-storage", "hugepages-")
_UNITS = (("Ei", 1 << 60), ("Pi", 1 << 50), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
"""A node's memory is in `Gi`, however large; what nobody has needs not so many figures."""
_FUNNEL = tuple(Kind)


def explain(shape: PodShape, nodes: Mapping[str, NodeState], rejections: Mapping[str, Reason]) -> Explanation:
    """Why no node takes a pod of this shape. `rejections`: the reason of every node."""
    if shape.refusal is not None:
        return Explanation(shape.refusal.kind, shape.refusal.detail)
    if not nodes:
        return Explanation(Kind.NO_NODES, "the cluster has no nodes", upstream_counts(()))
    kind, message = (
        _hopeless(shape, list(nodes.values()), "")
        or _unmatched(shape, rejections)
        or _taken(shape, nodes, rejections)
    )
    return Explanation(kind, message, upstream_counts(rejections.values()))


def _hopeless(shape: PodShape, nodes: Sequence[NodeState], which: str) -> tuple[Kind, str] | None:
    """What no node of `nodes` has enough of, even empty. `which` narrows them down in words."""
    for resource in _most_telling_first(shape.request):
        needed = shape.request[resource]
        largest = max(_total(resource, node) for node in nodes)
        if largest == 0 and is_extended(resource):
            return Kind.NOT_OFFERED, _not_offered(resource, nodes, which)
        if largest < needed:
            most = bare(resource, largest)
            return Kind.TOO_LARGE, f"no node{which} has {amount(resource, needed)}: the largest has {most}"
        asked = shape.largest_of_one_container(resource)
        most_given = max(_most_per_container(resource, node) for node in nodes)
        if most_given < asked:
            wish = f"no node{which} gives one container {amount(resource, asked)}"
            return Kind.TOO_LARGE, f"{wish}: it may have {most_given} where GPUs are shared"
    return None


def _not_offered(resource: str, nodes: Sequence[NodeState], which: str) -> str:
    if resource.startswith(CLASS_PREFIX):
        boards = {board for board, _ in with_boards(gpu for node in nodes for gpu in node.facts.gpus)}
        name = resource.removeprefix(CLASS_PREFIX)
        found = class_verdict(name, nodes[0].facts.classes, boards)
        if not found.ready:
            return found.message
    outdated = sum(node.outdated(resource) for node in nodes)
    there = f": {outdated} of that name {'is' if outdated == 1 else 'are'} {Withheld.OUTDATED}"
    return f"{resource} is not offered by any node{which}" + (there if outdated else "")


def _unmatched(shape: PodShape, rejections: Mapping[str, Reason]) -> tuple[Kind, str] | None:
    furthest = max((reason.kind for reason in rejections.values()), key=_FUNNEL.index)
    match furthest:
        case Kind.NODE_NAME:
            return furthest, f"there is no node {shape.node_name}"
        case Kind.NODE_SELECTOR:
            labels = ",".join(f"{key}={value}" for key, value in shape.node_selector)
            return furthest, f"no node has the label{'s' * (len(shape.node_selector) > 1)} {labels}"
        case Kind.NODE_AFFINITY:
            return furthest, f"no node matches the required node affinity: {_in_words(shape)}"
        case Kind.VOLUME_AFFINITY:
            return (
                furthest,
                f"the volume of claim {_claims(rejections, furthest)} cannot be reached from any node that matches",
            )
        case Kind.VOLUME_BINDING:
            return (
                furthest,
                f"no node that matches has a volume for claim {_claims(rejections, furthest)}, nor may one be made there",
            )
        case _:
            return None


def _claims(rejections: Mapping[str, Reason], kind: Kind) -> str:
    return " or ".join(sorted({reason.detail for reason in rejections.values() if reason.kind is kind}))


def _taken(
    shape: PodShape, nodes: Mapping[str, NodeState], rejections: Mapping[str, Reason]
) -> tuple[Kind, str]:
    """Why none of the nodes that match takes it; there are some."""
    matching = {name: reason for name, reason in rejections.items() if reason.kind not in MISMATCH}
    which = " that matches" if len(matching) < len(nodes) else ""
    hopeless = _hopeless(shape, [nodes[name] for name in matching], which)
    if hopeless is not None:
        return hopeless
    large = {name: reason for name, reason in matching.items() if not _too_small(shape, nodes[name])}
    if not large:
        if (apart := _never_together(shape, [nodes[name] for name in matching])) is not None:
            return apart
        short = {resource for name in matching for resource in _too_small(shape, nodes[name])}
        together = " and ".join(
            amount(r, shape.request[r]) for r in _most_telling_first(shape.request) if r in short
        )
        return Kind.TOO_LARGE, f"no node{which} has {together} together"
    return _kept_out(large, len(matching)) or _full(shape, nodes, large)


def _too_small(shape: PodShape, node: NodeState) -> list[str]:
    return [
        resource
        for resource, needed in shape.request.items()
        if _total(resource, node) < needed
        or _most_per_container(resource, node) < shape.largest_of_one_container(resource)
        or ((together := most_together(shape, node, resource)) is not None and together < needed)
    ]


def _never_together(shape: PodShape, nodes: Sequence[NodeState]) -> tuple[Kind, str] | None:
    """What no domain of the level that the pod requires has enough of, even empty."""
    for resource in _most_telling_first(shape.request):
        found = [most for node in nodes if (most := most_together(shape, node, resource)) is not None]
        if found and max(found) < shape.request[resource]:
            return Kind.TOO_LARGE, _domains_too_small(shape, resource, max(found))
    return None


def _domains_too_small(shape: PodShape, resource: str, largest: int) -> str:
    wanted = amount(resource, shape.request[resource])
    return f"no {_required(shape)} of the nodes that match has {wanted}: the largest has {largest}"


def _total(resource: str, node: NodeState) -> int:
    """Also what could be made there if the node were empty. What is outdated nobody will ever get under that name."""
    there = node.total(resource) - node.outdated(resource)
    return max(there, making.most(resource, node)) if demand.could_be_made(resource) else there


def _most_per_container(resource: str, node: NodeState) -> int:
    there = node.most_per_container(resource)
    if not demand.could_be_made(resource):
        return there
    return max(there, making.most_of_one_container(resource, node))


def _kept_out(large: Mapping[str, Reason], matching: int) -> tuple[Kind, str] | None:
    """All that are large enough are cordoned or tainted; or those that have room are closed by a rule between pods."""
    furthest = max((reason.kind for reason in large.values()), key=_FUNNEL.index)
    if furthest in CAPACITY:
        return None
    told = [reason.detail for reason in large.values() if reason.kind is furthest]
    count = len(told)
    most = Counter(sorted(told)).most_common(1)[0][0]
    if furthest in NEIGHBOURS:
        return (
            furthest,
            f"{'1 node has' if count == 1 else f'{count} nodes have'} room, {_closed(furthest, most)}",
        )
    these = (
        _match(count)
        if len(large) == matching
        else f"{_match(count)} and {'is' if count == 1 else 'are'} large enough"
    )
    match furthest:
        case Kind.CORDONED:
            return furthest, f"{these}, {'it is' if count == 1 else 'all are'} cordoned"
        case Kind.TAINT:
            has = "it has" if count == 1 else "all have"
            return furthest, f"{these}, {has} a taint that is not tolerated: {most}"
        case _:
            return furthest, f"{these}: {most or furthest}"


def _closed(kind: Kind, rule: str) -> str:
    match kind:
        case Kind.SPREAD_LABEL:
            return f"but no label {rule}, by which the pod is to be spread"
        case Kind.SPREAD:
            return f"but topology spread keeps the pod out: {rule}"
        case Kind.POD_AFFINITY:
            return f"but no pod that its pod affinity asks for is there: {rule}"
        case Kind.POD_ANTI_AFFINITY:
            return f"but a pod that its pod anti-affinity avoids is there: {rule}"
        case _:
            return f"but the pod anti-affinity of a pod there keeps it out: {rule}"


def _full(shape: PodShape, nodes: Mapping[str, NodeState], large: Mapping[str, Reason]) -> tuple[Kind, str]:
    full_nodes = [nodes[name] for name, reason in large.items() if reason.kind in CAPACITY]
    reasons = [reason for reason in large.values() if reason.kind in CAPACITY]
    count = len(reasons)
    shortages: dict[str, list[Shortage]] = {}
    ports: list[str] = []
    apart = {name: reason for name, reason in large.items() if reason.kind is Kind.GPU_TOPOLOGY}
    if len(apart) == count:
        return _apart(shape, apart)
    for reason in reasons:
        for shortage in reason.shortages if reason.kind is not Kind.GPU_TOPOLOGY else ():
            shortages.setdefault(shortage.resource, []).append(shortage)
        if reason.kind is Kind.HOST_PORTS:
            ports.append(reason.detail)
    full = f"{_match(count)}, {'it is' if count == 1 else 'all'} full: "
    short = [resource for resource in _most_telling_first(shape.request) if resource in shortages]
    everywhere = [resource for resource in short if len(shortages[resource]) == count]
    if everywhere:
        return Kind.FULL, _short_of(shortages[everywhere[0]], full_nodes)
    if len(ports) == count:
        on = "it" if count == 1 else "all"
        return Kind.HOST_PORTS, f"{_match(count)}, host port {min(ports)} is taken on {on}"
    parts = [
        f"{len(shortages[r])} {'lacks' if len(shortages[r]) == 1 else 'lack'} {_named(r)}" for r in short
    ]
    if apart:
        has = "has" if len(apart) == 1 else "have"
        parts.append(f"{len(apart)} {has} them in no one {_required(shape)}")
    if ports:
        parts.append(f"host port {min(ports)} is taken on {len(ports)}")
    return Kind.FULL, full + ", ".join(parts)


def _short_of(shortages: Sequence[Shortage], nodes: Sequence[NodeState]) -> str:
    """What all `nodes` have too little of, and, where some of it is withheld, what became of the rest."""
    resource = shortages[0].resource
    one = len(nodes) == 1
    most = bare(resource, max(shortage.free for shortage in shortages))
    of_one = " of one device" if all(shortage.of_one for shortage in shortages) else ""
    needs = f"needs {amount(resource, shortages[0].needed)}{of_one}, " + (
        f"{most} free" if one else f"most free on one node {most}"
    )
    withheld: Counter[Withheld] = Counter()
    for node in nodes:
        withheld.update(node.withheld(resource))
    if not withheld:
        return f"{_match(len(nodes))}, {'it is' if one else 'all'} full: {needs}"
    in_use = sum(s.total - s.free for s in shortages) - withheld.total()
    counts = ([f"{in_use} in use"] if in_use > 0 else []) + [
        f"{withheld[cause]} {cause}" for cause in Withheld if withheld[cause]
    ]
    if in_use > 0:
        state = "it is full" if one else "all full"
    else:
        state = "it has not enough to give" if one else "none has enough to give"
    return f"{_match(len(nodes))}, {state}: {needs}, {', '.join(counts)}"


def _apart(shape: PodShape, reasons: Mapping[str, Reason]) -> tuple[Kind, str]:
    """Each of these nodes has devices enough, and not in one domain of the required level."""
    level, count = _required(shape), len(reasons)
    known = [(name, reason) for name, reason in reasons.items() if reason.shortages]
    if not known:
        told = min(reason.detail for reason in reasons.values())
        return Kind.GPU_TOPOLOGY, f"{_match(count)}, and its GPUs have to be in one {level}: {told}"
    shortages = [reason.shortages[0] for _, reason in known]
    largest = max(shortages, key=lambda shortage: (shortage.total, shortage.free))
    if all(shortage.total < shortage.needed for shortage in shortages):
        return Kind.TOO_LARGE, _domains_too_small(shape, largest.resource, largest.total)
    free = f"{largest.needed} free {_named(largest.resource)}"
    if count == 1:
        name, reason = known[0]
        return Kind.GPU_TOPOLOGY, f"no {level} of node {name} has {free} ({reason.detail})"
    most = max(shortage.free for shortage in shortages)
    return (
        Kind.GPU_TOPOLOGY,
        f"no {level} of the {count} nodes that match has {free}: the most in one is {most}",
    )


def _required(shape: PodShape) -> str:
    wish = shape.gpu_wish
    return wish.required.in_words if wish is not None and wish.required is not None else ""


def _match(count: int) -> str:
    return "1 node matches" if count == 1 else f"{count} nodes match"


def _in_words(shape: PodShape) -> str:
    terms = [
        " and ".join(str(r) for r in (*term.labels, *term.fields)) or "(empty term)"
        for term in shape.required or ()
    ]
    return " or ".join(terms) or "(no terms)"


def _most_telling_first(resources: Mapping[str, int]) -> list[str]:
    return sorted(resources, key=lambda r: (not is_accelerator(r), not is_extended(r), r))


def amount(resource: str, value: int) -> str:
    """`2 nvidia.com/gpu`, `1500m cpu`, `64Gi memory`."""
    return f"{bare(resource, value)} {_named(resource)}"


def _named(resource: str) -> str:
    return "pod slots" if resource == PODS else resource


def bare(resource: str, value: int) -> str:
    """The value alone, spelled as in a manifest."""
    if resource == CPU:
        return str(value // 1000) if value % 1000 == 0 else f"{value}m"
    if resource.startswith(_BYTES):
        for suffix, unit in _UNITS:
            if value >= unit:
                return f"{value // unit}{suffix}" if value % unit == 0 else f"{value / unit:.1f}{suffix}"
    return str(value)
