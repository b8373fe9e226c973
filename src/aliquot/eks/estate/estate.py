"""The parts of a cluster as AWS tells of them. Only what is judged or planned with."""

from typing import Any

import msgspec
from msgspec import Struct

from aliquot.eks.aws import arns
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.updates import SeenUpdate
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions import minor
from aliquot.eks.versions.calendar import Calendar
from aliquot.eks.versions.minor import Minor


class Issue(Struct, frozen=True):
    """Of health, as EKS has it."""

    code: str
    message: str = ""
    resources: tuple[str, ...] = ()


class Cluster(Struct, frozen=True, kw_only=True):
    name: str
    arn: str = ""
    minor: Minor
    platform: str = ""
    status: str = "ACTIVE"
    created_s: float = 0.0
    role_arn: str = ""
    vpc: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    """Also the one that EKS made."""
    support: str = "EXTENDED"
    """Its upgrade policy."""
    auto_mode: bool = False
    ip_family: str = "ipv4"
    endpoint: str = ""
    authority: str = ""
    tags: dict[str, str] = {}
    issues: tuple[Issue, ...] = ()

    @property
    def region(self) -> str:
        return arns.region(self.arn)


class Nodegroup(Struct, frozen=True, kw_only=True):
    name: str
    minor: Minor
    release: str = ""
    status: str = "ACTIVE"
    ami_type: str = "AL2023_x86_64_STANDARD"
    capacity: str = "ON_DEMAND"
    instance_types: tuple[str, ...] = ()
    minimum: int = 0
    desired: int = 0
    maximum: int = 0
    subnets: tuple[str, ...] = ()
    strategy: str = "DEFAULT"
    most_unavailable: int = 1
    """Nodes; where it is a share of them, as many as that is."""
    most_unavailable_percentage: int = 0
    """0: it is a number."""
    template: str = ""
    """Of its launch template the id; empty: it has none of its own."""
    template_version: str = ""
    labels: dict[str, str] = {}
    taints: tuple[str, ...] = ()
    """`key=value:NoSchedule`."""
    role_arn: str = ""
    disk_gib: int = 0
    """0: its launch template says."""
    copied: bool = False
    """Another one is to take its place: for a while there are as many nodes once more."""
    issues: tuple[Issue, ...] = ()


class Addon(Struct, frozen=True, kw_only=True):
    name: str
    build: str
    status: str = "ACTIVE"
    configuration: str = ""
    role_arn: str = ""
    """That its service account has by itself (IRSA); empty: it has none, or has one by pod identity."""
    issues: tuple[Issue, ...] = ()


class AddonBuild(Struct, frozen=True, kw_only=True):
    """One that EKS has."""

    addon: str
    build: str
    minors: tuple[Minor, ...]
    default_of: tuple[Minor, ...] = ()


class Subnet(Struct, frozen=True, kw_only=True):
    id: str
    zone: str
    free: int
    for_pods: bool = False
    """Tagged so that VPC CNI takes addresses of pods from it, too (kubernetes.io/role/cni)."""


class Template(Struct, frozen=True, kw_only=True):
    """A version of a launch template."""

    id: str
    version: str
    is_default: bool = False
    is_latest: bool = False
    image: str = ""
    user_data: str = ""
    """Decoded."""
    user_data_unreadable: str = ""
    """Why it could not be."""
    efa: int = 0
    """Interfaces."""
    instance_type: str = ""
    """Where the group leaves it to the template."""
    market: str = ""
    """`spot`, `capacity-block`; empty: on demand."""
    security_groups: tuple[str, ...] = ()
    """Empty: the cluster's own."""
    reservation: str = ""
    """Id of a capacity reservation, or the ARN of a group of them."""
    placement_group: str = ""
    disk_gib: int = 0
    """Of all volumes of a node; 0: the template says nothing of them."""
    gone: bool = False
    """There is none any more; nothing else of it is known."""


