"""Brings GPUNode.spec in line with what pods hold and are to get. One node at a time, from the whole of the present.

A write names the revision that it was decided on: who came between is looked at first. What the agent then does with it,
and whether it can, is in GPUNode.status; nothing is waited for here.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import CLASS_PREFIX, GPUClass
from aliquot.kube.api.gpunode import GPUNode, GPUStatus, Partitioning, WantedGPU
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import GPUNODES
from aliquot.partition.class_specs import ClassSpecs
from aliquot.partition.controller.claims import Claim, Claims, open_claims
from aliquot.partition.controller.idle import IdleSince, Place
from aliquot.partition.controller.others import OtherSchedulers
from aliquot.partition.controller.wishes import Wish, wish
from aliquot.partition.controller.wording import change_in_words
from aliquot.partition.gpus import gpus_of, partitioning_of
from aliquot.partition.outdated import outdated
from aliquot.partition.value import BY_RULE, Valuation

_log = structlog.get_logger()

FIELD_MANAGER = "aliquot-partitioner"
_MODE_MANAGER = "aliquot-partitioner-mode"
"""Of `partitioning`, where nobody has said it: a manager of its own, so that it stays when GPUs come and go."""
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class _Decided:
    wishes: Mapping[str, Wish]
    """By GPU UUID."""
    claims: Sequence[Claim]


class Loop:
    """`mode` is for nodes that say none of their own; `idle_s`: how long nobody has to need a device before it is given
    back. `placed_elsewhere`: schedulers that write assignments. `may_write` is asked right before each write: leadership,
    where there is an election."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        pods: Cache[Pod],
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        claims: Claims,
        placed_elsewhere: Collection[str],
        recorder: Recorder,
        mode: Partitioning,
        idle_s: float,
        valuation: Valuation = BY_RULE,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._recorder = recorder
        self._mode = mode
        self._idle_s = idle_s
        self._may_write = may_write
        self._idle: dict[str, IdleSince] = {}
        self._classes = ClassSpecs(gpu_classes)
        self._controller = Controller("partitioner", self._reconcile, rng=rng, workers=_WORKERS)
        self._claims = claims
        self._others = OtherSchedulers(
            pods=pods,
            nodes=nodes,
            gpu_nodes=gpu_nodes,
            gpu_classes=gpu_classes,
            claims=claims,
            placed_elsewhere=placed_elsewhere,
            changed=self._controller.enqueue,
            valuation=valuation,
        )

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and the claims are followed. May be run again: what was seen before counts for
        nothing then."""
        self._idle.clear()
        stops = [
            self._claims.subscribe(self._controller.enqueue),
            self._controller.watch(self._gpu_nodes),
            self._controller.watch(self._nodes),
            self._classes.follow(self._classes_changed),
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._others.run(), name="other schedulers")
                tasks.create_task(self._controller.run(), name="partitioner")
        finally:
            for stop in stops:
                stop()

    def _classes_changed(self) -> None:
        for gpu_node in self._gpu_nodes.values():
            self._controller.enqueue(gpu_node.metadata.name)

    async def _reconcile(self, name: str) -> float | None:
        gpu_node, node = self._gpu_nodes.get(name), self._nodes.get(name)
        if gpu_node is None or node is None:
            self._idle.pop(name, None)
            return None
        if not self._may_write():
            return None
        labels = node.metadata.labels or {}
        if gpu_node.spec.partitioning is None and self._mode is not Partitioning.STATIC:
            await self._say_mode(gpu_node)
            return None
        now = self._clock.now()
        decided = self._decide(gpu_node, labels, now)
        if entries := self._to_write(gpu_node, labels, decided):
            written = await self._write(gpu_node, entries, decided)
            if partitioning_of(gpu_node, labels) is not Partitioning.STATIC:
                await self._overrule(written, entries)
        return self._idle[name].next_in_s(self._idle_s, now)

    def _decide(self, gpu_node: GPUNode, labels: Mapping[str, str], now: float) -> _Decided:
        name = gpu_node.metadata.name
        claims = [*open_claims(self._claims.on(name), gpu_node.status), *self._others.on(name)]
        idle = self._idle.setdefault(gpu_node.metadata.name, IdleSince())
        idle.look(_free(gpu_node, claims), now)
        long_idle = idle.longer_than(self._idle_s, now)
        before = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus}
        statuses = {gpu.uuid: gpu for gpu in gpu_node.status.gpus}
        wishes: dict[str, Wish] = {}
        for facts in gpus_of(gpu_node, labels):
            found = wish(
                statuses[facts.uuid],
                facts,
                before.get(facts.uuid),
                [claim.device for claim in claims if claim.device.gpu == facts.uuid],
                {start for uuid, start in long_idle if uuid == facts.uuid},
                outdated(statuses[facts.uuid], facts, self._classes.now),
            )
            if found is not None:
                wishes[facts.uuid] = found
        return _Decided(wishes, claims)

    def _to_write(
        self, gpu_node: GPUNode, labels: Mapping[str, str], decided: _Decided
    ) -> Sequence[WantedGPU]:
        """All entries that are ours, where any of them is not as it is to be; of GPUs that cannot be judged now, as they
        are."""
        static = partitioning_of(gpu_node, labels) is Partitioning.STATIC
        before = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus}
        wanted = {uuid: found.gpu for uuid, found in decided.wishes.items()}
        if static:
            changed = any(not _same_names(gpu, before.get(uuid)) for uuid, gpu in wanted.items())
            return list(wanted.values()) if changed else ()
        if all(before.get(uuid) == gpu for uuid, gpu in wanted.items()):
            return ()
        return [wanted.get(uuid, before[uuid]) for uuid in before] + [
            gpu for uuid, gpu in wanted.items() if uuid not in before
        ]

    async def _write(self, gpu_node: GPUNode, entries: Sequence[WantedGPU], decided: _Decided) -> GPUNode:
        body = _body(gpu_node, {"gpus": msgspec.to_builtins(entries)})
        written = await self._client.apply(
            GPUNODES, body, field_manager=FIELD_MANAGER, force=True, into=GPUNode
        )
        before = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus}
        statuses = {gpu.uuid: gpu for gpu in gpu_node.status.gpus}
        for entry in entries:
            status = statuses.get(entry.uuid)
            if status is None or before.get(entry.uuid) == entry:
                continue
            claims = [claim for claim in decided.claims if claim.device.gpu == entry.uuid and not claim.bound]
            self._tell(gpu_node, status, entry, claims)
        return written

    async def _overrule(self, written: GPUNode, entries: Sequence[WantedGPU]) -> None:
        """An apply takes away nothing that others have written besides, and the agent would be asked for both."""
        wanted = {entry.uuid: _in_order(entry) for entry in entries}
        others = [gpu for gpu in written.spec.gpus if wanted.get(gpu.uuid) != _in_order(gpu)]
        if not others:
            return
        body = _body(written, {"gpus": msgspec.to_builtins(entries)})
        await self._client.patch(GPUNODES, written.metadata.name, body, kind=PatchKind.MERGE)
        indexes = {gpu.uuid: gpu.index for gpu in written.status.gpus}
        named = ", ".join(sorted(str(indexes.get(gpu.uuid, gpu.uuid)) for gpu in others))
        message = (
            f"GPU {named}: what else was written into the spec is gone; this node is cut as pods need it: "
            "set spec.partitioning to static to say it yourself"
        )
        _log.warning("overruled", node=written.metadata.name, gpus=named)
        self._recorder.event(GPUNODES, written, Severity.WARNING, "Overruled", message)

    def _tell(self, gpu_node: GPUNode, status: GPUStatus, entry: WantedGPU, claims: Sequence[Claim]) -> None:
        message = change_in_words(status, entry, claims)
        if message:
            _log.info("wanted", node=gpu_node.metadata.name, change=message)
            self._recorder.event(GPUNODES, gpu_node, Severity.NORMAL, "Partitioning", message)

    async def _say_mode(self, gpu_node: GPUNode) -> None:
        body = _body(gpu_node, {"partitioning": self._mode.value})
        try:
            await self._client.apply(GPUNODES, body, field_manager=_MODE_MANAGER)
        except errors.Conflict:
            _log.debug("somebody says it by now", node=gpu_node.metadata.name)


def _body(gpu_node: GPUNode, spec: dict[str, Any]) -> dict[str, Any]:
    """Refused when the object moved on, or is another one of that name."""
    metadata = gpu_node.metadata
    return {
        "apiVersion": gpu_node.api_version,
        "kind": gpu_node.kind,
        "metadata": {
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "spec": spec,
    }


def _in_order(gpu: WantedGPU) -> WantedGPU:
    instances = None if gpu.instances is None else sorted(gpu.instances, key=lambda one: one.start)
    names = sorted(gpu.slice_classes, key=lambda one: one.start)
    return msgspec.structs.replace(gpu, instances=instances, slice_classes=names)


def _same_names(wanted: WantedGPU, before: WantedGPU | None) -> bool:
    if before is None:
        return not wanted.class_name and not wanted.slice_classes
    return (before.class_name, before.slice_classes) == (wanted.class_name, wanted.slice_classes)


def _free(gpu_node: GPUNode, claims: Sequence[Claim]) -> list[Place]:
    """What nobody holds and nobody is to get: slices, and GPUs that are offered as one of a class."""
    claimed = {(claim.device.gpu, claim.device.start) for claim in claims}
    # Also one that could not be offered so, and so is offered to nobody.
    named = {gpu.uuid for gpu in gpu_node.spec.gpus if gpu.class_name}
    found: list[Place] = []
    for gpu in gpu_node.status.gpus:
        of_class = gpu.resource.startswith(CLASS_PREFIX) or gpu.uuid in named
        if of_class and not gpu.pods and (gpu.uuid, None) not in claimed:
            found.append((gpu.uuid, None))
        held = {instance.start for instance in gpu.instances if instance.pods}
        found += [
            (gpu.uuid, instance.start)
            for instance in gpu.instances
            if instance.start not in held and (gpu.uuid, instance.start) not in claimed
        ]
    return found
