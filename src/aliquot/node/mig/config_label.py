"""Follows the label `nvidia.com/mig.config` of its node: writes the wish into GPUNode.spec, and the state label.

A node with the label is cut by it alone. Where the label goes, so does the wish, and the slices stay as they are.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from aliquot.document import DocumentError
from aliquot.gpu.mig_config.file import MigConfigFile, parse
from aliquot.kube import errors
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.api.core import ConfigMap, Node
from aliquot.kube.api.gpunode import GPUNode, GPUNodeSpec
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.kube.retry import Backoff
from aliquot.kube.roles import MIG_CONFIG_MAP, NAMESPACE
from aliquot.node.feed import Feed
from aliquot.node.inventory import Snapshot
from aliquot.node.mig import gpu_clients
from aliquot.node.mig.labelled import (
    BAD_CONFIG,
    CONFIG,
    DISRUPTION,
    FAILED,
    ORIGIN,
    PENDING,
    choose,
    disruption,
    follows,
    holds,
    missing,
    state,
    wanted,
)
from aliquot.node.status import Note

FIELD_MANAGER = "aliquot-mig-config"
_KEY = "config.yaml"

_log = structlog.get_logger()


class MigConfigLabel:
    """`snapshot` gives what the agent last saw; `changed` is called when `problem` is another."""

    def __init__(
        self,
        node_name: str,
        *,
        client: Client,
        nodes: Feed[Node],
        gpu_nodes: Feed[GPUNode],
        config_maps: Feed[ConfigMap],
        snapshot: Callable[[], Snapshot],
        changed: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self._node_name = node_name
        self._client = client
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._config_maps = config_maps
        self._snapshot = snapshot
        self._changed = changed
        self._rng = rng
        self._wake = asyncio.Event()
        self._followed = False
        """Whether the label was there, so that its wish may be."""
        self.problem = Note()
        """Why what the label asks for cannot be had; without a reason when it can."""

    async def run(self) -> None:
        """Until cancelled."""
        await self._nodes.synced()
        await self._gpu_nodes.synced()
        await self._config_maps.synced()
        unlisten = (
            self._nodes.listen(self._node_name, self._wake.set),
            self._gpu_nodes.listen(self._node_name, self._wake.set),
            self._config_maps.listen(MIG_CONFIG_MAP, self._wake.set),
        )
        backoff = Backoff(self._rng)
        try:
            while True:
                self._wake.clear()
                try:
                    await self._look()
                except errors.ApiError as error:
                    _log.warning("MIG label not followed", node=self._node_name, error=error.message)
                    await asyncio.sleep(backoff.delay_s())
                    continue
                backoff.reset()
                await self._wake.wait()
        finally:
            for one in unlisten:
                one()

    async def _look(self) -> None:
        await self._pause_clients()
        name = self._label(CONFIG)
        if not name:
            await self._let_go()
            return
        self._followed = True
        node = next(iter(self._gpu_nodes.of(self._node_name)), None)
        if node is None or not self._snapshot().gpus:
            return
        wish = self._wish(name, node)
        if isinstance(wish, Note):
            await self._without_wish(wish, name, node)
            return
        spec, problem = wish
        self._tell(problem)
        if not (holds(node, spec) and follows(node, name)):
            await self._set_state(PENDING)
            await self._write(name, spec)
            return
        await self._set_state(FAILED if problem.reason else state(node))

    async def _without_wish(self, problem: Note, name: str, node: GPUNode) -> None:
        """A slip in a file that is the whole cluster's says nothing of a node that is as it was wanted before."""
        if problem.reason == BAD_CONFIG and follows(node, name):
            self._tell(replace(problem, still_followed=True))
            await self._set_state(state(node))
            return
        self._tell(problem)
        await self._set_state(FAILED)

    def _wish(self, name: str, node: GPUNode) -> tuple[GPUNodeSpec, Note] | Note:
        """With what keeps it from being all that the label asks for."""
        try:
            file = self._configurations()
        except DocumentError as error:
            return Note(BAD_CONFIG, str(error))
        snapshot = self._snapshot()
        entries = choose(file, name, snapshot)
        if isinstance(entries, Note):
            return entries
        gpus, found = wanted(entries, snapshot, _users(node)), disruption(self._annotation(DISRUPTION))
        if isinstance(gpus, Note):
            return gpus
        if isinstance(found, Note):
            return found
        return GPUNodeSpec(gpus=gpus, disruption=found), missing(entries, snapshot)

    def _configurations(self) -> MigConfigFile:
        """The cluster's; none where nobody has made any."""
        found = next(iter(self._config_maps.of(MIG_CONFIG_MAP)), None)
        if found is None:
            return MigConfigFile({})
        source = f"ConfigMap {NAMESPACE}/{MIG_CONFIG_MAP}, {_KEY}"
        return parse((found.data or {}).get(_KEY, ""), source=source)

    async def _pause_clients(self) -> None:
        """Or let them go on, also those that an agent left paused that is no more."""
        node = next(iter(self._gpu_nodes.of(self._node_name)), None)
        reasons = {gpu.reason for gpu in node.status.gpus} if node is not None else set()
        labels = gpu_clients.changes(self._labels(), reasons)
        if labels:
            await self._client.patch(NODES, self._node_name, {"metadata": {"labels": labels}})
            _log.info("other GPU clients", node=self._node_name, labels=labels)

    async def _let_go(self) -> None:
        """The wish goes with the label, and nothing else of the spec."""
        self._tell(Note())
        if self._followed or self._label(MIG_STATE):
            await self._write(None, None)
            await self._set_state(None)
            self._followed = False

    async def _write(self, name: str | None, spec: GPUNodeSpec | None) -> None:
        wish: dict[str, object] = {"metadata": {"name": self._node_name}}
        if spec is not None:
            wish = {"metadata": {"name": self._node_name, "annotations": {ORIGIN: name}}, "spec": spec}
        await self._client.apply(
            GPUNODES,
            wish,
            field_manager=FIELD_MANAGER,
            force=True,
            into=GPUNode,
        )

    async def _set_state(self, said: str | None) -> None:
        if (self._label(MIG_STATE) or None) != said:
            patch = {"metadata": {"labels": {MIG_STATE: said}}}
            await self._client.patch(NODES, self._node_name, patch)
            _log.info("MIG configuration", node=self._node_name, config=self._label(CONFIG), state=said)

    def _tell(self, problem: Note) -> None:
        if problem != self.problem:
            self.problem = problem
            self._changed()

    def _label(self, name: str) -> str:
        return self._labels().get(name, "")

    def _labels(self) -> Mapping[str, str]:
        node = next(iter(self._nodes.of(self._node_name)), None)
        return (node.metadata.labels or {}) if node is not None else {}

    def _annotation(self, name: str) -> str:
        node = next(iter(self._nodes.of(self._node_name)), None)
        return (node.metadata.annotations or {}).get(name, "") if node is not None else ""


def _users(node: GPUNode) -> Mapping[str, str]:
    """Who holds what, as the agent last reported."""
    holders = [(gpu.uuid, gpu.pods) for gpu in node.status.gpus]
    holders += [(one.uuid, one.pods) for gpu in node.status.gpus for one in gpu.instances]
    return {uuid: f"pod {', '.join(pods)}" for uuid, pods in holders if pods}
