"""The PersistentVolumeClaims of a StatefulSet's pods: made before the pod, kept after it, or owned so that they go."""

from typing import Any

import msgspec

from aliquot.emulator.controllers import ownership, stateful_set_plan
from aliquot.emulator.controllers.ownership import HasMetadata
from aliquot.emulator.controllers.types import StatefulSet
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.storage import Claim
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS


def bodies(stateful_set: StatefulSet, number: int) -> list[dict[str, Any]]:
    """The claims of the pod with this ordinal."""
    names = stateful_set_plan.claim_names(stateful_set, number)
    match_labels = (stateful_set.spec.selector or {}).get("matchLabels") or {}
    found = []
    for template in stateful_set.spec.volume_claim_templates or ():
        metadata = template["metadata"]
        labels = {**(metadata.get("labels") or {}), **match_labels}
        kept = {name: value for name, value in metadata.items() if name == "annotations" and value}
        named = {
            **kept,
            "name": names[metadata["name"]],
            "namespace": stateful_set.metadata.namespace,
            "labels": labels,
        }
        found.append({"metadata": named, "spec": template.get("spec") or {}})
    return found


def owners_due(stateful_set: StatefulSet, pod: Pod, claim: HasMetadata) -> list[dict[str, Any]] | None:
    """The owner references that the retention policy asks of a claim, None when it has them.

    What is to go with the set belongs to the set; what is to go when the set shrinks belongs to the surplus pod. A
    claim that somebody else controls is left to them.
    """
    policy = stateful_set.spec.persistent_volume_claim_retention_policy
    number = stateful_set_plan.ordinal(stateful_set, pod)
    surplus = number not in stateful_set_plan.ordinals(stateful_set)
    held = claim.metadata.owner_references or ()
    ours = (stateful_set.metadata.uid, pod.metadata.uid)
    others = [owner for owner in held if owner.uid not in ours]
    wanted = []
    if not any(owner.controller for owner in others):
        if policy.when_scaled == "Delete" and surplus:
            wanted = [ownership.reference(PODS, pod)]
        elif policy.when_deleted == "Delete":
            wanted = [ownership.reference(STATEFULSETS, stateful_set)]
    if {owner.uid for owner in held if owner.uid in ours} == {owner["uid"] for owner in wanted}:
        return None
    return [*msgspec.to_builtins(others), *wanted]


class StatefulClaims:
    def __init__(self, client: Client, claims: Cache[Claim]) -> None:
        self._client = client
        self._claims = claims

    async def ensure(self, stateful_set: StatefulSet, number: int) -> bool:
        """Makes the claims that are lacking; False: one is on its way out, and its pod has to wait."""
        namespace = stateful_set.metadata.namespace
        for body in bodies(stateful_set, number):
            there = self._claims.get(f"{namespace}/{body['metadata']['name']}")
            if there is None:
                try:
                    await self._client.create(PERSISTENTVOLUMECLAIMS, body, namespace)
                except errors.AlreadyExists:
                    continue
            elif there.metadata.deletion_timestamp is not None:
                return False
        return True

    async def retain(self, stateful_set: StatefulSet, pod: Pod) -> None:
        """Gives the claims of a pod the owners that the retention policy asks for."""
        number = stateful_set_plan.ordinal(stateful_set, pod)
        if number is None:
            return
        namespace = stateful_set.metadata.namespace
        for name in stateful_set_plan.claim_names(stateful_set, number).values():
            claim = self._claims.get(f"{namespace}/{name}")
            owners = owners_due(stateful_set, pod, claim) if claim is not None else None
            if claim is None or owners is None:
                continue
            metadata = {"ownerReferences": owners or None, "resourceVersion": claim.metadata.resource_version}
            await self._client.patch(PERSISTENTVOLUMECLAIMS, name, {"metadata": metadata}, namespace)
