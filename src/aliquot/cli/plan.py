"""What `aliquot up` is to bring up: the options, and what the last start left where they say nothing. Changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from aliquot.cli.auditing import AuditOptionError, AuditOptions, read_options
from aliquot.cli.authenticating import AuthenticationOptionError, accepted
from aliquot.cli.pod_networks import MOST_NODES
from aliquot.cli.state import DEFAULT_PARTITIONING, Running, StateDirectory
from aliquot.document import DocumentError
from aliquot.emulator import discovery, versions
from aliquot.emulator.authentication import Accepted
from aliquot.emulator.faults import file as fault_files
from aliquot.emulator.node_access.restriction import forbidden_labels
from aliquot.emulator.versions import Surface
from aliquot.gpu import inventory as inventories
from aliquot.gpu.inventory import Inventory, InventoryGpus, InventoryNode

MOST_NODES_ON_SOCKETS = 50
"""Kubelets and agents of larger fleets are joined in memory: the same servicers, no sockets."""
MOST_NODES_BESIDE_THE_API = 50
"""More of them get a process of their own, which a second core can run."""
DEFAULT_GPUS = "h100-80gb:8"
DEFAULT_RUNTIME = "simulated"


class LocalClusterError(Exception):
    """One line: why the cluster cannot be as asked, and the fix."""


@dataclass(frozen=True, slots=True)
class Plan:
    state: StateDirectory
    inventory: Inventory
    gone: tuple[str, ...]
    """Nodes of the last start that are in the inventory no more: their objects are deleted."""
    dropped_labels: Mapping[str, Mapping[str, str]]
    """By node: labels that the last inventory gave it and this one does not."""
    surface: Surface
    runtime: str
    last_runtime: str
    """Empty when there was no last start."""
    agents: bool
    """Whether node agents run in this process."""
    operator: bool
    """Whether nodes begin bare, and get their software by GPUPolicies."""
    operator_outside: bool
    """Whether that is another process's to see to."""
    port: int
    """0: not asked for."""
    last_port: int
    sockets: bool
    patience_s: float
    """How long nodes may take before it is told which are not ready."""
    audit: AuditOptions | None = None
    accepted: Accepted = field(default_factory=Accepted)
    faults: Path | None = None
    """A file that was found to be good."""
    partitioning: str = DEFAULT_PARTITIONING
    """Of nodes that say none of their own."""
    apart: bool = False
    """Whether the nodes run in a process of their own."""


