"""Queues as a tree: what is above what, and what is wrong with it.

A queue with a problem closes itself and those below it, and no other. What is left is in arrays, parents before children,
siblings by name: it does not depend on the order in which queues are told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from aliquot.scheduler.core.queues.terms import GPU, RESOURCES, UNLIMITED, QueueSpec, Terms, model_of
from aliquot.scheduler.core.reasons import Kind, Reason

DEFAULT = "default"
"""The queue of jobs that name none. Where no such queue is declared, one without any limit stands in for it."""
ROOT = 0

_NO_TERMS = Terms()


@dataclass(frozen=True, slots=True, eq=False)
class QueueNode:
    """An open queue, and where it is in the arrays of its tree. The first is the root: all queues together."""

    spec: QueueSpec
    index: int
    parent: int
    """Of the root: itself."""
    children: Sequence[int] = ()
    buckets: Sequence[Sequence[int]] = ()
    """The children by priority, highest first."""

    @property
    def name(self) -> str:
        return self.spec.name


class QueueTree:
    def __init__(
        self, specs: Iterable[QueueSpec] = (), unreadable: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`unreadable`: queues whose spec could not be read, and why, with the field."""
        declared, problems = _judged(specs, unreadable)
        self.problems: Mapping[str, Reason] = MappingProxyType(problems)
        """Why a queue is closed."""
        if DEFAULT not in declared and DEFAULT not in problems:
            declared[DEFAULT] = QueueSpec(DEFAULT)
        self.nodes: Sequence[QueueNode] = _laid_out(declared)
        self._by_name = {node.name: node for node in self.nodes[1:]}
        self._paths = self._all_paths()
        stated = {resource for node in self.nodes for resource in node.spec.terms}
        self.resources: tuple[str, ...] = (*RESOURCES, *sorted(filter(model_of, stated)))
        """What there are shares of: also the models that some queue has terms on."""
        self.parents: Sequence[int] = [node.parent for node in self.nodes]
        self.limits: Mapping[str, Sequence[int]] = {
            resource: [node.spec.terms.get(resource, _NO_TERMS).limit for node in self.nodes]
            for resource in self.resources
        }
        self.weights: Mapping[str, Sequence[int]] = {
            resource: [
                node.spec.terms.get(GPU if model_of(resource) else resource, _NO_TERMS).weight_milli
                for node in self.nodes
            ]
            for resource in self.resources
        }
        self.quotas: Mapping[str, Sequence[int]] = {
            resource: self._effective_quotas(resource) for resource in self.resources
        }
        """What is guaranteed. Of a queue with others below it that states none: what they have together."""
        self.most: Mapping[str, Sequence[int]] = {
            resource: self._most(resource) for resource in self.resources
        }
        """What a queue can be due in the best case: its limit, or without a weight its quota."""
        self.stated: Mapping[str, Sequence[bool]] = {
            resource: self._stated(resource) for resource in self.resources
        }
        """Whether that is anybody's word, or 0 because nobody said anything."""
        self._bounded = {
            name: tuple(node for node in map(self.nodes.__getitem__, path) if _has_bounds(node.spec))
            for name, path in self._paths.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def node(self, name: str) -> QueueNode:
        """Raises KeyError for one that is unknown or closed."""
        return self._by_name[name]

    @property
    def leaves(self) -> Iterable[str]:
        return self._paths.keys()

    def refusal(self, name: str) -> Reason | None:
        """Why the queue takes no jobs; None: it does."""
        node = self._by_name.get(name)
        if node is not None:
            if not node.children:
                return None
            below = ", ".join(self.nodes[child].name for child in node.children[:3])
            more = ", ..." if len(node.children) > 3 else ""
            return Reason(
                Kind.QUEUE_NOT_LEAF,
                f"queue {name} has queues below it ({below}{more}), and only those take jobs: name one of them",
            )
        problem = self.problems.get(name)
        if problem is not None:
            return Reason(Kind.QUEUE_CLOSED, f"queue {name} is closed: {problem.detail}")
        return Reason(Kind.QUEUE_UNKNOWN, f"there is no queue {name}: create it, or name another")

    def path(self, name: str) -> Sequence[int]:
        """From the leaf up to the root. Of a queue that takes no jobs, the root alone: what is held there all the same counts
        for the whole."""
        return self._paths.get(name, _ROOT_ALONE)

    def binds(self, index: int, resource: str, judged_by: str) -> bool:
        """Whether a job counts as within the quota of that queue only if it is so in this resource. What a queue says nothing of
        does not put a job beyond its quota, unless it is what the job is judged by (`terms.primary`)."""
        return resource == judged_by or self.stated[resource][index]

    def bounded(self, name: str) -> Sequence[QueueNode]:
        """Those on the path that hold back anything at all."""
        return self._bounded.get(name, ())

    def apart(self, one: str, other: str) -> tuple[Sequence[int], Sequence[int]]:
        """The two paths below the first queue that both have above them; both are empty for one and the same leaf."""
        ours, theirs = self.path(one), self.path(other)
        common = 0
        while common < min(len(ours), len(theirs)) and ours[-1 - common] == theirs[-1 - common]:
            common += 1
        return ours[: len(ours) - common], theirs[: len(theirs) - common]

    def preempt_min_runtime_s(self, name: str) -> float:
        """Of the nearest on the path that states one."""
        stated = (self.nodes[index].spec.preempt_min_runtime_s for index in self.path(name))
        return next((seconds for seconds in stated if seconds is not None), 0.0)

    def reclaim_min_runtime_s(self, name: str) -> float:
        """Of the nearest on the path that states one."""
        stated = (self.nodes[index].spec.reclaim_min_runtime_s for index in self.path(name))
        return next((seconds for seconds in stated if seconds is not None), 0.0)

    def _all_paths(self) -> dict[str, Sequence[int]]:
        return {node.name: tuple(self._up(node)) for node in self.nodes[1:] if not node.children}

    def _up(self, node: QueueNode) -> Iterator[int]:
        while node.index != ROOT:
            yield node.index
            node = self.nodes[node.parent]
        yield ROOT

    def _most(self, resource: str) -> list[int]:
        by_queue = zip(self.limits[resource], self.quotas[resource], self.weights[resource], strict=True)
        return [limit if weight else min(limit, quota) for limit, quota, weight in by_queue]

    def _stated(self, resource: str) -> list[bool]:
        stated = [node.spec.terms.get(resource, _NO_TERMS).quota is not None for node in self.nodes]
        for node in reversed(self.nodes):
            stated[node.parent] |= stated[node.index]
        return stated

    def _effective_quotas(self, resource: str) -> list[int]:
        quotas = [0] * len(self.nodes)
        for node in reversed(self.nodes):
            stated = node.spec.terms.get(resource, _NO_TERMS).quota
            if stated is not None:
                quotas[node.index] = stated
            elif node.children:
                quotas[node.index] = min(UNLIMITED, sum(quotas[child] for child in node.children))
        return quotas


_ROOT_ALONE = (ROOT,)


def _has_bounds(spec: QueueSpec) -> bool:
    return any(terms.limit < UNLIMITED or terms.quota is not None for terms in spec.terms.values())


def _judged(
    specs: Iterable[QueueSpec], unreadable: Mapping[str, str]
) -> tuple[dict[str, QueueSpec], dict[str, Reason]]:
    """Those that are open, and why each other is not."""
    declared: dict[str, QueueSpec] = {}
    problems = {
        name: Reason(Kind.QUEUE_UNREADABLE, f"it cannot be read: {why}") for name, why in unreadable.items()
    }
    for spec in specs:
        if spec.name in declared:
            problems[spec.name] = Reason(Kind.QUEUE_DUPLICATE, f"there is more than one queue {spec.name}")
        declared[spec.name] = spec
    open_ = {""}
    for name in declared:
        walked: dict[str, None] = {}
        at = name
        while at not in open_ and at not in problems and at in declared and at not in walked:
            walked[at] = None
            at = declared[at].parent
        if at in walked:
            _close_cycle(list(walked)[list(walked).index(at) :], problems)
        # From the top down, so that each finds its parent judged.
        for below in reversed(walked):
            parent = declared[below].parent
            if below in problems:
                continue
            if parent in open_:
                open_.add(below)
            elif parent in problems:
                problems[below] = Reason(
                    Kind.QUEUE_CLOSED, f"its parent {parent} is closed: {_root_cause(problems[parent])}"
                )
            else:
                problems[below] = Reason(Kind.QUEUE_PARENT_UNKNOWN, f"its parent {parent} does not exist")
    return {name: spec for name, spec in declared.items() if name in open_}, problems


def _root_cause(problem: Reason) -> str:
    """Without the closed queues between: a deep tree would make a long sentence."""
    return problem.detail.rpartition("is closed: ")[2]


def _close_cycle(names: list[str], problems: dict[str, Reason]) -> None:
    """All of a cycle say the same, whichever of them was met first."""
    first = names.index(min(names))
    turned = [*names[first:], *names[:first]]
    shown = turned if len(turned) <= 6 else [*turned[:3], "...", *turned[-2:]]
    for name in names:
        problems[name] = Reason(
            Kind.QUEUE_CYCLE, f"its parents form a cycle: {' -> '.join([*shown, turned[0]])}"
        )


def _laid_out(declared: Mapping[str, QueueSpec]) -> list[QueueNode]:
    below: dict[str, list[str]] = {}
    for name in sorted(declared):
        below.setdefault(declared[name].parent, []).append(name)
    nodes = [QueueNode(QueueSpec(""), ROOT, ROOT)]
    position = 0
    while position < len(nodes):
        node = nodes[position]
        names = below.get(node.name, ())
        children = range(len(nodes), len(nodes) + len(names))
        nodes.extend(
            QueueNode(declared[name], child, position) for name, child in zip(names, children, strict=True)
        )
        by_priority: dict[int, list[int]] = {}
        for child in children:
            by_priority.setdefault(nodes[child].spec.priority, []).append(child)
        buckets = tuple(by_priority[priority] for priority in sorted(by_priority, reverse=True))
        nodes[position] = replace(node, children=children, buckets=buckets)
        position += 1
    return nodes
