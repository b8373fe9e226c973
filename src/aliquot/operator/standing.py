"""Whose each node is, and what is rendered for each policy: out of the caches, kept up with one change at a time.

All loops of the operator read it, and it writes nothing. A node's change looks at that node alone; what is made for a policy is
rendered anew only when its spec changes, or the first node of a pool comes or the last one goes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aliquot.kube.api.core import Node
from aliquot.operator.core.discovered import has_gpus
from aliquot.operator.core.operands import Image, OperandName
from aliquot.operator.core.policies import Claim, Policy, Stored, claim, read_stored
from aliquot.operator.core.pools import POOL_LABEL, Pool, pool_of
from aliquot.operator.core.rendering.operands import manifests
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, revision
from aliquot.operator.watched import Json, Watched

Changed: TypeAlias = Callable[[str], None]
_NOBODYS = Claim("")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The DaemonSets of a policy, without their owner."""

    daemon_sets: tuple[Json, ...]
    revisions: Mapping[tuple[OperandName, str], str]
    """Of their pods, by operand and, of the driver, its pool's key."""


@dataclass(frozen=True, slots=True)
class NodeStands:
    claim: Claim = _NOBODYS
    has_gpus: bool = False
    pool: Pool | None = None
    """Of the driver that it is to have. None: none is to be had for it, or none is wanted."""


_NOTHING = NodeStands()
_NOTHING_RENDERED = Rendered((), {})


