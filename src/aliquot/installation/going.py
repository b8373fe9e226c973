"""What of ours is being deleted: until it has gone, nothing can be made in it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aliquot.kube import crds, errors
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, NAMESPACES
from aliquot.kube.roles import NAMESPACE

_LOOK_S = 1.0
_OURS = frozenset(one["metadata"]["name"] for one in crds.ALL)
_KEEP = ("NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionContentFailure")
"""Conditions of a namespace, the one that says most first."""


class StillThere(Exception):
    """One line: what does not go, and why as far as it says."""


async def going(client: Client) -> Mapping[str, str]:
    """What it is, and what it waits for; empty where it does not say. Raises ApiError."""
    found = {}
    try:
        namespace = await client.get(NAMESPACES, NAMESPACE)
        if namespace["metadata"].get("deletionTimestamp"):
            found[f"Namespace {NAMESPACE}"] = _why(namespace)
    except errors.NotFound:
        pass
    for definition in (await client.list(CRDS)).items:
        metadata = definition["metadata"]
        if metadata["name"] in _OURS and metadata.get("deletionTimestamp"):
            found[f"CustomResourceDefinition {metadata['name']}"] = ""
    return found


async def gone(client: Client, timeout_s: float) -> AsyncIterator[str]:
    """Yields a line for each that is waited for. Raises ApiError, StillThere."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    told: set[str] = set()
    while found := await going(client):
        if loop.time() >= deadline_s:
            what, why = next(iter(found.items()))
            raise StillThere(
                f"{what} is being deleted, and nothing can be made there until it has gone: "
                f"{why or 'see the finalizers of what is in it'}"
            )
        for what in found.keys() - told:
            told.add(what)
            yield f"waiting for {what}, which is being deleted"
        await asyncio.sleep(min(_LOOK_S, deadline_s - loop.time()))


def _why(namespace: Mapping[str, Any]) -> str:
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    held = {one["type"]: str(one.get("message", "")) for one in conditions if one.get("status") == "True"}
    return next((held[kind] for kind in _KEEP if kind in held), "")
