"""status.nominatedNodeName of pods that wait for their place to be ready. It is for autoscalers, which then buy nothing for them:
nothing here goes by it. The reporter takes it back from a pod that is told why it waits."""

import structlog

from aliquot.kube import errors
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.resources import PODS, split_key
from aliquot.scheduler.core.pod import PodRequest

_log = structlog.get_logger()


async def nominate(client: Client, pod: PodRequest, node: str) -> None:
    """That it could not be written is no matter."""
    namespace, name = split_key(pod.key)
    body: dict[str, object] = {"metadata": {"uid": pod.uid}, "status": {"nominatedNodeName": node}}
    try:
        await client.patch(PODS, name, body, namespace, kind=PatchKind.MERGE, subresource="status")
    except errors.ApiError as error:
        _log.debug("not nominated", pod=pod.key, error=error.message)
