"""Aliquot into a cluster that was just made: what `aliquot install` applies, through a client that is passed in."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aliquot.kube.client import Client

_TIMEOUT_S = 600.0
"""Nodes have to pull its image first."""


class NotInstalled(Exception):
    """One line: why."""


async def install(client: "Client", tell: Callable[[str], None], *, timeout_s: float = _TIMEOUT_S) -> None:
    """Raises NotInstalled. Safe to repeat."""
    from aliquot.installation import applying, cluster, going, rendering, waiting
    from aliquot.installation.values import Values
    from aliquot.kube.crds import NotEstablished
    from aliquot.kube.errors import ApiError

    try:
        found = await cluster.look(client)
        if found.helm_release:
            tell(f"Aliquot is there by Helm's release {found.helm_release}")
            return
        async for line in going.gone(client, timeout_s):
            tell(line)
        objects = rendering.objects(Values(), found.offers)
        async for change in applying.apply(client, objects, policy=None, dry_run=False):
            if change.what != "unchanged":
                tell(str(change))
        async for line in waiting.ready(client, objects, timeout_s):
            tell(line)
    except (ApiError, cluster.Unsuitable, going.StillThere, waiting.NotReady, NotEstablished) as error:
        raise NotInstalled(str(error)) from None
