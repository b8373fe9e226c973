"""Keeps GPUNode in the API as the agent last described it: created where absent, status written only when changed.

Never in the way of serving devices: the API may be gone for hours, the latest status waits here and is written when
it is back. Touches nothing but the owner reference and the status, and of that no conditions of others.
"""

import asyncio
import random

import msgspec
import structlog

from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode, GPUNodeStatus
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.kube.retry import Backoff
from aliquot.node.feed import Feed
from aliquot.node.status import of_others, own

FIELD_MANAGER = "aliquot-node"

_log = structlog.get_logger()

_PAUSE_S = 0.1
"""Between two writes; what changes in it is written together."""
_LOOK_S = 30.0
"""After which the object is compared with what was written, whoever may have changed it."""

_TRIES = 3
"""With others who tell conditions of their own at the same time, before it waits."""
_LAST_WRITE_S = 1.0
"""A stopping agent waits no longer than this for the API."""

_ABSENT = dict.fromkeys(GPUNodeStatus.__struct_encode_fields__)
"""A merge patch removes a field only where it says null; a Struct leaves empty ones out."""


class GPUNodeWriter:
    def __init__(self, node_name: str, client: Client, feed: Feed[GPUNode], rng: random.Random) -> None:
        self._node_name = node_name
        self._client = client
        self._feed = feed
        self._rng = rng
        self._begun = False
        self._wanted: GPUNodeStatus | None = None
        self._written: GPUNodeStatus | None = None
        self._uid = ""
        """Of the object that was written to; another one of the same name has to be written anew."""
        self._work = asyncio.Event()
        self.failure = ""
        """Why the last write failed; empty when it did not."""

    def begin(self) -> None:
        """The object is there from now on, be it without a status."""
        if not self._begun:
            self._begun = True
            self._work.set()

    def submit(self, status: GPUNodeStatus) -> None:
        self.begin()
        if status != self._wanted:
            self._wanted = status
            self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._feed.synced()
        backoff = Backoff(self._rng)
        unlisten = self._feed.listen(self._node_name, self._noticed)
        try:
            while True:
                self._work.clear()
                try:
                    await self._write()
                except errors.ApiError as error:
                    if error.message != self.failure:
                        _log.warning("GPUNode not written", node=self._node_name, error=error.message)
                    self.failure = error.message
                    await asyncio.sleep(backoff.delay_s())
                    continue
                self.failure = ""
                backoff.reset()
                await asyncio.sleep(_PAUSE_S)
                await self._idle()
        finally:
            unlisten()

    async def write_last(self, status: GPUNodeStatus) -> None:
        """Once, after `run` has ended, to the object that is there; given up quietly when the API does not answer."""
        current = self._current()
        if current is None or own(current.status) == status:
            return
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                await self._put(current, status, conditions=True)
        except (errors.ApiError, TimeoutError) as error:
            _log.debug("last GPUNode status not written", node=self._node_name, error=str(error))

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._work.wait()
        except TimeoutError:
            current = self._current()
            if current is not None and own(current.status) != self._written:
                self._written = None

    def _noticed(self) -> None:
        current = self._current()
        if current is None or current.metadata.uid != self._uid:
            self._work.set()

    def _current(self) -> GPUNode | None:
        return next(iter(self._feed.of(self._node_name)), None)

    async def _write(self) -> None:
        if not self._begun:
            return
        current = self._current()
        if not self._uid or current is None or current.metadata.uid != self._uid:
            # The owner's reference makes the garbage collector remove GPUNode with its Node.
            current = await self._own()
            self._uid = current.metadata.uid
            self._written = None
        wanted, written = self._wanted, self._written
        if wanted is None or wanted == written:
            return
        told_anew = written is None or written.conditions != wanted.conditions
        await self._put(current, wanted, conditions=told_anew)
        self._written = wanted

    async def _put(self, current: GPUNode, status: GPUNodeStatus, *, conditions: bool) -> None:
        """`conditions` False: those that are there stay as they are."""
        for _ in range(_TRIES):
            try:
                await self._patch(current, status, conditions)
                return
            except errors.Conflict:
                # Somebody told a condition meanwhile; or it is another object.
                latest = await self._client.get(GPUNODES, self._node_name, into=GPUNode)
                if latest.metadata.uid != current.metadata.uid:
                    raise
                current = latest
        await self._patch(current, status, conditions)

    async def _patch(self, current: GPUNode, status: GPUNodeStatus, conditions: bool) -> None:
        # Of all but the conditions the agent is the only writer and always knows all, so a merge patch says the same as
        # an apply would, at a fraction of the server's work. The UID keeps it off another object of the same name.
        metadata = {"uid": current.metadata.uid}
        fields = _ABSENT | msgspec.to_builtins(status)
        if conditions:
            # A merge patch takes a list as a whole: that of others goes into it as it was at this version, and no other.
            fields["conditions"] = msgspec.to_builtins([*status.conditions, *of_others(current.status)])
            if current.metadata.resource_version:
                metadata["resourceVersion"] = current.metadata.resource_version
        else:
            del fields["conditions"]
        await self._client.patch(
            GPUNODES, self._node_name, {"metadata": metadata, "status": fields}, subresource="status"
        )

    async def _own(self) -> GPUNode:
        """Creates the object where it is missing. Raises NotFound until the Node exists."""
        node = await self._client.get(NODES, self._node_name, into=Node)
        owner = OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
        return await self._client.apply(
            GPUNODES,
            {"metadata": {"name": self._node_name, "ownerReferences": [owner]}},
            field_manager=FIELD_MANAGER,
            force=True,
            into=GPUNode,
        )
