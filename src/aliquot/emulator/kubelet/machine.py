"""What an emulated node is: its name, its labels, its size. Pure data, and the Node object made of it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import rfc3339
from aliquot.kube import quantity

JsonObject = dict[str, Any]

_NAMESPACE = uuid.UUID("b8e1f0a2-6c1e-5d0b-9a53-2f6f0d3c7a11")
"""Machine and system ids are derived from the node's name, so that they stay the same over restarts."""
_EVICTION_MEMORY = 100 * 1024**2
"""Held back from allocatable, as kubelet's default eviction threshold is."""
_EVICTION_DISK = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    """Given to a node when it is first registered."""
    address: str = "127.0.0.1"
    pod_cidr: str = "10.244.0.0/24"
    cpu: str = "128"
    memory: str = "1Ti"
    ephemeral_storage: str = "1Ti"
    pods: int = 110
    os: str = "linux"
    arch: str = "amd64"
    version: str = "v1.36.2"
    """kubelet's."""
    kernel_version: str = "6.1.0-emulated"
    os_image: str = "Aliquot emulated node"
    container_runtime: str = ""
    """`name://version` that the Node shows, where that is another's than the runtime that runs its pods."""

    def all_labels(self) -> dict[str, str]:
        """The given ones, and those that kubelet sets itself."""
        return {
            **self.labels,
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/arch": self.arch,
            "kubernetes.io/os": self.os,
        }

    def capacity(self) -> dict[str, str]:
        return {
            "cpu": self.cpu,
            "ephemeral-storage": self.ephemeral_storage,
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": self.memory,
            "pods": str(self.pods),
        }

    def allocatable(self) -> dict[str, str]:
        memory = max(0, quantity.whole(self.memory) - _EVICTION_MEMORY)
        disk = quantity.whole(self.ephemeral_storage)
        return self.capacity() | {
            "memory": quantity.format_like(memory, self.memory),
            "ephemeral-storage": str(disk - int(disk * _EVICTION_DISK)),
        }

    def addresses(self) -> list[JsonObject]:
        return [
            {"type": "InternalIP", "address": self.address},
            {"type": "Hostname", "address": self.name},
        ]

    def node_info(self, runtime: str, boot_id: str) -> JsonObject:
        """`runtime`: `name://version`."""
        return {
            "architecture": self.arch,
            "bootID": boot_id,
            "containerRuntimeVersion": self.container_runtime or runtime,
            "kernelVersion": self.kernel_version,
            "kubeProxyVersion": self.version,
            "kubeletVersion": self.version,
            "machineID": uuid.uuid5(_NAMESPACE, f"machine/{self.name}").hex,
            "operatingSystem": self.os,
            "osImage": self.os_image,
            "systemUUID": str(uuid.uuid5(_NAMESPACE, f"system/{self.name}")),
        }


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    reason: str = "KubeletReady"
    message: str = "kubelet is posting ready status"


_PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


def conditions(
    readiness: Readiness, previous: Mapping[str, Mapping[str, Any]], now: float
) -> list[JsonObject]:
    """`previous` by type; a condition that keeps its status keeps its transition time."""
    wanted = [(kind, "False", reason, message) for kind, reason, message in _PRESSURES]
    wanted.append(("Ready", "True" if readiness.ready else "False", readiness.reason, readiness.message))
    made = []
    for kind, status, reason, message in wanted:
        before = previous.get(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        made.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": rfc3339(now),
                "lastTransitionTime": since or rfc3339(now),
            }
        )
    return made


def status(
    machine: Machine,
    *,
    runtime: str,
    boot_id: str,
    device_capacity: Mapping[str, int],
    device_allocatable: Mapping[str, int],
    node_conditions: list[JsonObject],
) -> JsonObject:
    """node.status, as a strategic merge: what others added to capacity stays."""
    return {
        "addresses": machine.addresses(),
        "capacity": machine.capacity() | {name: str(count) for name, count in device_capacity.items()},
        "allocatable": machine.allocatable()
        | {name: str(count) for name, count in device_allocatable.items()},
        "conditions": node_conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": machine.node_info(runtime, boot_id),
    }


def node_object(machine: Machine, node_status: JsonObject) -> JsonObject:
    """To register with."""
    spec: JsonObject = {"podCIDR": machine.pod_cidr, "podCIDRs": [machine.pod_cidr]}
    if machine.taints:
        spec["taints"] = [dict(taint) for taint in machine.taints]
    metadata: JsonObject = {"name": machine.name, "labels": machine.all_labels()}
    if machine.annotations:
        metadata["annotations"] = dict(machine.annotations)
    return {"metadata": metadata, "spec": spec, "status": node_status}
