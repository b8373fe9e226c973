"""What the agent knows of others who hand out GPUs of its node."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import RESOURCESLICES
from aliquot.node.advertise import Device
from aliquot.node.company.other_plugins import OtherPlugins
from aliquot.node.company.published import gpus_by_device, held_by_claims, published
from aliquot.node.feed import Feed
from aliquot.node.inventory import Snapshot
from aliquot.node.pod_resources import Allocations
from aliquot.node.status import Note

_SLICES_S = 2.0
"""How long the first look waits for ResourceSlices."""


def resource_slices(client: Client, field_selector: str) -> Cache[ResourceSlice]:
    """A cluster may not serve them, serve them in an older version only, or not show them: then nobody publishes."""
    older = [replace(RESOURCESLICES, version=version) for version in ("v1beta2", "v1beta1")]
    return Cache(
        client, RESOURCESLICES, ResourceSlice, field_selector=field_selector, older=older, optional=True
    )


class Neighbours:
    """`changed` is called when it is time for another look."""

    def __init__(self, node_name: str, slices: Feed[ResourceSlice], changed: Callable[[], None]) -> None:
        self._node_name = node_name
        self._slices = slices
        self._changed = changed
        self._other_plugins = OtherPlugins()

    @property
    def are_known(self) -> bool:
        return self._slices.is_synced

    @property
    def are_in_doubt(self) -> bool:
        """Whether a later look may tell more, though nothing happens."""
        return self._other_plugins.is_waiting

    async def ready(self) -> None:
        """A moment's patience: a GPU that is somebody else's would be handed out meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SLICES_S):
                await self._slices.synced()

    def listen(self) -> Callable[[], None]:
        """Returns the function that ends it."""
        return self._slices.listen(self._node_name, self._changed)

    def left_alone(
        self,
        snapshot: Snapshot,
        allocations: Allocations,
        devices: Sequence[Device],
        watched: Collection[str],
        now: float,
    ) -> Mapping[str, Note]:
        """GPU UUID -> whose it is. `devices` are offered as they say; `watched`: names for which kubelet listens to us."""
        gpu_of = gpus_by_device(snapshot.gpus)
        others = self._other_plugins.look(allocations, devices, watched, gpu_of, now)
        slices = self._slices.of(self._node_name)
        claimed = held_by_claims(allocations.claimed, snapshot.gpus)
        return {**others, **claimed, **published(slices, self._node_name, gpu_of)}
