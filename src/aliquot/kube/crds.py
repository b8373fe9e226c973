"""Aliquot's own kinds, as the API server is told of them."""

import asyncio
import sys
from typing import Any

from aliquot.kube.api.core import CustomResourceDefinition
from aliquot.kube.api.gpuclass import CLASS_PREFIX, LONGEST_NAME, GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.gpupolicy import LONGEST_NAME as LONGEST_POLICY_NAME
from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.kube.api.podgroup import PodGroup, Topology
from aliquot.kube.api.queue import LONGEST_NAME as LONGEST_QUEUE_NAME
from aliquot.kube.api.queue import QUEUE_LABEL, Queue
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS
from aliquot.kube.schema import PrinterColumn, crd

FIELD_MANAGER = "aliquot-install"

GPUNODE_CRD = crd(
    GPUNode,
    "gpunodes",
    short_names=["gn"],
    categories=["aliquot"],
    printer_columns=[
        # A JSONPath column prints its first match only; nodes with unlike boards are rare.
        PrinterColumn("Product", ".status.gpus[0].product", description="Of the first GPU."),
        PrinterColumn("Driver", ".status.driverVersion"),
        PrinterColumn(
            "MIG", ".status.migStrategy", description="How MIG devices are named: none, single, mixed."
        ),
        PrinterColumn("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn("Healthy", '.status.conditions[?(@.type=="GPUsHealthy")].status'),
        PrinterColumn(
            "Validated",
            '.status.conditions[?(@.type=="Validated")].status',
            description="Its node software is there, and was tried.",
        ),
        PrinterColumn("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        PrinterColumn("CUDA", ".status.cudaVersion", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
)

GPUCLASS_CRD = crd(
    GPUClass,
    "gpuclasses",
    short_names=["gc"],
    categories=["aliquot"],
    printer_columns=[
        PrinterColumn("Memory", ".spec.memory"),
        PrinterColumn("Compute", ".spec.computePercent", type="integer", description="Percent of a GPU."),
        PrinterColumn("Isolation", ".spec.isolation"),
        PrinterColumn("In use", ".status.inUse", type="integer"),
        PrinterColumn("Available", ".status.available", type="integer"),
        PrinterColumn("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
    rules={
        f"self.metadata.name.size() <= {LONGEST_NAME}": f"the name is too long: with {CLASS_PREFIX} before it, it is one "
        f"of a resource, which leaves {LONGEST_NAME} characters"
    },
)

PODGROUP_CRD = crd(
    PodGroup,
    "podgroups",
    short_names=["apg"],
    categories=["aliquot"],
    namespaced=True,
    printer_columns=[
        PrinterColumn("Phase", ".status.phase"),
        PrinterColumn("Queue", ".spec.queue"),
        PrinterColumn("Min", ".spec.minMember", type="integer", description="Pods that it needs at least."),
        PrinterColumn("Scheduled", ".status.pods.scheduled", type="integer"),
        PrinterColumn("Reason", ".status.waiting.reason", description="Why it waits."),
        # A column of type date shows a time to come as invalid.
        PrinterColumn("Predicted start", ".status.predictedStart"),
        PrinterColumn("Running", ".status.pods.running", type="integer", priority=1),
        PrinterColumn("Pending", ".status.pods.pending", type="integer", priority=1),
        PrinterColumn("Priority class", ".spec.priorityClassName", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
)

TOPOLOGY_CRD = crd(
    Topology,
    "topologies",
    singular="topology",
    status=False,
    categories=["aliquot"],
    printer_columns=[
        PrinterColumn("Coarsest", ".spec.levels[0].nodeLabel"),
        PrinterColumn("Next", ".spec.levels[1].nodeLabel"),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
)

QUEUE_CRD = crd(
    Queue,
    "queues",
    short_names=["aq"],
    categories=["aliquot"],
    printer_columns=[
        PrinterColumn("Parent", ".spec.parent"),
        PrinterColumn("Quota", ".spec.resources.gpu.quota", description="GPUs."),
        PrinterColumn("Limit", ".spec.resources.gpu.limit", description="GPUs."),
        PrinterColumn("Allocated", ".status.allocated.gpu", description="GPUs."),
        PrinterColumn("Share", ".status.fairShare.gpu", description="GPUs that it is due as things are."),
        PrinterColumn("Pending", ".status.pendingJobs", type="integer", description="Jobs that wait."),
        PrinterColumn("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn("Priority", ".spec.priority", type="integer", priority=1),
        PrinterColumn("CPU", ".status.allocated.cpu", priority=1),
        PrinterColumn("Memory", ".status.allocated.memory", priority=1),
        PrinterColumn(
            "Usage",
            ".status.usage.average.gpu",
            priority=1,
            description="GPUs that it had of late, on average.",
        ),
        PrinterColumn("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
    rules={
        f"self.metadata.name.size() <= {LONGEST_QUEUE_NAME}": "the name is too long: it is the value of the label "
        f"{QUEUE_LABEL}, which has {LONGEST_QUEUE_NAME} characters at most",
        "!has(self.spec) || !has(self.spec.parent) || self.spec.parent != self.metadata.name": "spec.parent is the queue "
        "itself: name another one, or none",
    },
)

GPUPOLICY_CRD = crd(
    GPUPolicy,
    "gpupolicies",
    singular="gpupolicy",
    short_names=["gp"],
    categories=["aliquot"],
    printer_columns=[
        PrinterColumn(
            "Nodes", ".status.nodes.total", type="integer", description="Nodes with GPUs that it is for."
        ),
        PrinterColumn("Ready", ".status.nodes.ready", type="integer", description="Of them, validated."),
        PrinterColumn("Failed", ".status.nodes.failed", type="integer"),
        PrinterColumn("Upgrading", ".status.nodes.upgrading", type="integer"),
        PrinterColumn("State", '.status.conditions[?(@.type=="Ready")].reason'),
        PrinterColumn("Degraded", '.status.conditions[?(@.type=="Degraded")].status'),
        PrinterColumn("Message", '.status.conditions[?(@.type=="Progressing")].message', priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", type="date"),
    ],
    rules={
        f"self.metadata.name.size() <= {LONGEST_POLICY_NAME}": "the name is too long: it is part of the names of what is "
        f"made of it, which leaves {LONGEST_POLICY_NAME} characters",
        "!self.metadata.name.contains('.')": "the name has a dot: it is part of names that may have none",
    },
)

ALL: tuple[dict[str, Any], ...] = (
    GPUNODE_CRD,
    GPUCLASS_CRD,
    PODGROUP_CRD,
    TOPOLOGY_CRD,
    QUEUE_CRD,
    GPUPOLICY_CRD,
)


class NotEstablished(Exception):
    """The API server took a definition and does not serve it."""


async def install(client: Client, *, timeout_s: float = 30.0) -> None:
    """Apply every definition and wait until each is served. Safe to repeat; takes over fields others have changed.

    Raises ApiError, or NotEstablished with the server's reason after `timeout_s`.
    """
    for definition in ALL:
        await client.apply(CRDS, definition, field_manager=FIELD_MANAGER, force=True)
    reason = ""
    try:
        async with asyncio.timeout(timeout_s):
            for definition in ALL:
                while True:
                    name = definition["metadata"]["name"]
                    reason = _not_served(await client.get(CRDS, name, into=CustomResourceDefinition))
                    if not reason:
                        break
                    await asyncio.sleep(0.1)
    except TimeoutError:
        raise NotEstablished(f"{reason} (after {timeout_s:g} s)") from None


def _not_served(definition: CustomResourceDefinition) -> str:
    """Why it is not served yet; empty when it is."""
    conditions = {condition.type: condition for condition in definition.status.conditions or ()}
    name = definition.metadata.name
    accepted, established = conditions.get("NamesAccepted"), conditions.get("Established")
    if accepted is not None and accepted.status == "False":
        return f"{name}: {accepted.reason}: {accepted.message}"
    if established is None or established.status != "True":
        return f"{name}: not established"
    return ""


def manifests() -> str:
    """Every definition as YAML, for `kubectl apply`: what `deploy/crds.yaml` holds."""
    import yaml

    return yaml.safe_dump_all(ALL, sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(manifests())
