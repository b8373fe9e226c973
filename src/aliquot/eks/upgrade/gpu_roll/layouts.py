"""What a node was given besides what its group gives to all: labels, taints, how its GPUs are cut. And which new node takes whose place. Pure.

What machines say of themselves (zone, product, driver) is left out: the new one says its own. How GPUs are cut is a label, or a
GPUNode's spec by the GPU's index, for the new machine's GPUs have other UUIDs. A node that is cut as pods ask for it is not cut here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from aliquot.eks.estate.gangs import GPU_PREFIXES
from aliquot.eks.upgrade.gpu_roll.marks import RESTORED_FROM
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.quantity import whole

CONFIG = "nvidia.com/mig.config"
SHARING = "nvidia.com/device-plugin.config"
_KEPT = frozenset({CONFIG, SHARING, "nvidia.com/gpu.workload.config"})
_OFF = "nvidia.com/gpu.deploy."
"""`false`: somebody does not want a part of the GPU operator there. Anything else is its own word."""
_SAID_BY_MACHINES = (
    "kubernetes.io",
    "k8s.io",
    "k8s.aws",
    "amazonaws.com",
    "csi.aws.com",
    "eksctl.io",
    "karpenter.sh",
    "nvidia.com",
    "aliquot.dev",
    "cilium.io",
)
_SAID_BY_PEOPLE = frozenset({"node-role.kubernetes.io", "node-restriction.kubernetes.io"})
_PASSING_TAINTS = frozenset({"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler"})
_COUNTED = (*GPU_PREFIXES, "vpc.amazonaws.com/efa")
_DRIVER = "nvidia.com/cuda.driver-version.full"
_ZONE = "topology.kubernetes.io/zone"
_BY_ITSELF = frozenset({Partitioning.ON_DEMAND, Partitioning.BUDGETED})
ONE_MORE = "-"


class SeenNode(Struct, frozen=True, kw_only=True):
    """As it is."""

    name: str
    version: str = ""
    """Its resourceVersion."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[dict[str, Any], ...] = ()
    resources: dict[str, int] = {}
    """Allocatable, of GPUs and their network."""
    kubelet: str = ""
    ready: bool = False
    unschedulable: bool = False
    partitioning: str = ""
    """Of its GPUNode; empty: it says nothing, or there is none."""
    wanted: tuple[dict[str, Any], ...] = ()
    """`spec.gpus` of its GPUNode."""
    uuids: dict[int, str] = {}
    """Of its GPUs by index, as its agent sees them."""
    agents_driver: str = ""

    @property
    def zone(self) -> str:
        return self.labels.get(_ZONE, "")

    @property
    def driver(self) -> str:
        return self.agents_driver or self.labels.get(_DRIVER, "")

    @property
    def by_itself(self) -> bool:
        """It is cut, or its resources are named, as pods ask for it."""
        return self.partitioning in _BY_ITSELF or any(
            name.startswith(CLASS_PREFIX) for name in self.resources
        )


class SavedNode(Struct, frozen=True, kw_only=True):
    name: str
    zone: str = ""
    labels: dict[str, str] = {}
    taints: tuple[dict[str, Any], ...] = ()
    resources: dict[str, int] = {}
    """Empty of one that is cut as pods ask."""
    gpus: int = 0
    """As its agent counted them; 0: nobody did."""
    follows_label: bool = False
    """Somebody cut it as the label says, and said when it was done."""
    partitioning: str = ""
    layout: tuple[dict[str, Any], ...] = ()
    """Of each GPU its index, and the rest of its entry in `spec.gpus`. Empty: a label says it, or nothing."""
    driver: str = ""


class SavedGroup(Struct, frozen=True, kw_only=True):
    group: str
    saved_s: float
    nodes: tuple[SavedNode, ...]


def seen_node(node: Mapping[str, Any], gpu_node: Mapping[str, Any] | None) -> SeenNode:
    """Objects as the API server gives them."""
    meta, status = node["metadata"], node.get("status") or {}
    spec = (gpu_node or {}).get("spec") or {}
    gpu_status = (gpu_node or {}).get("status") or {}
    return SeenNode(
        name=meta["name"],
        version=meta.get("resourceVersion", ""),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        taints=tuple((node.get("spec") or {}).get("taints") or ()),
        resources={
            name: amount
            for name, text in (status.get("allocatable") or {}).items()
            if name.startswith(_COUNTED) and (amount := whole(text))
        },
        kubelet=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        ready=any(
            one.get("type") == "Ready" and one.get("status") == "True"
            for one in status.get("conditions") or ()
        ),
        unschedulable=bool((node.get("spec") or {}).get("unschedulable")),
        partitioning=spec.get("partitioning") or "",
        wanted=tuple(spec.get("gpus") or ()),
        uuids={one["index"]: one["uuid"] for one in gpu_status.get("gpus") or ()},
        agents_driver=gpu_status.get("driverVersion", ""),
    )


