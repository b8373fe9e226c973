"""What a pod's claims say of where it can go, as kube-scheduler has it (VolumeBinding, VolumeZone, VolumeRestrictions)."""

from collections.abc import Iterator
from dataclasses import dataclass

from aliquot.kube import quantity
from aliquot.kube.api.core import Pod
from aliquot.kube.api.storage import (
    BIND_COMPLETED,
    SELECTED_NODE,
    WAIT_FOR_CONSUMER,
    Claim,
    StorageClass,
    Volume,
)
from aliquot.kube.resources import key
from aliquot.scheduler.core.matching import NodeTerm, Operator, Requirement, satisfies
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.core.volumes import BoundClaim, OpenClaim, OpenVolume
from aliquot.scheduler.label_selectors import label_requirements, node_term
from aliquot.scheduler.surroundings import Surroundings, claims_of

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"
_ONE_POD = "ReadWriteOncePod"
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)


@dataclass(frozen=True, slots=True)
class PodClaims:
    bound: tuple[BoundClaim, ...] = ()
    open: tuple[OpenClaim, ...] = ()
    refusal: Reason | None = None

    def __bool__(self) -> bool:
        return bool(self.bound or self.open or self.refusal)


NONE = PodClaims()


class ClaimReader:
    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings

    def of(self, pod: Pod) -> PodClaims:
        """Raises ValueError and its like for what cannot be read."""
        names = claims_of(pod)
        if not names:
            return NONE
        if not self._around.of_claims.ask():
            return _refused("the claims and volumes of the cluster are being read", Kind.SURROUNDINGS)
        bound: list[BoundClaim] = []
        open_: list[tuple[int, OpenClaim]] = []
        for name in dict.fromkeys(names):
            claim = self._around.claims.get(name)
            why = self._unusable(pod, name, claim)
            if why:
                return _refused(why)
            assert claim is not None
            if is_bound(claim):
                volume = self._around.volumes.get(claim.spec.volume_name)
                if volume is None:
                    return _refused(
                        f"PVC {claim.metadata.name} is bound to volume {claim.spec.volume_name}, which does not exist"
                    )
                bound.append(BoundClaim(claim.metadata.name, tuple(places(volume))))
            else:
                found = self._class_of(claim)
                assert found is not None
                open_.append((quantity.whole(claim.spec.size), self._open(claim, found)))
        # Kubernetes gives the smallest claim its volume first.
        open_.sort(key=lambda one: (one[0], one[1].claim))
        return PodClaims(tuple(bound), tuple(one for _, one in open_))

    def _unusable(self, pod: Pod, name: str, claim: Claim | None) -> str:
        short = name.partition("/")[2]
        ephemeral = any(
            volume.ephemeral is not None and volume.claim_name(pod.metadata.name) == short
            for volume in pod.spec.volumes or ()
        )
        if claim is None:
            return (
                f"PVC {short} of an ephemeral volume is not made yet"
                if ephemeral
                else f"PVC {short} does not exist"
            )
        if ephemeral and not any(o.uid == pod.metadata.uid for o in claim.metadata.owner_references or ()):
            return f"PVC {short} has the name of an ephemeral volume's, and is not the pod's"
        if claim.metadata.deletion_timestamp is not None:
            return f"PVC {short} is being deleted"
        if claim.status.phase == "Lost":
            return f"PVC {short} has lost its volume {claim.spec.volume_name}"
        if _ONE_POD in claim.spec.access_modes:
            others = self._around.others_with(name, pod)
            if others:
                return f"PVC {short} is {_ONE_POD}, and pod {others[0]} has it"
        if not is_bound(claim):
            found = self._class_of(claim)
            if found is None or found.volume_binding_mode != WAIT_FOR_CONSUMER or claim.spec.volume_name:
                return f"waits for PVC {short} to be bound"
        return ""

    def _class_of(self, claim: Claim) -> StorageClass | None:
        return self._around.classes.get(_class_name(claim))

    def _open(self, claim: Claim, storage: StorageClass) -> OpenClaim:
        available, own = [], None
        for volume in self._around.volumes.indexed("class", storage.metadata.name):
            if self._around.reserved.get(volume.metadata.name, key(claim)) != key(claim):
                continue
            if refers(volume, claim) and _large_enough(volume, claim):
                own = volume
            elif _fits(volume, claim):
                available.append(volume)
        if own is not None:
            available = [own]
        available.sort(key=lambda one: (quantity.whole(one.spec.size), one.metadata.name))
        return OpenClaim(
            claim.metadata.name,
            tuple(OpenVolume(one.metadata.name, _affinity(one)) for one in available),
            provisioned=own is None and storage.provisioner not in ("", _NO_PROVISIONER),
            allowed=tuple(_allowed(storage)),
            node=(claim.metadata.annotations or {}).get(SELECTED_NODE, ""),
        )


