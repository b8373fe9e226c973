"""The policies, put into a cluster that can follow them.

`deploy/admission.yaml` is what this module prints, for `kubectl apply`.
"""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from aliquot.admission import policy
from aliquot.admission.pods import SCHEDULER
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource

FIELD_MANAGER = "aliquot-install"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
"""Of mutating policies, the best first; which of them a cluster serves is its administrator's choice until v1."""


async def served_version(client: Client) -> str:
    """Of MutatingAdmissionPolicy; empty where there is none. Raises ApiError."""
    for version in VERSIONS:
        try:
            listed = msgspec.json.decode(await client.get_raw(f"/apis/{policy.GROUP}/{version}"))
        except errors.NotFound:
            continue
        if any(one["name"] == "mutatingadmissionpolicies" for one in listed["resources"]):
            return version
    return ""


async def install_policies(client: Client, *, scheduler: str = SCHEDULER) -> str:
    """The version of the mutating one; empty, and nothing done, where the cluster serves none. Raises ApiError."""
    version = await served_version(client)
    if version:
        await apply(client, policies(version, scheduler=scheduler))
    return version


def policies(version: str, *, scheduler: str = SCHEDULER) -> tuple[dict[str, Any], ...]:
    return (*policy.mutating(version, scheduler=scheduler), *policy.validating())


async def apply(client: Client, objects: Sequence[dict[str, Any]], *, dry_run: bool = False) -> None:
    """Safe to repeat. Raises ApiError."""
    for one in objects:
        await client.apply(resource(one), one, field_manager=FIELD_MANAGER, force=True, dry_run=dry_run)


def resource(obj: dict[str, Any]) -> Resource:
    """Of the kinds of admission registration."""
    kind = obj["kind"]
    lower = kind.lower()
    plural = f"{lower.removesuffix('y')}ies" if lower.endswith("y") else f"{lower}s"
    version = obj["apiVersion"].partition("/")[2]
    return Resource(policy.GROUP, version, plural, kind, namespaced=False)


def manifests() -> str:
    """Of the version that stays."""
    import yaml

    return yaml.safe_dump_all(policies("v1"), sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(manifests())
