"""What is wrong with an API server, as whoever asks it finds out; and what of it is new."""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError, Forbidden, NotFound, Unauthorized
from aliquot.kube.resources import APISERVICES, CONFIGMAPS, DEPLOYMENTS, NODES

_PROBE = {"metadata": {"name": "aliquot-upgrade-probe", "namespace": "default"}}


class Trouble(Struct, frozen=True):
    of: str
    why: str
    """Its words may be others at each look."""

    def __str__(self) -> str:
        return f"{self.of}: {self.why}"


async def troubles(kube: Client) -> tuple[Trouble, ...]:
    """Health, every API group, aggregated APIs, names, and whether something can be made. Raises ApiError where it answers nothing."""
    paths = ["/livez", "/readyz", *await _groups(kube)]
    found = [trouble for path in paths if (trouble := await _at(kube, path)) is not None]
    found += await _unavailable(kube)
    found += await _dns(kube)
    # Through admission, and nothing is made: webhooks that fail closed are heard of here.
    try:
        await kube.create(CONFIGMAPS, _PROBE, dry_run=True)
    except ApiError as error:
        found.append(Trouble("an object cannot be made (dry run)", str(error)))
    return tuple(found)


def new(before: Sequence[Trouble], now: Sequence[Trouble]) -> tuple[Trouble, ...]:
    known = {one.of for one in before}
    return tuple(one for one in now if one.of not in known)


async def _at(kube: Client, path: str) -> Trouble | None:
    try:
        await kube.get_raw(path)
    except ApiError as error:
        return Trouble(path, str(error))
    return None


async def _groups(kube: Client) -> list[str]:
    told: dict[str, Any] = json.loads(await kube.get_raw("/apis"))
    return [f"/apis/{one['preferredVersion']['groupVersion']}" for one in told.get("groups", ())]


async def _unavailable(kube: Client) -> list[Trouble]:
    try:
        listed = await kube.list(APISERVICES)
    except (NotFound, Forbidden, Unauthorized):
        return []
    return [
        Trouble(f"APIService {one['metadata']['name']}", condition.get("message", "not available"))
        for one in listed.items
        for condition in one.get("status", {}).get("conditions", ())
        if condition.get("type") == "Available" and condition.get("status") != "True"
    ]


async def _dns(kube: Client) -> list[Trouble]:
    try:
        told = await kube.get(DEPLOYMENTS, "coredns", "kube-system")
    except (NotFound, Forbidden):
        # A cluster may have its names from elsewhere.
        return []
    if not (await kube.list(NODES)).items:
        # Nobody could run them, and nobody asks for names.
        return []
    wanted = told.get("spec", {}).get("replicas", 1)
    ready = told.get("status", {}).get("readyReplicas", 0)
    return [Trouble("coredns", f"{ready} of {wanted} ready")] if ready < min(1, wanted) else []
