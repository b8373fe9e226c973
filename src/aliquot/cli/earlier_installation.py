"""What an uninstall had begun when the cluster was stopped: brought to its end, before anything of ours is there anew."""

import asyncio

import structlog

from aliquot.kube import crds, errors
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, NAMESPACES, PODS
from aliquot.kube.roles import NAMESPACE

_LOOK_S = 0.2
_TOLD_AFTER_S = 5.0
_OURS = frozenset(one["metadata"]["name"] for one in crds.ALL)

_log = structlog.get_logger(__name__)


async def wait_until_gone(client: Client) -> None:
    """Until neither our namespace nor a definition of our kinds is about to be deleted: nothing can be made in either. The
    controllers run, and no kubelet does. Raises ApiError."""
    loop = asyncio.get_running_loop()
    tell_at_s = loop.time() + _TOLD_AFTER_S
    while going := await _going(client):
        await _forget_pods(client)
        if loop.time() >= tell_at_s:
            # Who keeps it can be mended: the API is there.
            _log.warning(
                "waiting for what is being deleted; see the finalizers of what is in it",
                what=", ".join(going),
            )
            tell_at_s = float("inf")
        await asyncio.sleep(_LOOK_S)


async def _going(client: Client) -> list[str]:
    found = []
    try:
        namespace = await client.get(NAMESPACES, NAMESPACE)
        if namespace["metadata"].get("deletionTimestamp"):
            found.append(f"Namespace {NAMESPACE}")
    except errors.NotFound:
        pass
    for definition in (await client.list(CRDS)).items:
        name, metadata = definition["metadata"]["name"], definition["metadata"]
        if name in _OURS and metadata.get("deletionTimestamp"):
            found.append(f"CustomResourceDefinition {name}")
    return found


async def _forget_pods(client: Client) -> None:
    """Whose kubelet would end them: its containers end when it finds no pod for them."""
    for pod in (await client.list(PODS, NAMESPACE)).items:
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            try:
                await client.delete(PODS, metadata["name"], NAMESPACE, grace_period_s=0, uid=metadata["uid"])
            except errors.NotFound:
                continue
