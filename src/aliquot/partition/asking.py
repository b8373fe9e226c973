"""Follows the pods, and tells a valuation of each slice that they ask for, once: so it knows the mix.

A pod asks from when it is first seen without a node and without gates. Whose scheduler places it does not matter: it takes
room like any other. A pod that has its node when it is first seen is not counted: of those, the ones that stay long are
more than they are among requests. So a process that starts counts anew, and places by the rule until it has seen enough.
"""

from collections.abc import Callable, Iterator

import structlog

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, geometry_of
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.partition.asked import MOST_OF_A_POD, asked_of, slice_for
from aliquot.partition.class_specs import ClassSpecs
from aliquot.partition.gpus import GpuFacts, gpus_of
from aliquot.partition.value import Valuation

_log = structlog.get_logger()


class Asking:
    """`changed` is called when another policy is in use."""

    def __init__(
        self,
        valuation: Valuation,
        *,
        pods: Cache[Pod],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._valuation = valuation
        self._pods = pods
        self._gpu_nodes = gpu_nodes
        self._classes = ClassSpecs(gpu_classes)
        self._changed = changed
        self._boards: dict[tuple[str, int | None, Geometry, int], GpuFacts] = {}
        """One GPU of each kind that was ever there."""
        self._counted: dict[str, str] = {}
        """Pods that wait, and have been told of: their uid by key."""

    def follow(self) -> Callable[[], None]:
        """Start to listen, boards and classes first; returns the function that stops it."""
        stops = (
            self._classes.follow(),
            self._gpu_nodes.subscribe(self._gpu_node_changed),
            self._pods.subscribe(self._pod_changed),
        )

        def stop() -> None:
            for one in stops:
                one()

        return stop

    def _gpu_node_changed(self, old: GPUNode | None, new: GPUNode | None) -> None:
        if new is None or (old is not None and _same_boards(old, new)):
            return
        for gpu in gpus_of(new, {}):
            if gpu.profiles:
                kind = gpu.board, gpu.memory_mib, geometry_of(gpu.profiles), gpu.mps_clients
                self._boards.setdefault(kind, gpu)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        either = new or old
        assert either is not None
        name = key(either)
        if new is None or new.spec.node_name or new.status.has_ended:
            self._counted.pop(name, None)
            return
        metadata = new.metadata
        asks = metadata.deletion_timestamp is None and not new.spec.scheduling_gates
        if not asks or self._counted.get(name) == metadata.uid:
            return
        self._counted[name] = metadata.uid
        changed = False
        for resource, count in sorted(asked_of(new).items()):
            for profiles, profile in self._slices(resource):
                for _ in range(min(count, MOST_OF_A_POD)):
                    if self._valuation.observe(profiles, profile):
                        policy = self._valuation.policy(profiles)
                        _log.info(
                            "slices are placed by", policy=policy.name, smallest=min(p.name for p in profiles)
                        )
                        changed = True
        if changed:
            self._changed()

    def _slices(self, resource: str) -> Iterator[tuple[tuple[InstanceProfile, ...], InstanceProfile]]:
        """What a request for it counts as, once for all boards that are cut alike."""
        told = set()
        for (_, _, geometry, _), board in self._boards.items():
            profile = slice_for(resource, self._classes.now, board)
            if profile is not None and geometry not in told:
                told.add(geometry)
                yield board.profiles, profile


def _same_boards(one: GPUNode, other: GPUNode) -> bool:
    return (
        (one.status.mig_strategy, one.status.mps) == (other.status.mig_strategy, other.status.mps)
        and one.status.mig_profiles == other.status.mig_profiles
        and [(gpu.board, gpu.health, gpu.reason) for gpu in one.status.gpus]
        == [(gpu.board, gpu.health, gpu.reason) for gpu in other.status.gpus]
    )
