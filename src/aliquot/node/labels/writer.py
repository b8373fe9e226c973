"""Keeps the feature labels of the Node as the agent last found its GPUs: one server-side apply for each change.

What is no longer true is left out of the next apply, and so goes. Labels of others stay as they are; of ours, whoever
may have changed them, this agent knows better.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.agent_labels import FIELD_MANAGER
from aliquot.kube.api.core import Node
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from aliquot.kube.retry import Backoff
from aliquot.node.advertise import Advertisement
from aliquot.node.driver_access import RunBlocking
from aliquot.node.feed import Feed
from aliquot.node.inventory import Snapshot
from aliquot.node.labels.features import PREFIX, PRODUCT, UNKNOWN, feature_labels
from aliquot.node.plugin_config.settings import Settings

TIMESTAMP = PREFIX + "gfd.timestamp"
"""When the others last changed, in seconds since 1970."""

_log = structlog.get_logger()

_PAUSE_S = 0.1
"""Between two writes; what changes in it is written together."""
_LOOK_S = 30.0
"""After which the Node is compared with what was written, whoever may have changed it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the agent saw; compared by identity."""

    snapshot: Snapshot
    advertisement: Advertisement
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Written:
    node_uid: str
    """Another Node of the same name has to be written anew."""
    features: Mapping[str, str]
    timestamp: str


class LabelWriter:
    """`read_machine_type` takes the path that Settings have; None: nothing is known of the machine."""

    def __init__(
        self,
        node_name: str,
        *,
        client: Client,
        nodes: Feed[Node],
        clock: Clock,
        rng: random.Random,
        run_blocking: RunBlocking,
        read_machine_type: Callable[[str], str] | None = None,
    ) -> None:
        self._node_name = node_name
        self._client = client
        self._nodes = nodes
        self._clock = clock
        self._rng = rng
        self._run_blocking = run_blocking
        self._read_machine_type = read_machine_type
        self._found: _Found | None = None
        self._written: _Written | None = None
        self._machine_types: dict[str, str] = {}
        """By path, once read: a machine stays what it is."""
        self._work = asyncio.Event()

    def look(self, snapshot: Snapshot, advertisement: Advertisement, settings: Settings) -> None:
        """What the agent finds now; costs nothing as long as that stays the same."""
        if snapshot.version is None:
            # The driver has never answered: what an earlier agent wrote is all that is known.
            return
        last = self._found
        if (
            last is None
            or last.advertisement is not advertisement
            or last.settings != settings
            or last.snapshot.version != snapshot.version
        ):
            self._found = _Found(snapshot, advertisement, settings)
            self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._nodes.synced()
        backoff = Backoff(self._rng)
        failure = ""
        unlisten = self._nodes.listen(self._node_name, self._noticed)
        try:
            while True:
                self._work.clear()
                try:
                    await self._write()
                except errors.ApiError as error:
                    if error.message != failure:
                        _log.warning("node labels not written", node=self._node_name, error=error.message)
                    failure = error.message
                    await asyncio.sleep(backoff.delay_s())
                    continue
                failure = ""
                backoff.reset()
                await asyncio.sleep(_PAUSE_S)
                await self._idle()
        finally:
            unlisten()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._work.wait()
        except TimeoutError:
            if self._written is not None and not self._shows(self._written.features):
                self._written = None

    def _noticed(self) -> None:
        node = self._node()
        if node is not None and (self._written is None or self._written.node_uid != node.metadata.uid):
            self._work.set()

    async def _write(self) -> None:
        found, node, last = self._found, self._node(), self._written
        if found is None or node is None:
            return
        uid, features = node.metadata.uid, await self._features(found)
        stamped = found.settings.labels_timestamp and bool(features)
        if last is not None and last == _Written(uid, features, last.timestamp if stamped else ""):
            return
        if last is None and not features and PRODUCT not in self._shown():
            # Neither this agent nor an earlier one has ever had GPUs to tell of: most nodes of some fleets.
            self._written = _Written(uid, features, "")
            return
        timestamp = self._timestamp(features) if stamped else ""
        labels = {**features, TIMESTAMP: timestamp} if stamped else features
        # The UID keeps it off another Node of that name, and from making one where there is none.
        wanted = {"metadata": {"name": self._node_name, "uid": uid, "labels": dict(labels)}}
        await self._client.apply(NODES, wanted, field_manager=FIELD_MANAGER, force=True, into=Node)
        self._written = _Written(uid, features, timestamp)

    async def _features(self, found: _Found) -> Mapping[str, str]:
        path = found.settings.machine_type_file
        if self._read_machine_type is not None and path not in self._machine_types:
            self._machine_types[path] = await self._run_blocking(self._read_machine_type, path)
        machine_type = self._machine_types.get(path, UNKNOWN)
        return feature_labels(found.snapshot, found.advertisement, found.settings, machine_type)

    def _timestamp(self, features: Mapping[str, str]) -> str:
        """That of the Node where it has these labels already, from an earlier agent."""
        before = self._shown().get(TIMESTAMP, "") if self._shows(features) else ""
        return before or str(int(self._clock.now()))

    def _shows(self, features: Mapping[str, str]) -> bool:
        return self._shown().items() >= features.items()

    def _shown(self) -> Mapping[str, str]:
        node = self._node()
        return (node.metadata.labels or {}) if node is not None else {}

    def _node(self) -> Node | None:
        return next(iter(self._nodes.of(self._node_name)), None)
