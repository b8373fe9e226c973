"""What a cluster says of itself before anything is installed into it."""

import re
from dataclasses import dataclass

import msgspec

from aliquot.admission import cert_manager
from aliquot.admission.installation import served_version
from aliquot.installation.kinds import PODMONITORS
from aliquot.installation.labels import BY_HELM, MANAGED_BY, RUN_BY_UP
from aliquot.installation.rendering import Offers
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import DEPLOYMENTS, NAMESPACES
from aliquot.kube.roles import NAMESPACE

OLDEST, NEWEST = 31, 37
"""Minors of Kubernetes 1 that all parts are tried against."""


class Unsuitable(Exception):
    """One line: nothing has been changed."""


@dataclass(frozen=True, slots=True)
class Cluster:
    minor: int
    offers: Offers
    helm_release: str = ""
    """NAMESPACE/NAME of the release that the operator there is of."""


async def look(client: Client, *, any_version: bool = False) -> Cluster:
    """Raises ApiError, and Unsuitable for a version that nobody has tried."""
    return Cluster(
        await _minor(client, any_version=any_version),
        Offers(
            await served_version(client),
            await serves(client, PODMONITORS.api_version, PODMONITORS.plural),
            await cert_manager.is_served(client),
        ),
        await release(client),
    )


async def serves(client: Client, api_version: str, plural: str) -> bool:
    try:
        listed = msgspec.json.decode(await client.get_raw(f"/apis/{api_version}"))
    except errors.NotFound:
        return False
    return any(one["name"] == plural for one in listed["resources"])


async def _minor(client: Client, *, any_version: bool) -> int:
    said = msgspec.json.decode(await client.get_raw("/version"))
    major, minor = (re.sub(r"\D.*", "", str(said.get(name, ""))) for name in ("major", "minor"))
    if any_version:
        return int(minor or 0)
    if major != "1" or not minor or not OLDEST <= int(minor) <= NEWEST:
        version = said.get("gitVersion", f"{major}.{minor}")
        raise Unsuitable(
            f"the API server is Kubernetes {version}; this Aliquot is for 1.{OLDEST} to 1.{NEWEST}: take the Aliquot of "
            "its time, or give --any-version"
        )
    return int(minor)


async def release(client: Client) -> str:
    try:
        found = await client.get(DEPLOYMENTS, "aliquot-operator", NAMESPACE)
    except errors.NotFound:
        return ""
    metadata = found["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != BY_HELM:
        return ""
    said = metadata.get("annotations") or {}
    return f"{said.get('meta.helm.sh/release-namespace', '?')}/{said.get('meta.helm.sh/release-name', '?')}"


async def run_by_up(client: Client) -> str:
    """`agents` or `operator`: an `aliquot up` runs them, and no pods. Empty: there are none such."""
    try:
        found = await client.get(NAMESPACES, NAMESPACE)
    except errors.NotFound:
        return ""
    said: str = (found["metadata"].get("annotations") or {}).get(RUN_BY_UP, "")
    return said
