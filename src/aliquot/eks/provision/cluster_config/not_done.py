"""What eksctl's ClusterConfig has besides, by the path of the object that has it: to be named as such, and not as unknown."""

from collections.abc import Iterator
from typing import Any

from aliquot.document import Document

Path = tuple[str | int, ...]
ANY = "*"

_IDENTITY = {
    "createServiceAccount": "make the ServiceAccount with what runs as it",
    "disableSessionTags": "",
    "permissionPolicyName": "give permissionPolicyARNs",
    "permissionsBoundaryARN": "make the role yourself, and give roleARN",
    "policy": "",
    "roleName": "make the role yourself, and give roleARN",
    "targetRoleARN": "",
}
_WELL_KNOWN = dict.fromkeys(
    ("autoScaler", "awsLoadBalancerController", "certManager", "externalDNS", "imageBuilder"),
    "give permissionPolicyARNs or permissionPolicy",
)

NOT_DONE: dict[tuple[str, ...], dict[str, str]] = {
    (): {
        "autoModeConfig": "use managedNodeGroups",
        "capabilities": "",
        "controlPlaneScalingConfig": "",
        "git": "",
        "gitops": "",
        "iamIdentityMappings": "use accessConfig.accessEntries",
        "identityProviders": "use aws eks associate-identity-provider-config afterwards",
        "karpenter": "install its chart afterwards",
        "kubeAPIServerConfig": "",
        "kubeControllerManagerConfig": "",
        "kubeSchedulerConfig": "",
        "localZones": "use availabilityZones",
        "nodeGroups": "use managedNodeGroups",
        "outpost": "",
        "privateCluster": "use vpc.clusterEndpoints",
        "remoteNetworkConfig": "",
        "zonalShiftConfig": "use aws eks update-cluster-config afterwards",
    },
    ("metadata",): {"annotations": "", "forceUpdateVersion": "nothing is ever forced", "rollbackConfig": ""},
    ("kubernetesNetworkConfig",): {"serviceIPv6CIDR": "use IPv4"},
    ("iam",): {
        "fargatePodExecutionRolePermissionsBoundary": "make the role yourself, and give its ARN",
        "serviceAccounts": "use podIdentityAssociations",
        "serviceRolePermissionsBoundary": "make the role yourself, and give serviceRoleARN",
        "vpcResourceControllerPolicy": "",
    },
    ("iam", "podIdentityAssociations", ANY): _IDENTITY,
    ("iam", "podIdentityAssociations", ANY, "wellKnownPolicies"): _WELL_KNOWN,
    ("vpc",): {
        "autoAllocateIPv6": "use IPv4",
        "controlPlaneEgressMode": "",
        "controlPlaneOnPrivateSubnets": "it is on private subnets where there are some",
        "controlPlaneSecurityGroupIDs": "",
        "controlPlaneSubnetIDs": "name them under subnets",
        "extraCIDRs": "",
        "extraIPv6CIDRs": "",
        "hostnameType": "",
        "ipv6Cidr": "use IPv4",
        "ipv6Pool": "use IPv4",
        "manageSharedNodeSecurityGroupRules": "",
        "securityGroup": "",
        "sharedNodeSecurityGroup": "",
    },
    **{("vpc", "subnets", kind, ANY): {"cidr": "name a subnet by its id"} for kind in ("public", "private")},
    ("addons", ANY): {
        "attachPolicy": "use podIdentityAssociations",
        "attachPolicyARNs": "use podIdentityAssociations",
        "namespaceConfig": "",
        "owners": "name the add-on",
        "permissionsBoundary": "make the role yourself, and give its ARN",
        "publishers": "name the add-on",
        "types": "name the add-on",
        "wellKnownPolicies": "use podIdentityAssociations",
    },
    ("addons", ANY, "podIdentityAssociations", ANY): _IDENTITY,
    ("addons", ANY, "podIdentityAssociations", ANY, "wellKnownPolicies"): _WELL_KNOWN,
    ("managedNodeGroups", ANY): {
        "additionalVolumes": "",
        "ami": "AMIs are those of EKS",
        "asgSuspendProcesses": "",
        "bottlerocket": "",
        "disableIMDSv1": "it is off always",
        "ebsOptimized": "",
        "enableDetailedMonitoring": "",
        "instanceName": "",
        "instancePrefix": "",
        "instanceSelector": "name instanceTypes",
        "launchTemplate": "",
        "maxPodsPerNode": "",
        "outpostARN": "",
        "overrideBootstrapCommand": "",
        "preBootstrapCommands": "",
        "propagateASGTags": "",
        "securityGroups": "",
        "ssh": "use aws ssm, or kubectl debug node",
        "volumeName": "",
    },
    ("managedNodeGroups", ANY, "iam"): {
        "attachPolicy": "give attachPolicyARNs",
        "instanceProfileARN": "give instanceRoleARN",
        "instanceRoleName": "",
        "instanceRolePermissionsBoundary": "make the role yourself, and give instanceRoleARN",
        "withAddonPolicies": "use iam.podIdentityAssociations",
    },
    ("managedNodeGroups", ANY, "placement"): {"spreadLevel": ""},
    ("managedNodeGroups", ANY, "nodeRepairConfig"): {"nodeRepairConfigOverrides": ""},
    ("fargateProfiles", ANY): {"status": ""},
}

VALUES_NOT_DONE = {("kubernetesNetworkConfig", "ipFamily", "IPv6"): "use IPv4"}
"""By path and value, of fields that are done with other values. eksctl takes them in any case."""


def refuse(document: Document) -> None:
    """Raises DocumentError for the first field or value of eksctl that is not done here."""
    for path, value in _fields(document.value, ()):
        for (*field, other), instead in VALUES_NOT_DONE.items():
            if path == tuple(field) and str(value).lower() == other.lower():
                raise document.error(
                    path, f"{dotted(path)}: eksctl has {other}, aliquot does not do it; {instead}"
                )
        advice = _advice(path)
        if advice is not None:
            name = dotted(path)
            raise document.error(
                path, f"{name}: eksctl has it, aliquot does not do it; {advice or 'take it out'}"
            )


def _fields(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Of all objects, in the file's order, each with its value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*path, key), part
            yield from _fields(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _fields(part, (*path, number))


def _advice(path: Path) -> str | None:
    for pattern in _patterns(path[:-1]):
        found = NOT_DONE.get(pattern, {}).get(str(path[-1]))
        if found is not None:
            return found
    return None


def _patterns(path: Path) -> Iterator[tuple[str, ...]]:
    yield tuple(ANY if isinstance(part, int) else part for part in path)
    if path[:2] == ("vpc", "subnets") and len(path) == 4:
        yield (*(str(part) for part in path[:3]), ANY)


def dotted(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
