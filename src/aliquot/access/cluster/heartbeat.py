"""That the broker is alive, as a Lease that it renews in each cluster, and by which the sentinel knows when it is not."""

from aliquot.access.cluster.naming import FIELD_MANAGER, HEARTBEAT, NAMESPACE
from aliquot.clock import parse_rfc3339, rfc3339_micro
from aliquot.kube import errors
from aliquot.kube.api.core import Lease
from aliquot.kube.client import Client
from aliquot.kube.resources import LEASES

EVERY_S = 15.0
OLD_S = 60.0
"""So old that somebody has to be told."""


async def beat(client: Client) -> None:
    """Raises ApiError."""
    spec = {
        "holderIdentity": FIELD_MANAGER,
        "leaseDurationSeconds": int(OLD_S),
        "renewTime": rfc3339_micro(client.clock.now()),
    }
    try:
        await client.patch(LEASES, HEARTBEAT, {"spec": spec}, NAMESPACE)
    except errors.NotFound:
        metadata = {"name": HEARTBEAT, "namespace": NAMESPACE}
        await client.create(LEASES, {"metadata": metadata, "spec": spec})


async def age_s(client: Client, now_s: float) -> float | None:
    """Since the last beat; None where there has been none that can be read. Raises ApiError."""
    try:
        lease = await client.get(LEASES, HEARTBEAT, NAMESPACE, into=Lease)
        return now_s - parse_rfc3339(lease.spec.renew_time or "")
    except (errors.NotFound, ValueError):
        return None
