"""How a node is emptied: which pods are asked to go, and when nobody is left that could."""

from collections.abc import Iterable

import structlog

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS

_MIRROR = "kubernetes.io/config.mirror"
_log = structlog.get_logger(__name__)


def in_the_way(pods: Iterable[Pod]) -> list[Pod]:
    """Of the pods of a node those that have to go: not DaemonSets', which come back at once, and not what has ended."""
    return [pod for pod in pods if not is_a_daemon(pod) and not pod.status.has_ended]


async def evict(client: Client, pods: Iterable[Pod], *, force: bool) -> None:
    """Once; who is held by a budget is asked again at the next time. By force: deleted, whatever budgets say."""
    for pod in pods:
        if pod.metadata.deletion_timestamp is not None:
            continue
        name, namespace, uid = pod.metadata.name, pod.metadata.namespace, pod.metadata.uid
        try:
            if force:
                await client.delete(PODS, name, namespace, uid=uid)
            else:
                await client.evict(namespace, name, uid=uid)
        except (errors.NotFound, errors.Conflict, errors.TooManyRequests):
            continue
        except errors.ApiError as error:
            _log.warning("pod not evicted", pod=f"{namespace}/{name}", error=error.message)


async def remove(client: Client, pods: Iterable[Pod]) -> None:
    """Their node is gone. Raises ApiError."""
    for pod in pods:
        try:
            await client.delete(
                PODS, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid, grace_period_s=0
            )
        except (errors.NotFound, errors.Conflict):
            continue


def is_a_daemon(pod: Pod) -> bool:
    """Of a DaemonSet, or of the kubelet itself: it is there because the node is."""
    owners = pod.metadata.owner_references or ()
    return any(owner.controller and owner.kind == "DaemonSet" for owner in owners) or _MIRROR in (
        pod.metadata.annotations or {}
    )