def is_bound(claim: Claim) -> bool:
    return bool(claim.spec.volume_name) and BIND_COMPLETED in (claim.metadata.annotations or {})


def is_for_one_pod(claim: Claim) -> bool:
    return _ONE_POD in claim.spec.access_modes


def refers(volume: Volume, claim: Claim) -> bool:
    """Whether the volume is meant for the claim."""
    reference = volume.spec.claim_ref
    return (
        reference is not None
        and (reference.namespace, reference.name) == (claim.metadata.namespace, claim.metadata.name)
        and reference.uid in ("", claim.metadata.uid)
    )


def places(volume: Volume) -> Iterator[tuple[NodeTerm, ...]]:
    """Of each a term must match the node."""
    affinity = _affinity(volume)
    if affinity is not None:
        yield affinity
    labels = volume.metadata.labels or {}
    zones = tuple(
        Requirement(name, Operator.IN, tuple(labels[name].split("__")))
        for name in _ZONE_LABELS
        if name in labels
    )
    if zones:
        # A node that says nothing of zones is no worse than any other.
        nowhere = tuple(Requirement(name, Operator.DOES_NOT_EXIST) for name in _ZONE_LABELS)
        yield NodeTerm(zones), NodeTerm(nowhere)


def _affinity(volume: Volume) -> tuple[NodeTerm, ...] | None:
    required = (volume.spec.node_affinity or {}).get("required")
    return None if required is None else tuple(map(node_term, required.get("nodeSelectorTerms") or ()))


def _allowed(storage: StorageClass) -> Iterator[NodeTerm]:
    for topology in storage.allowed_topologies or ():
        yield NodeTerm(
            tuple(
                Requirement(one["key"], Operator.IN, tuple(one["values"]))
                for one in topology.get("matchLabelExpressions") or ()
            )
        )


def _class_name(claim: Claim) -> str:
    annotated = (claim.metadata.annotations or {}).get(_CLASS_ANNOTATION)
    return annotated if annotated is not None else claim.spec.storage_class_name or ""


def _large_enough(volume: Volume, claim: Claim) -> bool:
    return quantity.whole(volume.spec.size) >= quantity.whole(claim.spec.size)


def _fits(volume: Volume, claim: Claim) -> bool:
    labels = volume.metadata.labels or {}
    return (
        volume.spec.claim_ref is None
        and volume.status.phase == "Available"
        and volume.metadata.deletion_timestamp is None
        and volume.spec.volume_mode == claim.spec.volume_mode
        and (volume.spec.volume_attributes_class_name or "")
        == (claim.spec.volume_attributes_class_name or "")
        and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
        and _large_enough(volume, claim)
        and all(satisfies(labels, one) for one in label_requirements(claim.spec.selector or {}))
    )


def _refused(why: str, kind: Kind = Kind.VOLUME_CLAIMS) -> PodClaims:
    return PodClaims(refusal=Reason(kind, why))
