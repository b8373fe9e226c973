"""Tells every change of health once: in the log, as a count, and as an Event on the Node."""

from collections.abc import Iterable

import structlog

from aliquot.kube.api.core import Node
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import NODES
from aliquot.node.feed import Feed
from aliquot.node.health.ailment import Change
from aliquot.node.inventory import Snapshot
from aliquot.node.metrics.counts import RECOVERED, Counts

_log = structlog.get_logger()


class Announcer:
    def __init__(self, node_name: str, *, nodes: Feed[Node], recorder: Recorder, counts: Counts) -> None:
        self._node_name = node_name
        self._nodes = nodes
        self._recorder = recorder
        self._counts = counts

    def tell(self, changes: Iterable[Change], snapshot: Snapshot) -> None:
        for change in changes:
            ailment, device = change.ailment, named(change, snapshot)
            if change.recovered:
                reason, severity = RECOVERED, Severity.NORMAL
                message = f"{device}: healthy and handed out again; it was {ailment.reason}"
            else:
                reason, severity = ailment.reason, Severity.WARNING
                message = f"{device}: {ailment.message}; {ailment.outlook}"
            self._counts.health_changed(reason)
            (_log.info if change.recovered else _log.warning)(
                "device recovered" if change.recovered else "device unhealthy",
                gpu=change.gpu_uuid,
                device=change.device_id,
                reason=ailment.reason,
                message=ailment.message,
            )
            self._recorder.event(NODES, self._node(), severity, reason, message)

    def _node(self) -> Node:
        """Before the Node is known its name must do, as in kubelet's own events."""
        known = next(iter(self._nodes.of(self._node_name)), None)
        return known or Node(metadata=ObjectMeta(name=self._node_name, uid=self._node_name))


def named(change: Change, snapshot: Snapshot) -> str:
    """`GPU 0 (GPU-...)`, `1g.10gb at slot 4 of GPU 0 (MIG-...)`."""
    observed = snapshot.by_uuid.get(change.gpu_uuid)
    if observed is None:
        return change.device_id
    gpu = f"GPU {observed.gpu.index}"
    for instance, compute in observed.mig_devices():
        if compute.uuid == change.device_id:
            return f"{compute.name} at slot {instance.placement.start} of {gpu} ({compute.uuid})"
    return f"{gpu} ({change.device_id})"
