"""What becomes of a claim: which volume it is bound to, or what it waits for. Pure.

As Kubernetes does it, with two differences. What a scheduler does there that knows of volumes, is done here once the
pod is on a node, whoever put it there: the node is noted on the claim (`selected-node`), and the volume bound or made
after it. And the volumes of the provisioner aliquot.dev/simulated are made at once, of nothing, reachable from every
node.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.status import as_json
from aliquot.emulator.kinds import node_affinity, storage_classes
from aliquot.kube import quantity, selectors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.storage import (
    BETA_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    WAIT_FOR_CONSUMER,
    Claim,
    StorageClass,
    Volume,
)

_NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class Wait:
    """Pending, and nothing to do before something changes."""

    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Lose:
    notice: Notice


@dataclass(frozen=True, slots=True)
class Amend:
    """A merge patch on the claim first; then it is looked at again."""

    patch: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Bind:
    """To a volume: merge patches on the volume and on the claim (None where nothing is missing), and the claim's
    status."""

    volume: Volume
    on_volume: Mapping[str, Any] | None
    on_claim: Mapping[str, Any] | None
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Provision:
    """A volume to make."""

    volume: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grow:
    """The claim's volume first, then the claim."""

    volume: Volume
    size: str


@dataclass(frozen=True, slots=True)
class Rest:
    """All is as it should be."""


Plan: TypeAlias = Wait | Lose | Amend | Bind | Provision | Grow | Rest


@dataclass(frozen=True, slots=True)
class World:
    """What a claim is judged by."""

    volumes: Mapping[str, Volume]
    classes: Mapping[str, StorageClass]
    nodes: Mapping[str, Node]
    users: Sequence[Pod]
    """The pods that name the claim and have not ended."""


def plan(claim: Claim, world: World) -> Plan:
    if claim.metadata.deletion_timestamp is not None and not claim.spec.volume_name:
        return Rest()
    if BIND_COMPLETED in (claim.metadata.annotations or {}):
        return _bound(claim, world)
    if claim.spec.volume_name:
        return _wanted(claim, world)
    return _unbound(claim, world)


def _bound(claim: Claim, world: World) -> Plan:
    lost = "Data on the volume is lost!"
    if not claim.spec.volume_name:
        return _lose(claim, "ClaimLost", f"Bound claim has lost reference to PersistentVolume. {lost}")
    volume = world.volumes.get(claim.spec.volume_name)
    if volume is None:
        return _lose(claim, "ClaimLost", f"Bound claim has lost its PersistentVolume. {lost}")
    if volume.spec.claim_ref is not None and volume.spec.claim_ref.uid != claim.metadata.uid:
        text = "Two claims are bound to the same volume, this one is bound incorrectly"
        return _lose(claim, "ClaimMisbound", text)
    bind = _bind(claim, volume)
    return bind if bind is not None else _grow(claim, volume, world)


def _lose(claim: Claim, reason: str, message: str) -> Plan:
    return Rest() if claim.status.phase == "Lost" else Lose(Notice(True, reason, message))


def _wanted(claim: Claim, world: World) -> Plan:
    """The user asked for that very volume."""
    volume = world.volumes.get(claim.spec.volume_name)
    if volume is None:
        return Wait()
    reference = volume.spec.claim_ref
    if reference is not None and not _refers(volume, claim):
        text = f'volume "{volume.metadata.name}" already bound to a different claim.'
        return Wait((Notice(True, "FailedBinding", text),))
    if reference is None:
        why = unfit(volume, claim)
        if why:
            text = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
            return Wait((Notice(True, "VolumeMismatch", text),))
    return _bind(claim, volume) or Rest()


