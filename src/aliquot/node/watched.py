"""What an agent watches of the API. In a process with many agents they share it; else each has its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.kube.api.core import ConfigMap, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS, GPUNODES, NODES, PODS
from aliquot.kube.roles import MIG_CONFIG_MAP, NAMESPACE
from aliquot.node.company.neighbours import resource_slices
from aliquot.node.feed import (
    Feed,
    config_maps_by_name,
    gpu_nodes_by_name,
    nodes_by_name,
    pods_by_node,
    resource_slices_by_node,
)


@dataclass(frozen=True, slots=True)
class Watched:
    pods: Feed[Pod]
    nodes: Feed[Node]
    gpu_nodes: Feed[GPUNode]
    mig_configs: Feed[ConfigMap]
    slices: Feed[ResourceSlice]
    plugin_configs: Feed[ConfigMap] | None = None
    """None where the device plugin's configuration is no ConfigMap's."""


def of_one_node(client: Client, node_name: str, config_map: str = "") -> tuple[Watched, Sequence[Cache[Any]]]:
    """`config_map` names the device plugin's. The caches are to be run."""
    pods = Cache(client, PODS, Pod, field_selector=f"spec.nodeName={node_name}")
    nodes = Cache(client, NODES, Node, field_selector=f"metadata.name={node_name}")
    gpu_nodes = Cache(client, GPUNODES, GPUNode, field_selector=f"metadata.name={node_name}")
    slices = resource_slices(client, f"spec.nodeName={node_name}")
    mig_configs = config_maps(client, MIG_CONFIG_MAP)
    caches: list[Cache[Any]] = [pods, nodes, gpu_nodes, slices, mig_configs]
    plugin_configs = None
    if config_map:
        caches.append(cache := config_maps(client, config_map))
        plugin_configs = config_maps_by_name(cache)
    watched = Watched(
        pods_by_node(pods),
        nodes_by_name(nodes),
        gpu_nodes_by_name(gpu_nodes),
        config_maps_by_name(mig_configs),
        resource_slices_by_node(slices),
        plugin_configs,
    )
    return watched, caches


def config_maps(client: Client, name: str) -> Cache[ConfigMap]:
    """Of one name: no other is looked at."""
    return Cache(client, CONFIGMAPS, ConfigMap, namespace=NAMESPACE, field_selector=f"metadata.name={name}")
