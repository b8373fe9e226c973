"""All that the fake knows: clusters with what belongs to them. Plain data, changed by the rules alone."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aliquot.eks.fake.faults import Faults
from aliquot.eks.fake.fleet import Fleet, Machine
from aliquot.eks.fake.known import Known
from aliquot.eks.fake.reserved import Market


@dataclass(kw_only=True)
class Durations:
    """How long things take, in seconds: about what they take at AWS."""

    create_cluster: float = 600
    delete_cluster: float = 180
    update_cluster: float = 540
    update_config: float = 60
    launch_node: float = 90
    """Until its kubelet could be there; then the fleet says whether it is."""
    create_nodegroup_most: float = 1200
    """After that it has failed."""
    evict_most: float = 900
    """Of one node. EKS knows no other, so pods that need longer stop an update."""
    settle: float = 60
    """Between a node's being empty and its end."""
    addon: float = 60
    fargate_profile: float = 120
    insights: float = 120
    upgrade_by_itself: float = 2 * 86400
    """After the end of a minor's support; AWS says no date beforehand."""


@dataclass(kw_only=True)
class Update:
    id: str
    type: str
    params: list[dict[str, str]]
    created_s: float
    of: str = ""
    """The node group or add-on; empty: the cluster itself."""
    due_s: float | None = None
    """None: a roll ends it."""
    status: str = "InProgress"
    errors: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    """What of the resource is set once it is done."""
    cancelled: dict[str, str] | None = None
    by_itself: bool = False
    """AWS began it, as the minor's extended support was over."""


@dataclass(kw_only=True)
class Node:
    machine: Machine
    launched_s: float
    drained_since_s: float | None = None
    """It is empty since then."""
    draining_s: float | None = None
    reservation: str = ""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What instances a node group takes, and from where."""

    instance_types: tuple[str, ...] = ()
    """Wherever they are said."""
    reservation: str = ""
    """That its launch template names."""
    preference: str = ""
    """Of its launch template, among reservations; empty: open ones first, then the market."""
    placement_group: str = ""


@dataclass(kw_only=True)
class Roll:
    """A node group's nodes on their way to another version."""

    update: str
    minor: str
    release: str
    template: dict[str, str] | None
    strategy: str
    unavailable: int
    surge: int
    force: bool
    draw_before: Draw


@dataclass(kw_only=True)
class Nodegroup:
    told: dict[str, Any]
    nodes: dict[str, Node] = field(default_factory=dict)
    roll: Roll | None = None
    since_s: float = 0.0
    zones: list[str] = field(default_factory=list)
    launched: int = 0
    draw: Draw = field(default_factory=Draw)
    failing: dict[str, Any] | None = None
    """The issue that its making, or its end, will have."""
    starved_s: float | None = None
    """There is no instance to be had since then."""


@dataclass(kw_only=True)
class Addon:
    told: dict[str, Any]
    due_s: float | None = None
    failing: dict[str, Any] | None = None
    drifted: bool = False
    """Somebody has changed its objects in the cluster."""


@dataclass(kw_only=True)
class Profile:
    """Of Fargate."""

    told: dict[str, Any]
    due_s: float | None = None
    zones: list[str] = field(default_factory=list)
    failing: dict[str, Any] | None = None
    """What its making will end with."""


@dataclass(kw_only=True)
class Cluster:
    told: dict[str, Any]
    born_minor: str
    due_s: float | None = None
    failing: dict[str, Any] | None = None
    upgraded_s: float | None = None
    upgraded_from: str = ""
    by_itself: bool = False
    """AWS upgraded it at the end of its support: there is no way back."""
    nodegroups: dict[str, Nodegroup] = field(default_factory=dict)
    addons: dict[str, Addon] = field(default_factory=dict)
    updates: dict[str, Update] = field(default_factory=dict)
    access: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Access policies by principal, by policy."""
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    fargate: dict[str, Profile] = field(default_factory=dict)
    fargate_nodes: dict[tuple[str, str], Machine] = field(default_factory=dict)
    """By namespace and name of their pods."""
    zones: frozenset[str] = frozenset()
    """Of the subnets that it was created with."""
    insights: list[dict[str, Any]] = field(default_factory=list)
    refreshed: tuple[float, float] | None = None
    """When the last refresh began, and when it is done."""

    @property
    def name(self) -> str:
        name: str = self.told["name"]
        return name

    @property
    def minor(self) -> str:
        minor: str = self.told["version"]
        return minor


@dataclass(kw_only=True)
class World:
    known: Known
    fleet: Fleet
    rng: random.Random
    region: str = "eu-west-1"
    account: str = "123456789012"
    durations: Durations = field(default_factory=Durations)
    faults: Faults = field(default_factory=Faults)
    groups_must_match: bool = True
    """Node groups have to be of the cluster's minor before it goes on, as the API reference says; the guide allows three behind."""
    insights_block: bool = False
    """EKS switched that on in March 2025, and off again a day later."""
    market: Market = field(default_factory=Market)
    quotas: dict[tuple[str, str], float] = field(default_factory=dict)
    """By service and code, where they are other than AWS gives them."""
    prices: dict[str, float] = field(default_factory=dict)
    """By instance type, likewise."""
    clusters: dict[str, Cluster] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict)

    def arn(self, *parts: str) -> str:
        return f"arn:aws:eks:{self.region}:{self.account}:{'/'.join(parts)}"

    def id(self) -> str:
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def at(now_s: float) -> datetime:
    return datetime.fromtimestamp(now_s, UTC)