def plan(
    state: StateDirectory,
    *,
    nodes: int | None,
    gpus: tuple[InventoryGpus, ...] | None,
    inventory: Path | None,
    kubernetes_version: str | None,
    runtime_config: str | None,
    runtime: str | None,
    agents: bool,
    operator: bool | None,
    operator_outside: bool,
    faults: Path | None,
    port: int,
    patience_s: float,
    audit_policy: Path | None,
    audit_log: Path | None,
    audit_webhook: str | None,
    authentication: Mapping[str, Any],
    partitioning: str | None,
) -> Plan:
    """What is None is as the last time. Raises LocalClusterError."""
    try:
        last = inventories.load(state.inventory) if state.inventory.exists() else None
        if inventory is not None:
            wanted = inventories.load(inventory)
        elif nodes is None and gpus is None and last is not None:
            wanted = last
        else:
            groups = inventories.parse_gpus(DEFAULT_GPUS) if gpus is None else gpus
            equal = 1 if nodes is None else nodes
            _refuse_too_many(equal)
            wanted = Inventory(tuple(InventoryNode(f"node-{i}", {}, groups) for i in range(equal)))
        audit = read_options(audit_policy, audit_log, audit_webhook)
        if faults is not None:
            fault_files.load(faults)
    except (DocumentError, AuditOptionError, ValueError) as error:
        raise LocalClusterError(str(error)) from error
    # An inventory of a single machine need not name it.
    wanted = Inventory(tuple(replace(node, name=node.name or "node-0") for node in wanted.nodes))
    for node in wanted.nodes:
        if refused := forbidden_labels(node.labels, {}):
            raise LocalClusterError(
                f"node {node.name}: label {refused[0]} is not a kubelet's to set: leave it out, and set it with kubectl label"
            )
    count = len(wanted.nodes)
    _refuse_too_many(count)
    if not agents and count > MOST_NODES_ON_SOCKETS:
        raise LocalClusterError(
            f"--no-agents needs sockets, which {count} nodes do not get; ask for at most {MOST_NODES_ON_SOCKETS}"
        )
    running = state.running()
    if operator is None:
        operator = running is not None and running.operator
        # Two of them would follow the same policies.
        operator_outside = operator_outside or (running is not None and operator and running.operator_outside)
    kind = runtime or (running.runtime if running is not None else DEFAULT_RUNTIME)
    if operator_outside and not operator:
        raise LocalClusterError("--operator-outside: there is none to be outside; give --operator as well")
    if operator and not agents:
        raise LocalClusterError("--operator and --no-agents: agents are the operator's there; leave one out")
    if operator and kind != DEFAULT_RUNTIME:
        raise LocalClusterError(
            f"--operator needs --runtime simulated, not {kind}: containers of drivers cannot be local processes; "
            "--no-operator leaves it out"
        )
    surface = _surface(kubernetes_version, runtime_config, running)
    try:
        let_in = accepted(authentication, minor=surface.minor)
    except AuthenticationOptionError as error:
        raise LocalClusterError(str(error)) from error
    return Plan(
        state=state,
        inventory=wanted,
        gone=_gone(last, wanted),
        dropped_labels=_dropped_labels(last, wanted),
        surface=surface,
        runtime=kind,
        last_runtime=running.runtime if running is not None else "",
        agents=agents,
        operator=operator,
        operator_outside=operator_outside,
        port=port,
        last_port=urlsplit(running.server).port or 0 if running is not None else 0,
        sockets=count <= MOST_NODES_ON_SOCKETS,
        patience_s=patience_s,
        audit=audit,
        accepted=let_in,
        faults=faults,
        partitioning=partitioning or (running.partitioning if running is not None else DEFAULT_PARTITIONING),
        # Into local processes people put their hands, and a clock that faults set is one process'.
        apart=count > MOST_NODES_BESIDE_THE_API and kind == DEFAULT_RUNTIME and faults is None,
    )


def _refuse_too_many(nodes: int) -> None:
    if nodes > MOST_NODES:
        raise LocalClusterError(f"{nodes} nodes: there are pod networks for {MOST_NODES}; ask for fewer")


def encode(inventory: Inventory) -> bytes:
    """As `inventory.load` reads it; JSON is YAML."""
    nodes = [
        {
            "name": node.name,
            "labels": dict(node.labels),
            "gpus": [{"board": g.board, "count": g.count, "mig": g.mig} for g in node.gpus],
            "clique": node.clique,
        }
        for node in inventory.nodes
    ]
    return msgspec.json.encode({"nodes": nodes})


def _surface(version: str | None, runtime_config: str | None, last: Running | None) -> Surface:
    if last is not None:
        version = version or last.kubernetes_version
    if runtime_config is not None:
        enabled = frozenset(_turned_on(runtime_config))
    else:
        enabled = frozenset(last.enabled_apis if last is not None else ())
    try:
        surface = Surface(version or versions.DEFAULT, enabled)
        discovery.builtin(surface)
    except versions.UnknownVersion as error:
        raise LocalClusterError(f"--kubernetes-version: {error}") from error
    except discovery.UnknownApi as error:
        raise LocalClusterError(f"--runtime-config: {error}") from error
    return surface


def _turned_on(runtime_config: str) -> Iterator[str]:
    """`scheduling.k8s.io/v1beta1=true,resource.k8s.io/v1beta1`: as kube-apiserver takes it."""
    for part in filter(None, runtime_config.split(",")):
        api_version, _, value = part.partition("=")
        if value not in ("", "true", "false"):
            raise LocalClusterError(f"--runtime-config: {part}: true or false is expected")
        if value != "false":
            yield api_version


def _gone(last: Inventory | None, wanted: Inventory) -> tuple[str, ...]:
    names = {node.name for node in wanted.nodes}
    return tuple(node.name for node in (last.nodes if last is not None else ()) if node.name not in names)


def _dropped_labels(last: Inventory | None, wanted: Inventory) -> dict[str, dict[str, str]]:
    labels = {node.name: node.labels for node in wanted.nodes}
    dropped = {
        node.name: {k: v for k, v in node.labels.items() if k not in labels[node.name]}
        for node in (last.nodes if last is not None else ())
        if node.name in labels
    }
    return {name: of_node for name, of_node in dropped.items() if of_node}
