"""What is put into a cluster: policies where it can follow them, else what the webhook stands on.

`deploy/admission.yaml`, `deploy/admission-webhook.yaml` and `deploy/admission-webhook-cert-manager.yaml` are what this module
prints, for `kubectl apply`.
"""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from aliquot.admission import cert_manager, policy
from aliquot.admission.pods import SCHEDULER
from aliquot.admission.registration import CONFIGURATIONS
from aliquot.kube import errors, roles
from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES, SERVICEACCOUNTS, SERVICES, Resource

FIELD_MANAGER = "aliquot-admission-install"
"""Another than that of `aliquot install`: an apply without the labels by which that knows its own would take them off."""
ACCOUNT = "aliquot-admission"
SERVICE = "aliquot-admission"
PORT = 8443
"""That the webhook listens on."""
VERSIONS = ("v1", "v1beta1", "v1alpha1")
"""Of mutating policies, the best first; which of them a cluster serves is its administrator's choice until v1."""

_RESOURCES = {
    one.kind: one
    for one in (
        NAMESPACES,
        SERVICEACCOUNTS,
        SERVICES,
        roles.CLUSTER_ROLES,
        roles.CLUSTER_ROLE_BINDINGS,
        roles.ROLES,
        roles.ROLE_BINDINGS,
        cert_manager.ISSUERS,
        cert_manager.CERTIFICATES,
    )
}


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


def installed() -> frozenset[tuple[str, str]]:
    """(resource, name) of the policies."""
    return frozenset((resource(one).name, one["metadata"]["name"]) for one in policies("v1"))


async def forget_webhook(client: Client) -> None:
    """Where policies have taken its place: one that nobody serves any more would refuse what it is asked about."""
    try:
        await client.delete(CONFIGURATIONS, policy.NAME)
    except errors.NotFound:
        return


def policies(version: str, *, scheduler: str = SCHEDULER) -> tuple[dict[str, Any], ...]:
    return (*policy.mutating(version, scheduler=scheduler), *policy.validating())


def webhook(*, by_cert_manager: bool = False) -> tuple[dict[str, Any], ...]:
    """What `aliquot admission serve` runs as, and where it is found. It registers itself.

    `by_cert_manager`: that makes its certificate, which else it makes itself.
    """
    placed = {"name": ACCOUNT, "namespace": roles.NAMESPACE}
    return (
        roles.NAMESPACE_OBJECT,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": placed},
        roles.ADMISSION,
        roles.bound(roles.ADMISSION),
        roles.ADMISSION_SECRET,
        roles.bound(roles.ADMISSION_SECRET),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": roles.NAMESPACE},
            "spec": {
                "selector": {"app.kubernetes.io/name": SERVICE},
                "ports": [{"name": "https", "port": 443, "targetPort": PORT}],
            },
        },
        *(cert_manager.objects(roles.NAMESPACE, SERVICE) if by_cert_manager else ()),
    )


async def apply(client: Client, objects: Sequence[dict[str, Any]], *, dry_run: bool = False) -> None:
    """Safe to repeat. Raises ApiError."""
    for one in objects:
        await client.apply(resource(one), one, field_manager=FIELD_MANAGER, force=True, dry_run=dry_run)


def resource(obj: dict[str, Any]) -> Resource:
    kind = obj["kind"]
    if kind in _RESOURCES:
        return _RESOURCES[kind]
    lower = kind.lower()
    plural = f"{lower.removesuffix('y')}ies" if lower.endswith("y") else f"{lower}s"
    return Resource(policy.GROUP, obj["apiVersion"].partition("/")[2], plural, kind, namespaced=False)


def manifests(objects: Sequence[dict[str, Any]]) -> str:
    import yaml

    class Plain(yaml.SafeDumper):
        """What comes up twice is written twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump_all(objects, Dumper=Plain, sort_keys=False)


def printed(what: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """`webhook`, `webhook cert-manager`, or nothing: the policies."""
    if what[:1] != ["webhook"]:
        return policies("v1")
    return webhook(by_cert_manager=what[1:] == ["cert-manager"])


if __name__ == "__main__":
    sys.stdout.write(manifests(printed(sys.argv[1:])))
