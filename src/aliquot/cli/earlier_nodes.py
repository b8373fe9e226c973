"""Node objects of the last start, made to fit this one before any kubelet runs."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping

import msgspec

from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.node import status as agents

_AT_ONCE = 16


async def forget(client: Client, names: Iterable[str]) -> None:
    """Delete the Nodes of machines that are gone for good, as a cloud's controller would."""
    for name in names:
        for resource in (NODES, GPUNODES):
            with contextlib.suppress(NotFound):
                await client.delete(resource, name)


async def take_leave(client: Client, now: float) -> None:
    """Say for the agents of the last start what they could not say when they were killed: that nobody serves.

    A scheduler would otherwise give out devices that no kubelet has yet, and the pods would fail for good.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def of_one(node: GPUNode) -> None:
        left = agents.stopped(node.status, now)
        if left == node.status:
            return
        async with turns:
            patch = {"status": msgspec.to_builtins({"gpus": left.gpus, "conditions": left.conditions})}
            with contextlib.suppress(NotFound):
                await client.patch(GPUNODES, node.metadata.name, patch, subresource="status")

    with contextlib.suppress(NotFound):  # the first start of all
        found = await client.list(GPUNODES, into=GPUNode)
        async with asyncio.TaskGroup() as group:
            for node in found.items:
                group.create_task(of_one(node))


async def networks(client: Client) -> Mapping[str, str]:
    """The pod network of every Node that has one."""
    nodes = await client.list(NODES, into=Node)
    return {node.metadata.name: node.spec.pod_cidr for node in nodes.items if node.spec.pod_cidr}


async def drop_labels(client: Client, dropped: Mapping[str, Mapping[str, str]]) -> None:
    """Take labels off that the inventory gave and gives no more; a value that somebody changed since is theirs."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def of_one(name: str, labels: Mapping[str, str]) -> None:
        async with turns:
            with contextlib.suppress(NotFound):
                found = (await client.get(NODES, name, into=Node)).metadata.labels or {}
                stale = {key: None for key, value in labels.items() if found.get(key) == value}
                if stale:
                    await client.patch(NODES, name, {"metadata": {"labels": stale}})

    async with asyncio.TaskGroup() as group:
        for name, labels in dropped.items():
            group.create_task(of_one(name, labels))