def _unbound(claim: Claim, world: World) -> Plan:
    name = storage_classes.asked(as_json(claim))
    if name is None:
        # The default came after the claim.
        found = storage_classes.default(as_json(one) for one in world.classes.values())
        if found:
            return Amend({"spec": {"storageClassName": found}})
    known = world.classes.get(name) if name else None
    delayed = known is not None and known.volume_binding_mode == WAIT_FOR_CONSUMER
    node_name = (claim.metadata.annotations or {}).get(SELECTED_NODE, "")
    if delayed and not node_name:
        chosen = next((pod.spec.node_name for pod in world.users if pod.spec.node_name), "")
        if chosen:
            return Amend({"metadata": {"annotations": {SELECTED_NODE: chosen}}})
    waits = delayed and not node_name
    volume = best(claim, world.volumes.values(), world.nodes.get(node_name), reserved_only=waits)
    if volume is not None:
        return _bind(claim, volume) or Rest()
    if waits:
        return Wait((_for_consumer(world.users),))
    if not name:
        text = "no persistent volumes available for this claim and no storage class is set"
        return Wait((Notice(False, "FailedBinding", text),))
    if known is None:
        return Wait((Notice(True, "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found'),))
    return _provision(claim, known)


def _for_consumer(users: Sequence[Pod]) -> Notice:
    names = [pod.metadata.name for pod in users if not pod.spec.node_name]
    if not names:
        text = "waiting for first consumer to be created before binding"
        return Notice(False, "WaitForFirstConsumer", text)
    word = "pod" if len(names) == 1 else "pods"
    return Notice(False, "WaitForPodScheduled", f"waiting for {word} {','.join(names)} to be scheduled")


def _provision(claim: Claim, found: StorageClass) -> Plan:
    provisioner = found.provisioner
    if provisioner == _NO_PROVISIONER:
        text = f"no volume plugin matched name: {provisioner}"
        return Wait((Notice(True, "ProvisioningFailed", text),))
    annotations = claim.metadata.annotations or {}
    waiting = Notice(
        False,
        "ExternalProvisioning",
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered.",
    )
    if annotations.get(PROVISIONER) != provisioner:
        told = dict.fromkeys((BETA_PROVISIONER, PROVISIONER), provisioner)
        return Amend({"metadata": {"annotations": told}}, (waiting,))
    if provisioner != storage_classes.SIMULATED:
        return Wait((waiting,))
    return Provision(_new_volume(claim, found))


def _new_volume(claim: Claim, found: StorageClass) -> dict[str, Any]:
    name = f"pvc-{claim.metadata.uid}"
    spec: dict[str, Any] = {
        "accessModes": list(claim.spec.access_modes),
        "capacity": {"storage": claim.spec.size},
        "claimRef": _reference(claim),
        "csi": {"driver": found.provisioner, "fsType": "ext4", "volumeHandle": name},
        "persistentVolumeReclaimPolicy": found.reclaim_policy,
        "storageClassName": found.metadata.name,
        "volumeMode": claim.spec.volume_mode,
    }
    if found.mount_options:
        spec["mountOptions"] = list(found.mount_options)
    if claim.spec.volume_attributes_class_name:
        spec["volumeAttributesClassName"] = claim.spec.volume_attributes_class_name
    return {"metadata": {"name": name, "annotations": {PROVISIONED_BY: found.provisioner}}, "spec": spec}


def _reference(claim: Claim) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.metadata.namespace,
        "name": claim.metadata.name,
        "uid": claim.metadata.uid,
        "resourceVersion": claim.metadata.resource_version,
    }


# ---- binding -----------------------------------------------------------------------------------------------


def best(
    claim: Claim, volumes: Iterable[Volume], node: Node | None, *, reserved_only: bool = False
) -> Volume | None:
    """The smallest volume that fits, but one that is reserved for the claim before all others."""
    fitting = []
    for volume in volumes:
        if volume.spec.claim_ref is not None:
            if _refers(volume, claim) and not unfit(volume, claim):
                return volume
            continue
        if reserved_only or volume.status.phase != "Available" or unfit(volume, claim):
            continue
        if claim.spec.selector is not None and not selectors.from_object(claim.spec.selector).matches(
            volume.metadata.labels or {}
        ):
            continue
        if node is None or _reachable(volume, node):
            fitting.append(volume)
    return min(fitting, key=lambda one: (quantity.parse(one.spec.size), one.metadata.name), default=None)


def unfit(volume: Volume, claim: Claim) -> str:
    """Why a volume cannot be the claim's; empty when it can."""
    spec = claim.spec
    if volume.metadata.deletion_timestamp is not None:
        return f'the volume is marked for deletion "{volume.metadata.name}"'
    if quantity.parse(volume.spec.size) < quantity.parse(spec.size):
        return "requested PV is too small"
    if volume.spec.storage_class_name != (storage_classes.asked(as_json(claim)) or ""):
        return "storageClassName does not match"
    if (volume.spec.volume_attributes_class_name or "") != (spec.volume_attributes_class_name or ""):
        return "volumeAttributesClassName does not match"
    if volume.spec.volume_mode != spec.volume_mode:
        return "incompatible volumeMode"
    if not set(spec.access_modes) <= set(volume.spec.access_modes):
        return "incompatible accessMode"
    return ""


def _reachable(volume: Volume, node: Node) -> bool:
    required = (volume.spec.node_affinity or {}).get("required")
    if required is None:
        return True
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return node_affinity.matches(None, affinity, node.metadata.name, node.metadata.labels or {})


def _refers(volume: Volume, claim: Claim) -> bool:
    reference = volume.spec.claim_ref
    return reference is not None and (
        (reference.namespace, reference.name) == (claim.metadata.namespace, claim.metadata.name)
        and reference.uid in ("", claim.metadata.uid)
    )


def _bind(claim: Claim, volume: Volume) -> Bind | None:
    """None when claim and volume say all of it already."""
    on_volume: dict[str, Any] | None = None
    if volume.spec.claim_ref is None:
        on_volume = {
            "metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}},
            "spec": {"claimRef": _reference(claim)},
        }
    elif not volume.spec.claim_ref.uid:
        on_volume = {"spec": {"claimRef": _reference(claim)}}
    annotations = claim.metadata.annotations or {}
    on_claim: dict[str, Any] | None = None
    if not claim.spec.volume_name or BIND_COMPLETED not in annotations:
        told = {BIND_COMPLETED: "yes"}
        if not claim.spec.volume_name:
            told[BOUND_BY_CONTROLLER] = "yes"
        on_claim = {"metadata": {"annotations": told}, "spec": {"volumeName": volume.metadata.name}}
    status: dict[str, Any] = {"phase": "Bound", "accessModes": list(volume.spec.access_modes)}
    if claim.status.phase != "Bound":
        status["capacity"] = {"storage": volume.spec.size}
    complete = (
        claim.status.phase == "Bound" and tuple(claim.status.access_modes or ()) == volume.spec.access_modes
    )
    if on_volume is None and on_claim is None and complete:
        return None
    return Bind(volume, on_volume, on_claim, status)


def _grow(claim: Claim, volume: Volume, world: World) -> Plan:
    """A larger claim gets a larger volume, where the simulated provisioner has made it."""
    held = (claim.status.capacity or {}).get("storage", "0")
    made_here = (volume.metadata.annotations or {}).get(PROVISIONED_BY) == storage_classes.SIMULATED
    if made_here and quantity.parse(claim.spec.size) > quantity.parse(held):
        return Grow(volume, claim.spec.size)
    return Rest()
