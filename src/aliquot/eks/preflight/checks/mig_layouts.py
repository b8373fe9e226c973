"""How the GPUs of nodes are cut and shared: a node that takes another's place knows nothing of it, unless something says it anew.

What says it anew: labels of the node group, the default of NVIDIA's MIG manager, user data, and Aliquot's partitioner where it decides by
itself. A GPUNode goes with its Node, and what is written in it names GPUs that the new machine does not have.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Node, Objects
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.pools import Pool, pools
from aliquot.kube.api.gpunode import Partitioning

CHECK = "mig-layouts"
CONFIG = "nvidia.com/mig.config"
SHARING = "nvidia.com/device-plugin.config"
_PRODUCT = "nvidia.com/gpu.product"
_NOTHING = frozenset({"", "all-disabled"})
_SLICE = "nvidia.com/mig-"
_IN_USER_DATA = re.compile(r"nvidia-smi\s+(?:-i\s+\S+\s+)?(?:mig\b|-mig\b)|mig-parted\s+apply", re.ASCII)
_BY_ITSELF = frozenset({Partitioning.ON_DEMAND, Partitioning.BUDGETED})


class _Layout(Struct, frozen=True):
    text: str
    """What is there, as of one node."""
    restored: str
    """By what; empty: by nothing."""
    label: str
    """`nvidia.com/mig.config`; empty: it has none."""


def judge(estate: Estate) -> Iterator[Finding]:
    objects = estate.objects or Objects()
    gpu_nodes = {one["metadata"]["name"]: one for one in objects.of("GPUNode")}
    default = _default_of_mig_manager(objects)
    for pool in pools(estate):
        by_layout: dict[_Layout, list[str]] = defaultdict(list)
        for node in pool.nodes:
            layout = _layout(estate, pool, node, gpu_nodes.get(node.metadata.name, {}), default)
            if layout is not None:
                by_layout[layout].append(node.metadata.name)
        for layout, names in sorted(by_layout.items(), key=lambda item: sorted(item[1])):
            yield _finding(pool, layout, sorted(names))
        yield from _sharing(pool)


def _layout(
    estate: Estate, pool: Pool, node: Node, gpu_node: Mapping[str, Any], default: str
) -> _Layout | None:
    label = node.metadata.labels.get(CONFIG, "")
    slices = _slices(node, gpu_node)
    if label in _NOTHING and not slices:
        return None
    named = f"{CONFIG}={label}" if label else "no label says it"
    text = f"{slices} ({named})" if slices else named
    return _Layout(text, _restored(estate, pool, label, gpu_node, default), label)


def _slices(node: Node, gpu_node: Mapping[str, Any]) -> str:
    """By the agent that made them, else by what the node offers."""
    counted: Counter[str] = Counter()
    for gpu in (gpu_node.get("status") or {}).get("gpus") or ():
        counted.update(str(one.get("profile", "?")) for one in gpu.get("instances") or ())
    if not counted:
        for name, count in node.status.capacity.items():
            if name.startswith(_SLICE) and str(count).isdigit() and int(count):
                counted[name.removeprefix(_SLICE).removesuffix(".shared")] += int(count)
    if counted:
        return ", ".join(f"{count} x {profile}" for profile, count in sorted(counted.items()))
    # The strategy `single` offers slices as GPUs, and says so in the product.
    _, mig, profile = node.metadata.labels.get(_PRODUCT, "").partition("-MIG-")
    count = str(node.status.capacity.get("nvidia.com/gpu", "0"))
    return f"{count} x {profile}" if mig and count != "0" else ""


def _restored(estate: Estate, pool: Pool, label: str, gpu_node: Mapping[str, Any], default: str) -> str:
    if pool.group is not None:
        if label and pool.group.labels.get(CONFIG) == label:
            return "the node group's labels"
        if any(_IN_USER_DATA.search(one.user_data) for one in estate.templates_of(pool.group)):
            return "the user data of its launch template"
    if label and label == default:
        return "the default of NVIDIA's MIG manager"
    partitioning = (gpu_node.get("spec") or {}).get("partitioning")
    if not label and partitioning in _BY_ITSELF:
        return f"Aliquot's partitioner ({partitioning}), as pods ask for it"
    return ""


def _default_of_mig_manager(objects: Objects) -> str:
    for policy in objects.of("ClusterPolicy.nvidia.com"):
        manager = (policy.get("spec") or {}).get("migManager") or {}
        if manager.get("enabled") is not False:
            return str((manager.get("config") or {}).get("default", ""))
    return ""


def _finding(pool: Pool, layout: _Layout, names: list[str]) -> Finding:
    nodes = f"node {names[0]}" if len(names) == 1 else f"{len(names)} nodes, {names[0]} first"
    if layout.restored:
        return Finding(
            check=CHECK,
            severity=Severity.INFO,
            what=pool.name,
            where=nodes,
            why=f"GPUs are cut: {layout.text} on each; on the nodes that come {layout.restored} does it again",
            fix="see that the new nodes offer as much before work goes back to them",
        )
    return Finding(
        check=CHECK,
        severity=Severity.WARN,
        what=pool.name,
        where=nodes,
        why=f"GPUs are cut: {layout.text} on each; the nodes that come know nothing of it, and pods that ask for slices wait",
        fix=_fix(pool, layout.label, names[0]),
    )


def _fix(pool: Pool, label: str, first: str) -> str:
    if not label:
        return f"keep it (kubectl get gpunode {first} -o yaml, or nvidia-mig-parted export on the node), and cut the new nodes so before work goes back to them"
    return _to_group(pool, f"{CONFIG}={label}")


def _to_group(pool: Pool, label: str) -> str:
    if pool.group is None:
        return f"give the new nodes the label {label}, by whatever makes them"
    return (
        f"put {label} into the labels of the node group (UpdateNodegroupConfig): EKS gives them to new nodes"
    )


def _sharing(pool: Pool) -> Iterator[Finding]:
    by_value: dict[str, list[str]] = defaultdict(list)
    for node in pool.nodes:
        value = node.metadata.labels.get(SHARING, "")
        if value and (pool.group is None or pool.group.labels.get(SHARING) != value):
            by_value[value].append(node.metadata.name)
    for value, names in sorted(by_value.items()):
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=pool.name,
            where=f"node {names[0]}" if len(names) == 1 else f"{len(names)} nodes, {min(names)} first",
            why=f"the label {SHARING}={value} says how their GPUs are shared, and was put on the nodes themselves: those that come do not have it",
            fix=_to_group(pool, f"{SHARING}={value}"),
        )
