"""What of eksctl's ClusterConfig is done here, with its names and defaults; where a field or default is ours, it says so."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

Tags = dict[str, str]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    pass


class Metadata(_Part, frozen=True, kw_only=True):
    name: str
    region: str
    version: str
    tags: Tags = {}


class Network(_Part, frozen=True, kw_only=True):
    ip_family: Literal["IPv4"] = "IPv4"
    service_cidr: str | None = field(default=None, name="serviceIPv4CIDR")


class WellKnownPolicies(_Part, frozen=True, kw_only=True):
    ebs_csi: bool = field(default=False, name="ebsCSIController")
    efs_csi: bool = field(default=False, name="efsCSIController")


class PodIdentity(_Part, frozen=True, kw_only=True):
    namespace: str = ""
    service_account: str = field(name="serviceAccountName")
    role_arn: str = field(default="", name="roleARN")
    policy_arns: tuple[str, ...] = field(default=(), name="permissionPolicyARNs")
    policy: dict[str, Any] = field(default_factory=dict, name="permissionPolicy")
    well_known: WellKnownPolicies = field(default_factory=WellKnownPolicies, name="wellKnownPolicies")
    tags: Tags = {}


class Iam(_Part, frozen=True, kw_only=True):
    service_role_arn: str = field(default="", name="serviceRoleARN")
    fargate_role_arn: str = field(default="", name="fargatePodExecutionRoleARN")
    with_oidc: bool = field(default=False, name="withOIDC")
    pod_identities: tuple[PodIdentity, ...] = field(default=(), name="podIdentityAssociations")


class AccessScope(_Part, frozen=True, kw_only=True):
    type: Literal["cluster", "namespace"] = "cluster"
    namespaces: tuple[str, ...] = ()


class AccessPolicy(_Part, frozen=True, kw_only=True):
    policy_arn: str = field(name="policyARN")
    scope: AccessScope = field(default_factory=AccessScope, name="accessScope")


class AccessEntry(_Part, frozen=True, kw_only=True):
    principal_arn: str = field(name="principalARN")
    type: Literal["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX"] = "STANDARD"
    groups: tuple[str, ...] = field(default=(), name="kubernetesGroups")
    username: str = field(default="", name="kubernetesUsername")
    policies: tuple[AccessPolicy, ...] = field(default=(), name="accessPolicies")


class AccessConfig(_Part, frozen=True, kw_only=True):
    authentication_mode: Literal["API", "API_AND_CONFIG_MAP"] = "API"
    """eksctl's default is API_AND_CONFIG_MAP. Nothing here needs the ConfigMap."""
    creator_is_admin: bool = field(default=True, name="bootstrapClusterCreatorAdminPermissions")
    entries: tuple[AccessEntry, ...] = field(default=(), name="accessEntries")


class Subnet(_Part, frozen=True, kw_only=True):
    id: str
    az: str = ""


class Subnets(_Part, frozen=True, kw_only=True):
    public: dict[str, Subnet] = {}
    private: dict[str, Subnet] = {}


class Nat(_Part, frozen=True, kw_only=True):
    gateway: Literal["Single", "HighlyAvailable", "Disable"] = "Single"


class Endpoints(_Part, frozen=True, kw_only=True):
    public: bool = field(default=True, name="publicAccess")
    private: bool = field(default=False, name="privateAccess")


class Vpc(_Part, frozen=True, kw_only=True):
    id: str = ""
    cidr: str = "192.168.0.0/16"
    subnets: Subnets = field(default_factory=Subnets)
    nat: Nat = field(default_factory=Nat)
    endpoints: Endpoints = field(default_factory=Endpoints, name="clusterEndpoints")
    public_cidrs: tuple[str, ...] = field(default=(), name="publicAccessCIDRs")


class SecretsEncryption(_Part, frozen=True, kw_only=True):
    key_arn: str = field(default="", name="keyARN")
    """Empty: a key is made (ours; eksctl asks for one)."""


class ClusterLogging(_Part, frozen=True, kw_only=True):
    types: tuple[str, ...] = field(default=(), name="enableTypes")
    retention_days: int = field(default=0, name="logRetentionInDays")
    """0: for ever."""


class CloudWatch(_Part, frozen=True, kw_only=True):
    logging: ClusterLogging = field(default_factory=ClusterLogging, name="clusterLogging")


class UpgradePolicy(_Part, frozen=True, kw_only=True):
    support: Literal["STANDARD", "EXTENDED"] = field(default="EXTENDED", name="supportType")


class Addon(_Part, frozen=True, kw_only=True):
    name: str
    version: str = ""
    configuration: str = field(default="", name="configurationValues")
    role_arn: str = field(default="", name="serviceAccountRoleARN")
    pod_identities: tuple[PodIdentity, ...] = field(default=(), name="podIdentityAssociations")
    default_identities: bool = field(default=False, name="useDefaultPodIdentityAssociations")
    resolve_conflicts: Literal["none", "overwrite", "preserve"] = "none"
    tags: Tags = {}


class AddonsConfig(_Part, frozen=True, kw_only=True):
    auto_identities: bool = field(default=False, name="autoApplyPodIdentityAssociations")
    no_defaults: bool = field(default=False, name="disableDefaultAddons")


class Taint(_Part, frozen=True, kw_only=True):
    key: str
    value: str = ""
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


class NodeIam(_Part, frozen=True, kw_only=True):
    role_arn: str = field(default="", name="instanceRoleARN")
    policy_arns: tuple[str, ...] = field(default=(), name="attachPolicyARNs")


class Placement(_Part, frozen=True, kw_only=True):
    group: str = field(default="", name="groupName")
    """Empty: a cluster placement group is made."""