class Quota(Struct, frozen=True, kw_only=True):
    """Of the account, with what it uses of it: vCPUs, or TiB."""

    code: str
    name: str = ""
    limit: float
    used: float


class InstanceType(Struct, frozen=True, kw_only=True):
    name: str
    gpus: int = 0
    gpu: str = ""
    """A100, H100."""
    gpu_maker: str = ""
    vcpus: int = 0
    interfaces: int = 0
    addresses: int = 0
    """IPv4, of each interface; one of them is its own."""


class Recommended(Struct, frozen=True, kw_only=True):
    """The release of an AMI type that a group of a minor gets where none is asked for."""

    ami_type: str
    minor: Minor
    release: str


BUILDS, RESERVATIONS, SUBNETS = "builds of add-ons", "capacity reservations", "subnets"
"""As their reading is named in `unchecked`."""


class Reservation(Struct, frozen=True, kw_only=True):
    """Of capacity: on demand, or a block that ends."""

    id: str
    instance_type: str
    total: int = 0
    available: int = 0
    block: bool = False
    ends_s: float | None = None
    """None: nothing ends it by itself."""


class SecurityGroup(Struct, frozen=True, kw_only=True):
    id: str
    from_itself: bool = False
    """All traffic between its own members may come in."""
    to_itself: bool = False
    """And go out, by a rule that names the group: EFA goes by no other."""


class Insight(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    category: str
    minor: str
    status: str
    reason: str = ""
    refreshed_s: float = 0.0
    details: tuple[str, ...] = ()
    """One line each: which API and which client, which add-on and which builds would do."""


class Estate(Struct, frozen=True, kw_only=True):
    read_s: float = 0.0
    cluster: Cluster
    nodegroups: tuple[Nodegroup, ...] = ()
    addons: tuple[Addon, ...] = ()
    builds: tuple[AddonBuild, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    templates: tuple[Template, ...] = ()
    instance_types: tuple[InstanceType, ...] = ()
    quotas: tuple[Quota, ...] = ()
    """Of vCPUs and gp3, where some group grows while it is replaced."""
    reservations: tuple[Reservation, ...] = ()
    """Of the instance types of the groups, that are there or still to come."""
    security_groups: tuple[SecurityGroup, ...] = ()
    """Of interfaces with EFA."""
    recommended: tuple[Recommended, ...] = ()
    """Of AMI types with GPU software that some group has."""
    insights: tuple[Insight, ...] = ()
    updates: tuple[SeenUpdate, ...] = ()
    calendar: Calendar | None = None
    """Of minors, as AWS told of them; None: what is shipped has to do."""
    objects: Objects | None = None
    """None: no API server was asked."""
    sightings: tuple[Sighting, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    calls: dict[str, int] = {}
    """How many requests it took, by `service:Operation` or kind."""

    def was_read(self, what: str) -> bool:
        """False: nothing follows from there being none of it here."""
        return not any(one.what == what for one in self.unchecked)

    def templates_of(self, group: Nodegroup) -> tuple[Template, ...]:
        """The version that it has, the newest of its launch template otherwise; none: it has none, or it was not read."""
        own = [one for one in self.templates if group.template and one.id == group.template]
        exact = [one for one in own if one.version == group.template_version]
        return tuple(exact or [one for one in own if one.is_latest])[:1]

    def types_of(self, group: Nodegroup) -> tuple[str, ...]:
        """Instance types, wherever they are said."""
        by_template = (one.instance_type for one in self.templates_of(group) if one.instance_type)
        return group.instance_types or tuple(by_template)

    def builds_of(self, addon: str, minor: Minor) -> tuple[AddonBuild, ...]:
        return tuple(one for one in self.builds if one.addon == addon and minor in one.minors)


def encode(estate: Estate) -> bytes:
    return msgspec.json.encode(estate, enc_hook=minor.enc_hook)


def decode(text: bytes) -> Estate:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Estate, dec_hook=_dec)


def _dec(wanted: type, value: Any) -> Any:
    return minor.dec_hook(wanted, value)