class Standing:
    def __init__(self, watched: Watched, images: Mapping[OperandName, Image], namespace: str) -> None:
        self._watched = watched
        self._images = images
        self._namespace = namespace
        self._stored: dict[str, Stored] = {}
        self._nodes: dict[str, NodeStands] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._overlaps: dict[str, dict[str, None]] = {}
        self._pools: dict[str, Counter[Pool]] = {}
        self._rendered: dict[str, Rendered] = {}
        self._node_subscribers: list[Changed] = []
        self._policy_subscribers: list[Changed] = []

    # --- what stands ---

    @property
    def stored(self) -> Mapping[str, Stored]:
        """All policies that are there, and not about to be deleted, by name."""
        return self._stored

    def policy(self, name: str) -> Policy | None:
        """None: there is none, or its spec is refused."""
        found = self._stored.get(name)
        return found.policy if found is not None else None

    def node(self, name: str) -> NodeStands:
        return self._nodes.get(name, _NOTHING)

    def policy_of(self, node: str) -> Policy | None:
        """None: it is nobody's, or stays as it is for its policy's spec is refused."""
        return self.policy(self.node(node).claim.policy)

    def nodes_of(self, policy: str) -> Sequence[str]:
        return tuple(self._members.get(policy, ()))

    def overlaps_of(self, policy: str) -> Sequence[str]:
        """Nodes that it selects, and an older one has."""
        return tuple(self._overlaps.get(policy, ()))

    def rendered(self, policy: str) -> Rendered:
        if (found := self._rendered.get(policy)) is None:
            found = self._rendered[policy] = self._render(policy)
        return found

    def revision(self, policy: str, operand: OperandName, node: str) -> str:
        """Of the pod of the operand as it is to be on the node; empty: it is to have none."""
        pool = self.node(node).pool if operand is OperandName.DRIVER else None
        return self.rendered(policy).revisions.get((operand, pool.key if pool is not None else ""), "")

    # --- how it is kept up ---

    def subscribe(self, *, node: Changed, policy: Changed) -> Callable[[], None]:
        """`node`: whose it is, its pool, or the spec of its policy is another. `policy`: it came, went, its spec or what is
        rendered for it is another. Called for all there is, at once. Returns the function that ends it."""
        self._node_subscribers.append(node)
        self._policy_subscribers.append(policy)
        for name in self._nodes:
            node(name)
        for name in self._stored:
            policy(name)

        def unsubscribe() -> None:
            self._node_subscribers.remove(node)
            self._policy_subscribers.remove(policy)

        return unsubscribe

    def follow(self) -> Callable[[], None]:
        """Keep up with the caches. Returns the function that ends it."""
        stops = (
            self._watched.policies.subscribe(self._policy_changed),
            self._watched.nodes.subscribe(self._node_changed),
        )

        def stop() -> None:
            for one in stops:
                one()

        return stop

    def _policy_changed(self, old: Json | None, new: Json | None) -> None:
        some = new if new is not None else old
        assert some is not None
        name = some["metadata"]["name"]
        if old is not None and new is not None and _identity(old) == _identity(new):
            return
        if new is None or new["metadata"].get("deletionTimestamp"):
            self._stored.pop(name, None)
        else:
            self._stored[name] = read_stored(new, self._images)
        self._rendered.pop(name, None)
        for node in self._watched.nodes.values():
            self._look(node, spec_changed=name)
        self._tell(self._policy_subscribers, name)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            if old is None or _seen(old) != _seen(new):
                self._look(new)
        elif old is not None:
            self._become(old.metadata.name, _NOTHING)
            self._nodes.pop(old.metadata.name, None)

    def _look(self, node: Node, spec_changed: str = "") -> None:
        """`spec_changed`: of which policy."""
        name = node.metadata.name
        found = self._stand(node)
        if not self._become(name, found) and spec_changed and found.claim.policy == spec_changed:
            self._tell(self._node_subscribers, name)

    def _stand(self, node: Node) -> NodeStands:
        labels = node.metadata.labels or {}
        if not has_gpus(labels, node.metadata.annotations or {}):
            return _NOTHING
        found = claim(self._stored.values(), labels)
        policy = self.policy(found.policy)
        if policy is None or not policy.operands[OperandName.DRIVER].wanted:
            return NodeStands(found, True)
        info = node.status.node_info
        precompiled = policy.spec.driver.use_precompiled
        pool = pool_of(labels, info.os_image, info.kernel_version, precompiled=precompiled)
        return NodeStands(found, True, pool)

    def _become(self, node: str, now: NodeStands) -> bool:
        """True: it was another."""
        before = self._nodes.get(node)
        if before == now:
            return False
        self._count(node, before or _NOTHING, now)
        self._nodes[node] = now
        self._tell(self._node_subscribers, node)
        return True

    def _count(self, node: str, before: NodeStands, now: NodeStands) -> None:
        changed: set[str] = set()
        if before.claim.policy != now.claim.policy:
            changed |= {before.claim.policy, now.claim.policy}
            _leave(self._members, before.claim.policy, node)
            self._members.setdefault(now.claim.policy, {})[node] = None
        for other in before.claim.others:
            _leave(self._overlaps, other, node)
        for other in now.claim.others:
            self._overlaps.setdefault(other, {})[node] = None
        changed |= {*before.claim.others} ^ {*now.claim.others}
        for stands, step in ((before, -1), (now, 1)):
            if stands.pool is not None and self._count_pool(stands.claim.policy, stands.pool, step):
                self._rendered.pop(stands.claim.policy, None)
                changed.add(stands.claim.policy)
        for name in sorted(changed - {""}):
            self._tell(self._policy_subscribers, name)

    def _count_pool(self, policy: str, pool: Pool, step: int) -> bool:
        """True: the first of it came, or the last one went."""
        pools = self._pools.setdefault(policy, Counter())
        before = pools[pool]
        pools[pool] = before + step
        if not pools[pool]:
            del pools[pool]
        return (before > 0) is not (before + step > 0)

    def _render(self, name: str) -> Rendered:
        policy = self.policy(name)
        if policy is None:
            return _NOTHING_RENDERED
        made = manifests(policy, self._namespace, self._pools.get(name, ()))
        return Rendered(tuple(made), {_operand_of(one): revision(one) for one in made})

    @staticmethod
    def _tell(subscribers: Sequence[Changed], name: str) -> None:
        for subscriber in tuple(subscribers):
            subscriber(name)


def _identity(policy: Json) -> tuple[Any, ...]:
    """What changes with each change of the spec, and not of the status."""
    metadata = policy["metadata"]
    return metadata.get("uid"), metadata.get("generation"), bool(metadata.get("deletionTimestamp"))


def _seen(node: Node) -> tuple[Any, ...]:
    info = node.status.node_info
    return node.metadata.labels, node.metadata.annotations, info.os_image, info.kernel_version


def _leave(groups: dict[str, dict[str, None]], group: str, node: str) -> None:
    if (found := groups.get(group)) is not None:
        found.pop(node, None)
        if not found:
            del groups[group]


def _operand_of(daemon_set: Json) -> tuple[OperandName, str]:
    labels = daemon_set["spec"]["template"]["metadata"]["labels"]
    return OperandName(labels[OPERAND_LABEL]), labels.get(POOL_LABEL, "")