class ReservationTarget(_Part, frozen=True, kw_only=True):
    id: str = field(default="", name="capacityReservationID")
    group_arn: str = field(default="", name="capacityReservationResourceGroupARN")


class CapacityReservation(_Part, frozen=True, kw_only=True):
    preference: Literal["open", "none", "capacity-reservations-only"] | None = field(
        default=None, name="capacityReservationPreference"
    )
    target: ReservationTarget | None = field(default=None, name="capacityReservationTarget")


class Market(_Part, frozen=True, kw_only=True):
    type: Literal["capacity-block"] = field(name="marketType")


class UpdateConfig(_Part, frozen=True, kw_only=True):
    unavailable: int | UnsetType = field(default=UNSET, name="maxUnavailable")
    unavailable_percent: int | UnsetType = field(default=UNSET, name="maxUnavailablePercentage")
    strategy: Literal["DEFAULT", "MINIMAL"] | UnsetType = field(default=UNSET, name="updateStrategy")
    """Ours: eksctl does not have it, EKS does. MINIMAL is what groups without spare capacity need."""


class NodeRepair(_Part, frozen=True, kw_only=True):
    enabled: bool = False
    unhealthy_count: int | UnsetType = field(default=UNSET, name="maxUnhealthyNodeThresholdCount")
    unhealthy_percent: int | UnsetType = field(default=UNSET, name="maxUnhealthyNodeThresholdPercentage")
    parallel_count: int | UnsetType = field(default=UNSET, name="maxParallelNodesRepairedCount")
    parallel_percent: int | UnsetType = field(default=UNSET, name="maxParallelNodesRepairedPercentage")


class NodeGroup(_Part, frozen=True, kw_only=True):
    name: str
    ami_family: Literal["AmazonLinux2023", "AmazonLinux2", "Bottlerocket", "BottlerocketFips"] = (
        "AmazonLinux2023"
    )
    instance_type: str = ""
    instance_types: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    desired: int | None = field(default=None, name="desiredCapacity")
    volume_size_gib: int = field(default=80, name="volumeSize")
    volume_type: Literal["gp2", "gp3", "io1", "io2"] = "gp3"
    volume_iops: int | UnsetType = field(default=UNSET, name="volumeIOPS")
    volume_throughput_mib: int | UnsetType = field(default=UNSET, name="volumeThroughput")
    volume_encrypted: bool = True
    """eksctl's default is what the account's is; here disks are encrypted."""
    volume_key: str = field(default="", name="volumeKmsKeyID")
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    tags: Tags = {}
    private: bool = field(default=False, name="privateNetworking")
    zones: tuple[str, ...] = field(default=(), name="availabilityZones")
    subnets: tuple[str, ...] = ()
    """Ids, or names of subnets under vpc.subnets."""
    spot: bool = False
    efa: bool = field(default=False, name="efaEnabled")
    placement: Placement | None = None
    reservation: CapacityReservation | None = field(default=None, name="capacityReservation")
    market: Market | None = field(default=None, name="instanceMarketOptions")
    update: UpdateConfig | None = field(default=None, name="updateConfig")
    repair: NodeRepair | None = field(default=None, name="nodeRepairConfig")
    no_pod_imds: bool = field(default=True, name="disablePodIMDS")
    """eksctl's default is false. Pods get their rights by pod identity; none needs the node's."""
    iam: NodeIam = field(default_factory=NodeIam)
    release: str = field(default="", name="releaseVersion")

    @property
    def types(self) -> tuple[str, ...]:
        return self.instance_types or (self.instance_type or DEFAULT_INSTANCE_TYPE,)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Least, wanted, most."""
        wanted = next(
            (size for size in (self.desired, self.min_size, self.max_size) if size is not None), DEFAULT_SIZE
        )
        least = wanted if self.min_size is None else self.min_size
        return least, wanted, max(1, wanted) if self.max_size is None else self.max_size


DEFAULT_INSTANCE_TYPE, DEFAULT_SIZE = "m5.large", 2
"""As eksctl has them."""


class Selector(_Part, frozen=True, kw_only=True):
    namespace: str
    labels: dict[str, str] = {}


class FargateProfile(_Part, frozen=True, kw_only=True):
    name: str
    selectors: tuple[Selector, ...]
    role_arn: str = field(default="", name="podExecutionRoleARN")
    subnets: tuple[str, ...] = ()
    tags: Tags = {}


class ClusterConfig(_Part, frozen=True, kw_only=True):
    api_version: Literal["eksctl.io/v1alpha5"]
    kind: Literal["ClusterConfig"]
    metadata: Metadata
    network: Network = field(default_factory=Network, name="kubernetesNetworkConfig")
    iam: Iam = field(default_factory=Iam)
    access: AccessConfig = field(default_factory=AccessConfig, name="accessConfig")
    vpc: Vpc = field(default_factory=Vpc)
    zones: tuple[str, ...] = field(default=(), name="availabilityZones")
    secrets: SecretsEncryption | None = field(default=None, name="secretsEncryption")
    cloud_watch: CloudWatch = field(default_factory=CloudWatch)
    upgrade_policy: UpgradePolicy = field(default_factory=UpgradePolicy)
    deletion_protection: bool = False
    """Ours: eksctl does not have it, EKS does."""
    addons: tuple[Addon, ...] = ()
    addons_config: AddonsConfig = field(default_factory=AddonsConfig)
    groups: tuple[NodeGroup, ...] = field(default=(), name="managedNodeGroups")
    fargate: tuple[FargateProfile, ...] = field(default=(), name="fargateProfiles")
