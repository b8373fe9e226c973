"""What an uninstall had begun when the cluster was stopped: brought to its end, before anything of ours is there anew."""

import asyncio

import structlog

from aliquot.installation.going import going
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS
from aliquot.kube.roles import NAMESPACE

_LOOK_S = 0.2
_TOLD_AFTER_S = 5.0

_log = structlog.get_logger(__name__)


async def wait_until_gone(client: Client) -> None:
    """Until neither our namespace nor a definition of our kinds is about to be deleted: nothing can be made in either. The
    controllers run, and no kubelet does. Raises ApiError."""
    loop = asyncio.get_running_loop()
    tell_at_s = loop.time() + _TOLD_AFTER_S
    while found := await going(client):
        await _forget_pods(client)
        if loop.time() >= tell_at_s:
            # Who keeps it can be mended: the API is there.
            _log.warning(
                "waiting for what is being deleted; see the finalizers of what is in it",
                what=", ".join(found),
            )
            tell_at_s = float("inf")
        await asyncio.sleep(_LOOK_S)


async def _forget_pods(client: Client) -> None:
    """Whose kubelet would end them: its containers end when it finds no pod for them."""
    for pod in (await client.list(PODS, NAMESPACE)).items:
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            try:
                await client.delete(PODS, metadata["name"], NAMESPACE, grace_period_s=0, uid=metadata["uid"])
            except errors.NotFound:
                continue