def save(node: SeenNode, labels: Mapping[str, str], taints: Iterable[tuple[str, str]]) -> SavedNode:
    """`labels` and `taints` (key, effect): what the node group gives to all of its nodes."""
    given = set(taints)
    own = {
        key: value
        for key, value in node.labels.items()
        if _is_somebodys(key, value) and labels.get(key) != value
    }
    # In the group's own labels it comes by itself.
    is_labelled = CONFIG in node.labels
    indexes = {uuid: index for index, uuid in node.uuids.items()}
    layout = (
        ()
        if is_labelled or node.by_itself
        else tuple(
            {"index": indexes[entry["uuid"]], **{key: one for key, one in entry.items() if key != "uuid"}}
            for entry in node.wanted
            if entry.get("uuid") in indexes
        )
    )
    return SavedNode(
        name=node.name,
        zone=node.zone,
        labels=own,
        taints=tuple(
            {key: one for key, one in taint.items() if key != "timeAdded"}
            for taint in node.taints
            if (taint["key"], taint["effect"]) not in given and _is_lasting(taint["key"])
        ),
        resources={} if node.by_itself else node.resources,
        gpus=len(node.uuids),
        follows_label=is_labelled and MIG_STATE in node.labels,
        partitioning="" if is_labelled else node.partitioning,
        layout=layout,
        driver=node.driver,
    )


def _domain(key: str) -> str:
    return key.rpartition("/")[0]


def _by_machines(key: str) -> bool:
    domain = _domain(key)
    return any(domain == one or domain.endswith(f".{one}") for one in _SAID_BY_MACHINES)


def _is_somebodys(key: str, value: str) -> bool:
    if key in _KEPT or _domain(key) in _SAID_BY_PEOPLE:
        return True
    if key.startswith(_OFF):
        return value == "false"
    return not _by_machines(key)


def _is_lasting(key: str) -> bool:
    return key not in _PASSING_TAINTS and not _by_machines(key)


def matched(saved: SavedGroup, nodes: Sequence[SeenNode]) -> dict[str, SavedNode | None]:
    """Whose place each node takes; None: it is one more. What was decided before stays, and a node that was never replaced is itself."""
    by_name = {one.name: one for one in saved.nodes}
    found: dict[str, SavedNode | None] = {}
    for node in nodes:
        mark = node.annotations.get(RESTORED_FROM, "")
        if node.name in by_name:
            found[node.name] = by_name[node.name]
        elif mark in by_name:
            found[node.name] = by_name[mark]
        elif mark == ONE_MORE:
            found[node.name] = None
    taken = {one.name for one in found.values() if one is not None}
    free = [one for one in saved.nodes if one.name not in taken]
    rest = sorted((node for node in nodes if node.name not in found), key=lambda node: node.name)
    for same_zone in (True, False):
        for node in rest:
            if node.name in found:
                continue
            place = next((one for one in free if not same_zone or one.zone == node.zone), None)
            if place is not None:
                free.remove(place)
                found[node.name] = place
    for node in rest:
        found.setdefault(node.name, None)
    return found


def usual(saved: SavedGroup) -> SavedNode:
    """How most nodes of the group were cut, for one more; without what somebody gave to a single one."""
    if not saved.nodes:
        return SavedNode(name=ONE_MORE)
    keys = Counter(_cut(one) for one in saved.nodes)
    most = keys.most_common(1)[0][0]
    like = next(one for one in saved.nodes if _cut(one) == most)
    return msgspec.structs.replace(
        like,
        name=ONE_MORE,
        labels={key: value for key, value in like.labels.items() if key in _KEPT},
        taints=(),
    )


def _cut(node: SavedNode) -> str:
    labels = {key: value for key, value in sorted(node.labels.items()) if key in _KEPT}
    parts = [labels, node.partitioning, node.layout, sorted(node.resources.items()), node.gpus]
    return msgspec.json.encode(parts).decode()


def spec_gpus(place: SavedNode, node: SeenNode) -> list[dict[str, Any]] | None:
    """Of its GPUNode, for the GPUs that this machine has; None: its agent has not told of all of them."""
    if any(entry["index"] not in node.uuids for entry in place.layout):
        return None
    return [
        {"uuid": node.uuids[entry["index"]], **{key: one for key, one in entry.items() if key != "index"}}
        for entry in place.layout
    ]
