"""Fields that a Kubernetes version knows but, behind a feature gate that is off by default, does not take.

They are in the schema and in `kubectl explain`, a write that has them is no error, and they are dropped from it
without a word. Here are those that matter to pods, GPUs and gangs; all other gates count as open.

Sources: the versioned defaults in Kubernetes' `pkg/features/kube_features.go`, and the `+featureGate` marks on the
fields in `k8s.io/api`. Kubernetes wants a gate opened and an API version turned on, each for itself; here what is
turned on opens the gates that it would be useless without.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aliquot.emulator.versions import Surface


@dataclass(frozen=True, slots=True)
class Gate:
    """`fields` are `group.version.Type.field`; resource.k8s.io's have no version, being the same in all of them."""

    name: str
    open_since: int | None
    """The first minor in which it is open by default; None: in none that there is data for."""
    fields: tuple[str, ...]
    api_group: str = ""
    """Turning on a version of this group opens it too."""


GATES = (
    Gate(
        "DynamicResourceAllocation",
        34,
        (
            "core.v1.PodSpec.resourceClaims",
            "core.v1.PodStatus.resourceClaimStatuses",
            "core.v1.ResourceRequirements.claims",
        ),
        "resource.k8s.io",
    ),
    Gate("DRAResourceClaimDeviceStatus", 33, ("resource.ResourceClaimStatus.devices",)),
    Gate(
        "DRAAdminAccess",
        34,
        ("resource.ExactDeviceRequest.adminAccess", "resource.DeviceRequestAllocationResult.adminAccess"),
    ),
    Gate("DRAPrioritizedList", 34, ("resource.DeviceRequest.firstAvailable",)),
    Gate(
        "DRAPartitionableDevices",
        36,
        (
            "resource.ResourceSliceSpec.perDeviceNodeSelection",
            "resource.ResourceSliceSpec.sharedCounters",
            "resource.Device.allNodes",
            "resource.Device.consumesCounters",
            "resource.Device.nodeName",
            "resource.Device.nodeSelector",
        ),
    ),
    Gate(
        "DRADeviceTaints",
        36,
        (
            "resource.Device.taints",
            "resource.ExactDeviceRequest.tolerations",
            "resource.DeviceSubRequest.tolerations",
            "resource.DeviceRequestAllocationResult.tolerations",
        ),
    ),
    Gate(
        "DRADeviceBindingConditions",
        36,
        (
            "resource.Device.bindsToNode",
            "resource.Device.bindingConditions",
            "resource.Device.bindingFailureConditions",
            "resource.AllocationResult.allocationTimestamp",
            "resource.DeviceRequestAllocationResult.bindingConditions",
            "resource.DeviceRequestAllocationResult.bindingFailureConditions",
        ),
    ),
    Gate(
        "DRAConsumableCapacity",
        36,
        (
            "resource.Device.allowMultipleAllocations",
            "resource.DeviceCapacity.requestPolicy",
            "resource.ExactDeviceRequest.capacity",
            "resource.DeviceSubRequest.capacity",
            "resource.DeviceConstraint.distinctAttribute",
            "resource.DeviceRequestAllocationResult.shareID",
            "resource.DeviceRequestAllocationResult.consumedCapacity",
            "resource.AllocatedDeviceStatus.shareID",
        ),
    ),
    Gate(
        "DRAExtendedResource",
        36,
        ("resource.DeviceClassSpec.extendedResourceName", "core.v1.PodStatus.extendedResourceClaimStatus"),
    ),
    Gate(
        "DRAListTypeAttributes",
        None,
        (
            "resource.DeviceAttribute.bools",
            "resource.DeviceAttribute.ints",
            "resource.DeviceAttribute.strings",
            "resource.DeviceAttribute.versions",
        ),
    ),
    Gate(
        "DRANodeAllocatableResources",
        None,
        (
            "resource.Device.nodeAllocatableResourceMappings",
            "resource.Device.nodeAllocatableResources",
            "core.v1.PodStatus.nodeAllocatableResourceClaimStatuses",
        ),
    ),
    Gate(
        "DRAOptionalNodeOperations",
        None,
        (
            "resource.ResourceSliceSpec.skipNodeOperations",
            "resource.DeviceRequestAllocationResult.skipNodeOperations",
        ),
    ),
    Gate(
        "DRADerivedAttributes",
        None,
        ("resource.ExactDeviceRequest.derivedAttributes", "resource.DeviceSubRequest.derivedAttributes"),
    ),
    Gate("DRADeviceCompatibilityGroups", None, ("resource.DeviceCounterConsumption.compatibilityGroups",)),
    Gate(
        "GenericWorkload",
        None,
        ("core.v1.PodSpec.workloadRef", "core.v1.PodSpec.schedulingGroup"),
        "scheduling.k8s.io",
    ),
    Gate("WorkloadWithJob", None, ("batch.v1.JobSpec.scheduling",), "scheduling.k8s.io"),
    Gate("PodLevelResources", 34, ("core.v1.PodSpec.resources",)),
    Gate(
        "InPlacePodLevelResourcesVerticalScaling",
        36,
        ("core.v1.PodStatus.resources", "core.v1.PodStatus.allocatedResources"),
    ),
    Gate(
        "InPlacePodVerticalScaling",
        33,
        (
            "core.v1.Container.resizePolicy",
            "core.v1.EphemeralContainer.resizePolicy",
            "core.v1.ContainerStatus.resources",
            "core.v1.ContainerStatus.allocatedResources",
            "core.v1.PodStatus.resize",
        ),
    ),
    Gate(
        "ContainerRestartRules",
        35,
        ("core.v1.Container.restartPolicyRules", "core.v1.EphemeralContainer.restartPolicyRules"),
    ),
    Gate("HostnameOverride", 35, ("core.v1.PodSpec.hostnameOverride",)),
    Gate("EvictionRequestAPI", None, ("core.v1.PodSpec.evictionResponders",), "lifecycle.k8s.io"),
    Gate("NodeDeclaredFeatures", 36, ("core.v1.NodeStatus.declaredFeatures",)),
    Gate("JobManagedBy", 32, ("batch.v1.JobSpec.managedBy",)),
    Gate(
        "VolumeAttributesClass",
        34,
        (
            "core.v1.PersistentVolumeSpec.volumeAttributesClassName",
            "core.v1.PersistentVolumeClaimSpec.volumeAttributesClassName",
            "core.v1.PersistentVolumeClaimStatus.currentVolumeAttributesClassName",
            "core.v1.PersistentVolumeClaimStatus.modifyVolumeStatus",
        ),
        "storage.k8s.io",
    ),
)

_RESOURCE_VERSIONS = ("v1", "v1beta2", "v1beta1")
_IN_V1BETA1 = {"Device": "BasicDevice", "ExactDeviceRequest": "DeviceRequest"}


def closed(surface: Surface) -> Mapping[str, frozenset[str]]:
    """{definition: fields that are dropped}."""
    groups = {api_version.rpartition("/")[0] for api_version in surface.enabled}
    found: dict[str, set[str]] = {}
    for gate in GATES:
        if (gate.open_since is None or surface.minor < gate.open_since) and gate.api_group not in groups:
            for path in gate.fields:
                for definition, field in definitions_of(path):
                    found.setdefault(definition, set()).add(field)
    return {definition: frozenset(fields) for definition, fields in found.items()}


def definitions_of(path: str) -> list[tuple[str, str]]:
    """The fields of a path, by the names of their definitions."""
    owner, _, field = path.rpartition(".")
    group, _, kind = owner.partition(".")
    if group != "resource":
        return [(f"io.k8s.api.{owner}", field)]
    return [
        (
            f"io.k8s.api.resource.{version}.{_IN_V1BETA1.get(kind, kind) if version == 'v1beta1' else kind}",
            field,
        )
        for version in _RESOURCE_VERSIONS
    ]
