"""What the operator reads of the cluster: a copy of each kind, its own or one that the process has already."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    DAEMONSETS,
    EVENTS,
    GPUNODES,
    GPUPOLICIES,
    NODES,
    PODS,
    RUNTIMECLASSES,
    SERVICEMONITORS,
    SERVICES,
    Resource,
)
from aliquot.operator.core.operands import OperandName
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.refusals import REASON, daemon_set_of, refusal
from aliquot.operator.core.rendering.pods import daemon_set_name

Json: TypeAlias = dict[str, Any]

BY_NODE = "node"
BY_DAEMON_SET = "daemon set"
OURS = "app.kubernetes.io/managed-by=aliquot-operator"


class Watched:
    """Caches that are passed in are shared and run by their owner; `own` are to be run.

    Policies are read as they are stored, whatever a CRD of another version let pass: one that cannot be read must not look
    like one that was deleted. Objects of ours are read whole, to see what others changed of them.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        pods: Cache[Pod] | None = None,
        nodes: Cache[Node] | None = None,
        gpu_nodes: Cache[GPUNode] | None = None,
    ) -> None:
        self.pods = Cache(client, PODS, Pod) if pods is None else pods
        """With the index BY_NODE."""
        self.pods.index_by(BY_NODE, _by_node)
        self.nodes = Cache(client, NODES, Node) if nodes is None else nodes
        self.gpu_nodes = Cache(client, GPUNODES, GPUNode) if gpu_nodes is None else gpu_nodes
        self.policies: Cache[Json] = Cache(client, GPUPOLICIES, dict)
        self.daemon_sets: Cache[Json] = _ours(client, DAEMONSETS, namespace)
        self.services: Cache[Json] = _ours(client, SERVICES, namespace)
        self.service_monitors: Cache[Json] = _ours(client, SERVICEMONITORS, namespace, optional=True)
        """`is_served` False: Prometheus' operator is not there."""
        self.runtime_classes: Cache[Json] = Cache(client, RUNTIMECLASSES, dict)
        self.refusals: Cache[Json] = Cache(
            client,
            EVENTS,
            dict,
            namespace=namespace,
            field_selector=f"reason={REASON}",
            indexes={BY_DAEMON_SET: _by_daemon_set},
            optional=True,
        )
        """Events of DaemonSets whose pods the API server refuses. By rights of an earlier version they may not be seen."""
        given: tuple[tuple[Cache[Any], Cache[Any] | None], ...] = (
            (self.pods, pods),
            (self.nodes, nodes),
            (self.gpu_nodes, gpu_nodes),
            (self.policies, None),
            (self.daemon_sets, None),
            (self.services, None),
            (self.service_monitors, None),
            (self.runtime_classes, None),
            (self.refusals, None),
        )
        self.all: list[Cache[Any]] = [own for own, _ in given]
        self.own: list[Cache[Any]] = [own for own, passed in given if passed is None]

    async def synced(self) -> None:
        for cache in self.all:
            await cache.synced()

    def refusal(self, policy: str, operand: OperandName, labels: Mapping[str, str], now_s: float) -> str:
        """What the API server has against pods of the operand on a node with these labels; empty: nothing that is known."""
        pool = labels.get(POOL_LABEL, "") if operand is OperandName.DRIVER else ""
        name = daemon_set_name(policy, operand, pool)
        return refusal(self.refusals.indexed(BY_DAEMON_SET, name), now_s)

    @property
    def waits_for(self) -> str:
        """Names of kinds that have not been read yet; empty: all have."""
        return ", ".join(cache.resource.plural for cache in self.all if not cache.is_synced)


def _ours(client: Client, resource: Resource, namespace: str, *, optional: bool = False) -> Cache[Json]:
    return Cache(client, resource, dict, namespace=namespace, label_selector=OURS, optional=optional)


def _by_daemon_set(event: Json) -> Iterable[str]:
    return (name,) if (name := daemon_set_of(event)) else ()


def _by_node(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()
