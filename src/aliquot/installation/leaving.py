"""Takes an installation away, with or without an operator that runs: first who writes, then what they wrote, then the rest.

Every step looks anew at what is there, so it can be stopped anywhere and begun again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from aliquot.admission import cert_manager
from aliquot.admission.policy import NAME as WEBHOOK
from aliquot.admission.registration import CONFIGURATIONS, SECRET
from aliquot.installation import hook
from aliquot.installation.applying import delete, installed
from aliquot.installation.giving_back import NodeChange, is_users, of_node
from aliquot.installation.labels import (
    BY_HELM,
    BY_INSTALL,
    BY_OPERATOR,
    COMPONENT,
    MANAGED_BY,
    NAME,
    OURS,
    PART_OF,
    Json,
)
from aliquot.kube import crds, errors
from aliquot.kube.client import Client, Propagation
from aliquot.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    GPUNODES,
    GPUPOLICIES,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    RUNTIMECLASSES,
    SECRETS,
    SERVICES,
    STATEFULSETS,
    Resource,
    key,
)
from aliquot.kube.roles import LEASES_IN, NAMESPACE

SERVICEMONITORS = Resource("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
_ELECTIONS = ("aliquot-operator", "aliquot-scheduler", "aliquot-partitioner")
_CERTIFICATES = (SECRET, cert_manager.SECRET, cert_manager.AUTHORITY)
_BY_OPERATOR = f"{MANAGED_BY}={BY_OPERATOR}"
_PART = f"{PART_OF}={OURS}"
_IN_EVERY_NAMESPACE = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
"""ConfigMaps that a controller of the cluster puts there."""
_LOOK_S = 0.5
_PASSES = 5
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Options:
    nodes_only: bool = False
    """What Helm does not know of: what is on nodes, and what the operator made."""
    purge: bool = False
    pods_s: float = 60.0
    """How long pods may take to go: those of a node that is dead never do."""
    gone_s: float = 60.0
    """How long the namespace, and each definition, may."""


async def plan(client: Client, options: Options) -> AsyncIterator[str]:
    """What would be done, line by line. Changes nothing. Raises ApiError."""
    async for resource, obj in _workloads(client):
        yield f"delete {resource.kind} {key(obj)}"
    for node in (await client.list(NODES)).items:
        if (change := of_node(node)) is not None:
            yield str(change)
    for gpu_node in await _list(client, GPUNODES):
        name = gpu_node["metadata"]["name"]
        yield (
            f"keep GPUNode {name}, whose spec is somebody's; its status goes"
            if is_users(gpu_node) and not options.purge
            else f"delete GPUNode {name}"
        )
    async for resource, obj in _made(client):
        yield f"delete {resource.kind} {key(obj)}"
    if not options.nodes_only:
        async for resource, obj in installed(client):
            if resource not in (DEPLOYMENTS, DAEMONSETS, NAMESPACES):
                yield f"delete {resource.kind} {key(obj)}"
        async for line in _namespace(client, options, dry_run=True):
            yield line
    if options.purge:
        for definition in crds.ALL:
            yield f"delete CustomResourceDefinition {definition['metadata']['name']}, with all of its objects"
    else:
        for policy in await _list(client, GPUPOLICIES):
            yield f"keep GPUPolicy {policy['metadata']['name']}; its status goes"


async def leave(client: Client, options: Options) -> AsyncGenerator[str, None]:
    """Yields what has been done. Raises ApiError."""
    # It refuses pods as soon as nobody answers for it.
    if await _forget(client, CONFIGURATIONS, WEBHOOK):
        yield f"MutatingWebhookConfiguration {WEBHOOK}: deleted"
    async for resource, obj in _workloads(client):
        await delete(client, resource, obj)
        yield f"{resource.kind} {key(obj)}: deleted"
    left = await _pods_gone(client, options.pods_s)
    if left:
        yield f"not gone within {options.pods_s:.0f} s, and left to their nodes: {', '.join(left)}"
    async for line in _nodes(client):
        yield line
    async for line in _gpu_nodes(client):
        yield line
    async for line in _policies(client):
        yield line
    async for resource, obj in _made(client):
        await delete(client, resource, obj)
        yield f"{resource.kind} {key(obj)}: deleted"
    for name in _ELECTIONS:
        if await _forget(client, LEASES, name, LEASES_IN):
            yield f"Lease {LEASES_IN}/{name}: deleted"
    if options.nodes_only:
        return
    async for resource, obj in installed(client):
        if resource is not NAMESPACES:
            await delete(client, resource, obj)
            yield f"{resource.kind} {key(obj)}: deleted"
    # Once nobody is left who would make them anew.
    for name in _CERTIFICATES:
        if await _forget(client, SECRETS, name, NAMESPACE):
            yield f"Secret {NAMESPACE}/{name}: deleted"
    if options.purge:
        async for line in _purge(client, options.gone_s):
            yield line
    async for line in _namespace(client, options, dry_run=False):
        yield line


async def _workloads(client: Client) -> AsyncIterator[tuple[Resource, Json]]:
    """All that writes: our parts, whoever installed them, and the operands."""
    for selector in (_PART, _BY_OPERATOR):
        for resource in (DEPLOYMENTS, DAEMONSETS):
            for obj in await _list(client, resource, NAMESPACE, selector):
                yield resource, obj


async def _made(client: Client) -> AsyncIterator[tuple[Resource, Json]]:
    """By the operator, beside its DaemonSets."""
    for resource in (SERVICES, SERVICEMONITORS):
        for obj in await _list(client, resource, NAMESPACE, _BY_OPERATOR):
            yield resource, obj
    try:
        found = await client.get(RUNTIMECLASSES, "nvidia")
    except errors.NotFound:
        return
    if (found["metadata"].get("labels") or {}).get(MANAGED_BY) == BY_OPERATOR:
        yield RUNTIMECLASSES, found


async def _pods_gone(client: Client, within_s: float) -> list[str]:
    """Those that are left after that time."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        left = [key(pod) for pod in await _list(client, PODS, NAMESPACE) if _is_part(pod)]
        if not left or loop.time() >= deadline_s:
            return left
        await asyncio.sleep(_LOOK_S)


