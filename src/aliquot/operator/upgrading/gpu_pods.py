"""Pods of users, as the upgrade of a node's driver sees them."""

from collections.abc import Callable, Mapping

from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, REQUESTED, read
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.resources import key
from aliquot.operator.core.upgrade.node import GPUPod

_GPU_PREFIXES = ("nvidia.com/gpu", "nvidia.com/mig-", CLASS_PREFIX)
_MIRROR = "kubernetes.io/config.mirror"
SKIP_DRAIN = "nvidia.com/gpu-driver-upgrade-drain.skip"
"""A label of pods, NVIDIA's: `true` leaves it where it is when its node is drained."""
_GROUPS = (
    "aliquot.dev/pod-group",
    "scheduling.x-k8s.io/pod-group",
    "scheduling.k8s.io/group-name",
    "scheduling.volcano.sh/group-name",
    "pod-group-name",
    "kueue.x-k8s.io/pod-group-name",
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/group-key",
    "training.kubeflow.org/job-name",
    "ray.io/cluster",
)
"""Labels, or annotations, that name what a pod belongs to: Aliquot's, and those of others that run jobs on many nodes."""
_STANDING = frozenset({"ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Node"})
"""Controllers whose pods are each of use by themselves, and do not end."""


def holds_gpus(pod: Pod) -> bool:
    """It has asked for some, and not ended. One of a DaemonSet is left out: it would be back at once, whatever is done."""
    if pod.status.has_ended or is_mirror(pod) or is_daemon(pod):
        return False
    containers = (
        *pod.spec.containers,
        *(pod.spec.init_containers or ()),
        *(pod.spec.ephemeral_containers or ()),
    )
    return any(
        name.startswith(_GPU_PREFIXES)
        for container in containers
        for name in (container.resources.limits or container.resources.requests or ())
    )


def is_drained(pod: Pod) -> bool:
    """With the whole node."""
    if pod.status.has_ended or is_mirror(pod) or is_daemon(pod):
        return False
    return (pod.metadata.labels or {}).get(SKIP_DRAIN) != "true"


def is_mirror(pod: Pod) -> bool:
    return _MIRROR in (pod.metadata.annotations or {})


def is_daemon(pod: Pod) -> bool:
    owner = controller_of(pod)
    return owner is not None and owner.kind == "DaemonSet"


def controller_of(pod: Pod) -> OwnerReference | None:
    return next((one for one in pod.metadata.owner_references or () if one.controller), None)


def gang_of(pod: Pod) -> str:
    """Empty: it is of use by itself."""
    metadata, namespace = pod.metadata, pod.metadata.namespace
    for name in _GROUPS:
        if found := (metadata.labels or {}).get(name) or (metadata.annotations or {}).get(name):
            return f"{namespace}/{name}/{found}"
    if pod.spec.scheduling_group is not None and pod.spec.scheduling_group.pod_group_name:
        return f"{namespace}/{pod.spec.scheduling_group.pod_group_name}"
    owner = controller_of(pod)
    return f"{namespace}/{owner.uid}" if owner is not None and owner.kind not in _STANDING else ""


def seen(
    pod: Pod,
    is_waited_for: Callable[[Pod], bool] = lambda _: False,
    refusals: Mapping[str, str] | None = None,
) -> GPUPod:
    """`refusals`: why its eviction was refused last, by the pods' UIDs."""
    annotations = pod.metadata.annotations or {}
    return GPUPod(
        key(pod),
        gang=gang_of(pod),
        is_waited_for=is_waited_for(pod),
        comes_back=controller_of(pod) is not None,
        # What is kept in memory is no store: frameworks pass messages through it.
        has_empty_dir=any(
            volume.empty_dir is not None and volume.empty_dir.medium != "Memory"
            for volume in pod.spec.volumes or ()
        ),
        is_going=pod.metadata.deletion_timestamp is not None,
        can_checkpoint=annotations.get(ON_REQUEST) == "true",
        checkpoint_asked_s=_seconds(annotations.get(REQUESTED, "")),
        last_checkpoint_s=_seconds(annotations.get(LAST, "")),
        refusal=(refusals or {}).get(pod.metadata.uid, ""),
    )


def _seconds(text: str) -> float | None:
    try:
        return read(text) if text else None
    except ValueError:
        return None
