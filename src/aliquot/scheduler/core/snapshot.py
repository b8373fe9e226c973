"""All nodes and the pods on them, kept up to date change by change.

Fed by a shell with what it sees (`set_facts`, `set_pod`, `end_pod`, ...) and by the cycle with what it decides. What
it holds is a function of what it was told last about each node and each pod, in whatever order that came. It is not
rebuilt for a cycle: who keeps something derived from it (a Ranking) asks `changed_since` for the nodes to look at
again.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.neighbours import Neighbours
from aliquot.scheduler.core.node import NodeState, derive, with_pod, without_pod
from aliquot.scheduler.core.pod import PlacedPod

_SHORTEST_LOG = 4096


class Snapshot:
    def __init__(self) -> None:
        self._nodes: dict[str, NodeState] = {}
        self.nodes: Mapping[str, NodeState] = MappingProxyType(self._nodes)
        self._pods: dict[str, PlacedPod] = {}
        self.pods: Mapping[str, PlacedPod] = MappingProxyType(self._pods)
        """Live pods that have a node, seen and assumed."""
        self._ended: dict[str, str] = {}
        # By node, also for nodes not seen yet:
        self._pods_on: dict[str, dict[str, PlacedPod]] = {}
        self._ended_on: dict[str, set[str]] = {}
        self._facts_at: dict[str, int] = {}
        """The version with which a node came to be as its facts say."""
        self._changes: list[str] = []
        self._first_change = 0
        self.neighbours = Neighbours(self._pods)
        self._makers: set[str] = set()

    def pods_on(self, node: str) -> Mapping[str, PlacedPod]:
        return MappingProxyType(self._pods_on.get(node, {}))

    @property
    def ended(self) -> Mapping[str, str]:
        """Pods that have run to their end, and are there still: to their node."""
        return MappingProxyType(self._ended)

    @property
    def makes_devices(self) -> bool:
        """Whether any node does."""
        return bool(self._makers)

    @property
    def version(self) -> int:
        """Grows with every change of a node; a cursor for `changed_since`."""
        return self._first_change + len(self._changes)

    def changed_since(self, version: int) -> Iterable[str] | None:
        """Nodes that changed or went since, each once; None when that is too long ago to tell."""
        if version < self._first_change:
            return None
        changes = self._changes[version - self._first_change :]
        return changes if len(changes) == 1 else dict.fromkeys(changes)

    def has_new_facts(self, name: str, version: int) -> bool:
        """Whether more changed of the node since then than what its pods take of it."""
        return self._facts_at[name] > version

    def set_facts(self, facts: NodeFacts) -> bool:
        """A node as it is now. Returns whether that was news."""
        known = self._nodes.get(facts.name)
        if known is not None and known.reported == facts:
            return False
        self._derive(facts)
        return True

    def remove_facts(self, name: str) -> None:
        """The node is gone. Its pods are remembered until they are told of as well."""
        self._makers.discard(name)
        if self._nodes.pop(name, None) is not None:
            del self._facts_at[name]
            self._changed(name)

    def set_pod(self, pod: PlacedPod) -> None:
        """A live pod with a node; takes the place of whatever was known or assumed of it."""
        known = self._pods.get(pod.key)
        if known == pod:
            return
        if known is not None and replace(known, checkpoint_s=pod.checkpoint_s) == pod:
            # No matter of nodes.
            self._pods[pod.key] = self._pods_on[pod.node][pod.key] = pod
            return
        if self._ended:
            self._forget_ended(pod.key)
        if known is not None:
            self._remove(known)
        self._pods[pod.key] = pod
        self._pods_on.setdefault(pod.node, {})[pod.key] = pod
        self.neighbours.pod_came(pod)
        self._update(pod, added=True)

    def end_pod(self, key: str, node: str) -> None:
        """The pod has run to its end on `node`: it holds nothing, though the node's device list may lag behind."""
        if self._ended.get(key) == node:
            return
        self.remove_pod(key)
        self._ended[key] = node
        self._ended_on.setdefault(node, set()).add(key)
        self._rederive_if_listed(key, node)

    def remove_pod(self, key: str) -> None:
        """The pod is gone, or is not on a node after all."""
        known = self._pods.pop(key, None)
        if known is not None:
            self._remove(known)
        self._forget_ended(key)

    def _remove(self, pod: PlacedPod) -> None:
        here = self._pods_on[pod.node]
        del here[pod.key]
        if not here:
            del self._pods_on[pod.node]
        self.neighbours.pod_went(pod)
        self._update(pod, added=False)

    def _update(self, pod: PlacedPod, *, added: bool) -> None:
        state = self._nodes.get(pod.node)
        if state is None:
            return
        if pod.reserved or pod.key in state.facts.devices.by_holder:
            self._derive(state.reported)
            return
        self._nodes[pod.node] = with_pod(state, pod) if added else without_pod(state, pod)
        self._changed(pod.node)

    def _forget_ended(self, key: str) -> None:
        node = self._ended.pop(key, None)
        if node is not None:
            here = self._ended_on[node]
            here.discard(key)
            if not here:
                del self._ended_on[node]
            self._rederive_if_listed(key, node)

    def _rederive_if_listed(self, key: str, node: str) -> None:
        state = self._nodes.get(node)
        if state is not None and key in state.facts.devices.by_holder:
            self._derive(state.reported)

    def _derive(self, facts: NodeFacts) -> None:
        if facts.makes_devices:
            self._makers.add(facts.name)
        else:
            self._makers.discard(facts.name)
        name = facts.name
        pods, ended = self._pods_on.get(name, {}), self._ended_on.get(name, ())
        before, now = self._nodes.get(name), derive(facts, pods.values(), ended)
        self._nodes[name] = now
        self._changed(name)
        if before is None or before.facts is not now.facts:
            self._facts_at[name] = self.version

    def _changed(self, name: str) -> None:
        self._changes.append(name)
        if len(self._changes) > max(_SHORTEST_LOG, 8 * len(self._nodes)):
            half = len(self._changes) // 2
            del self._changes[:half]
            self._first_change += half
