"""What there is in the cluster when gangs are to stop or to start: nodes by place, gangs, and what bears somebody's mark."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from aliquot.eks.estate.gangs import Gang, Key, Thing, drawn, thing_of, unread
from aliquot.eks.estate.gpu_kinds import served
from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS, Way
from aliquot.eks.estate.objects import Node, Pod
from aliquot.eks.estate.places import place
from aliquot.eks.estate.served import served_groups
from aliquot.eks.upgrade.gpu_roll.marks import SUSPENDED_BY
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound, Unavailable
from aliquot.kube.resources import NODES, PODS, Resource

T = TypeVar("T")


class Scene(Struct, frozen=True, kw_only=True):
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    gangs: tuple[Gang, ...] = ()
    """Of the whole cluster."""
    marked: tuple[Thing, ...] = ()
    """What somebody suspended with our mark; where it was looked for."""

    @property
    def of_node(self) -> dict[str, str]:
        """Of each node that is in one, its place."""
        found = ((node.metadata.name, place(node.metadata.labels)) for node in self.nodes)
        return {node: where for node, where in found if where}

    def within(self, places: tuple[str, ...]) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if place(node.metadata.labels) in places)


async def scene(kube: Client, *, with_marked: bool = False) -> Scene:
    """Raises ApiError: of what could not be listed nobody knows whom it would have shown."""
    try:
        there = await served_groups(kube)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"/apis: {error}", code=0) from error
    things: dict[Key, Thing] = {}
    read: set[tuple[str, str]] = set()

    async def take(resource: Resource) -> None:
        in_version = served(resource, there)
        if in_version is not None:
            for one in await _all(kube, in_version, dict[str, Any]):
                thing = thing_of(in_version, one)
                things[thing.key] = thing

    nodes = await _all(kube, NODES, Node)
    pods = await _all(kube, PODS, Pod)
    await take(WORKLOADS)
    wanted = {key for key, kind in JOB_KINDS.items() if kind.way is not Way.NONE} if with_marked else set()
    while wanted := (wanted | unread(pods, things.values(), read)) - read:
        for key in sorted(wanted):
            await take(JOB_KINDS[key].resource)
        read |= wanted
    return Scene(
        nodes=tuple(nodes),
        pods=tuple(pods),
        gangs=drawn(pods, things),
        marked=tuple(one for one in things.values() if SUSPENDED_BY in one.metadata.annotations),
    )


async def _all(kube: Client, resource: Resource, into: type[T]) -> list[T]:
    try:
        return (await kube.list(resource, into=into)).items
    except NotFound:
        # Its group is served, and this kind of it is not.
        return []