def _is_part(pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    ours = labels.get(PART_OF) == OURS or labels.get(NAME) == OURS
    return ours and labels.get(COMPONENT) != hook.COMPONENT_NAME


async def _nodes(client: Client) -> AsyncIterator[str]:
    for _ in range(_PASSES):
        found = (await client.list(NODES)).items
        changes = [change for node in found if (change := of_node(node)) is not None]
        if not changes:
            return
        for start in range(0, len(changes), _AT_ONCE):
            batch = changes[start : start + _AT_ONCE]
            done = await asyncio.gather(*(_give_back(client, change) for change in batch))
            for change, is_done in zip(batch, done, strict=True):
                if is_done:
                    yield f"Node {change.name}: {'uncordoned, ' if change.uncordons else ''}given back"


async def _give_back(client: Client, change: NodeChange) -> bool:
    """False: somebody was faster, and the node is looked at again."""
    try:
        if change.patch:
            await client.patch(NODES, change.name, change.patch)
        # With its UID: it is to make no Node where there is none any more.
        nothing = {"metadata": {"name": change.name, "uid": change.uid}}
        for manager in change.applied_by:
            await client.apply(NODES, nothing, field_manager=manager, force=True)
    except (errors.Conflict, errors.NotFound):
        return False
    return True


async def _gpu_nodes(client: Client) -> AsyncIterator[str]:
    for gpu_node in await _list(client, GPUNODES):
        name = gpu_node["metadata"]["name"]
        if not is_users(gpu_node):
            await delete(client, GPUNODES, gpu_node)
            yield f"GPUNode {name}: deleted"
        elif gpu_node.get("status"):
            await client.patch(GPUNODES, name, {"status": None}, subresource="status")
            yield f"GPUNode {name}: its status is taken off; its spec is somebody's, and stays"


async def _policies(client: Client) -> AsyncIterator[str]:
    """They are their user's. What was said of nodes that are given back would be said for ever."""
    for policy in await _list(client, GPUPOLICIES):
        if policy.get("status"):
            name = policy["metadata"]["name"]
            await client.patch(GPUPOLICIES, name, {"status": None}, subresource="status")
            yield f"GPUPolicy {name}: its status is taken off; it stays"


async def _purge(client: Client, within_s: float) -> AsyncIterator[str]:
    for definition in crds.ALL:
        name = definition["metadata"]["name"]
        try:
            await client.delete(CRDS, name, propagation=Propagation.BACKGROUND)
        except errors.NotFound:
            continue
        if not await _gone(client, CRDS, name, within_s):
            yield f"CustomResourceDefinition {name}: not gone within {within_s:.0f} s: see the finalizers of its objects"
            continue
        yield f"CustomResourceDefinition {name}: deleted"


async def _namespace(client: Client, options: Options, *, dry_run: bool) -> AsyncIterator[str]:
    try:
        found = await client.get(NAMESPACES, NAMESPACE)
    except errors.NotFound:
        return
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    # Of a Helm release that has gone it stays, for what others have in it.
    is_ours = labels.get(MANAGED_BY) in (BY_INSTALL, BY_HELM) and labels.get(PART_OF) == OURS
    if metadata.get("deletionTimestamp") or not is_ours:
        return
    others = [] if options.purge else await _others(client)
    if others:
        yield f"keep Namespace {NAMESPACE}, where others have {', '.join(others)}"
        return
    if dry_run:
        yield f"delete Namespace {NAMESPACE}"
        return
    await delete(client, NAMESPACES, found)
    yield f"Namespace {NAMESPACE}: deleted"
    # Who installs again at once could make nothing in it.
    if not await _gone(client, NAMESPACES, NAMESPACE, options.gone_s):
        yield f"Namespace {NAMESPACE}: not gone within {options.gone_s:.0f} s: see its conditions"


async def _others(client: Client) -> list[str]:
    """What is in the namespace and nobody but a user can have put there."""
    found = []
    for resource in (CONFIGMAPS, SECRETS, SERVICES, PERSISTENTVOLUMECLAIMS, DEPLOYMENTS, STATEFULSETS):
        for obj in await _list(client, resource, NAMESPACE):
            labels, name = obj["metadata"].get("labels") or {}, obj["metadata"]["name"]
            ours = labels.get(MANAGED_BY) in (BY_INSTALL, BY_OPERATOR) or name in _CERTIFICATES
            if not ours and name not in _IN_EVERY_NAMESPACE and not obj["metadata"].get("deletionTimestamp"):
                found.append(f"{resource.kind} {name}")
    return found


async def _list(
    client: Client, resource: Resource, namespace: str | None = None, selector: str = ""
) -> list[Json]:
    """Empty where there is no such kind."""
    try:
        return (await client.list(resource, namespace, label_selector=selector)).items
    except errors.NotFound:
        return []


async def _forget(client: Client, resource: Resource, name: str, namespace: str | None = None) -> bool:
    try:
        await client.delete(resource, name, namespace)
    except errors.NotFound:
        return False
    return True


async def _gone(client: Client, resource: Resource, name: str, within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        try:
            await client.get(resource, name)
        except errors.NotFound:
            return True
        if loop.time() >= deadline_s:
            return False
        await asyncio.sleep(_LOOK_S)
