"""The parts of volumes, of claims to them and of their classes that Aliquot reads. Partial: never PUT what was decoded."""

from typing import Any

from aliquot.kube.api.core import ObjectReference
from aliquot.kube.api.meta import ObjectMeta, Wire

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"

WAIT_FOR_CONSUMER = "WaitForFirstConsumer"


class VolumeSpec(Wire, kw_only=True, frozen=True):
    capacity: dict[str, str] | None = None
    access_modes: tuple[str, ...] = ()
    claim_ref: ObjectReference | None = None
    persistent_volume_reclaim_policy: str = "Retain"
    storage_class_name: str = ""
    volume_mode: str = "Filesystem"
    volume_attributes_class_name: str | None = None
    node_affinity: dict[str, Any] | None = None
    csi: dict[str, Any] | None = None

    @property
    def size(self) -> str:
        return (self.capacity or {}).get("storage", "0")


class VolumeStatus(Wire, kw_only=True, frozen=True):
    phase: str = ""
    message: str = ""
    reason: str = ""


class Volume(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()


class ClaimResources(Wire, kw_only=True, frozen=True):
    requests: dict[str, str] | None = None


class ClaimSpec(Wire, kw_only=True, frozen=True):
    access_modes: tuple[str, ...] = ()
    resources: ClaimResources = ClaimResources()
    selector: dict[str, Any] | None = None
    storage_class_name: str | None = None
    volume_name: str = ""
    volume_mode: str = "Filesystem"
    volume_attributes_class_name: str | None = None

    @property
    def size(self) -> str:
        return (self.resources.requests or {}).get("storage", "0")


class ClaimStatus(Wire, kw_only=True, frozen=True):
    phase: str = ""
    access_modes: tuple[str, ...] | None = None
    capacity: dict[str, str] | None = None
    allocated_resources: dict[str, str] | None = None
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: dict[str, Any] | None = None


class Claim(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class StorageClass(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    provisioner: str = ""
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
    mount_options: tuple[str, ...] | None = None
    parameters: dict[str, str] | None = None
    allow_volume_expansion: bool = False
    allowed_topologies: tuple[dict[str, Any], ...] | None = None
