"""GPUPolicy: the node software of GPU nodes, as it is to be; and how far it is.

One for the cluster, or one for each pool of nodes. Operands are Aliquot's or NVIDIA's images; what is on the nodes already
can be left as it is. Field names follow NVIDIA's ClusterPolicy where it has the field.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from aliquot.kube.api.gpunode import API_VERSION, list_map
from aliquot.kube.api.meta import Condition, ObjectMeta
from aliquot.kube.api.validation import duration_text

LONGEST_NAME = 30
"""Of a policy: with an operand's name and a pool's around it, it has to be the name of a DaemonSet and a label's value."""

_Duration = Annotated[str, duration_text("it")]
_COUNT_OR_PERCENT = Meta(
    extra_json_schema={"minimum": 0, "maxLength": 8, "pattern": r"^(0|[1-9][0-9]*|[1-9]?[0-9]%|100%)$"}
)


class Env(Struct, kw_only=True, rename="camel", omit_defaults=True):
    name: Annotated[str, Meta(min_length=1, max_length=253)]
    """Of the variable."""
    value: str = ""
    """Of the variable."""


class Resources(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Quantities by name, as of any container."""

    requests: dict[str, int | str] = {}
    """What is kept free for it: `cpu: 100m`."""
    limits: dict[str, int | str] = {}
    """What it never has more of."""


class PullPolicy(StrEnum):
    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Operand(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One piece of node software, of which each node of the policy runs a pod."""

    enabled: bool = True
    """false: the nodes have none, and nobody waits for it."""
    preinstalled: bool = False
    """It is on the nodes already, by their image or by hand: leave it, and see whether it works."""
    repository: Annotated[str, Meta(max_length=253)] = ""
    """Of its image, as `image` and `version` empty: as shipped."""
    image: Annotated[str, Meta(max_length=253)] = ""
    """Its name, without what comes before it and after it."""
    version: Annotated[str, Meta(max_length=128)] = ""
    """A tag, or a digest that begins with `sha256:`."""
    image_pull_policy: PullPolicy | None = None
    """Absent: as Kubernetes has it for the version."""
    resources: Resources | None = None
    """Of its container; absent: as shipped."""
    env: Annotated[list[Env], list_map("name"), Meta(max_length=64)] = []
    """Variables beside those that it gets anyway."""
    args: Annotated[list[str], Meta(max_length=64)] = []
    """Beside those that it gets anyway, after them."""


class KernelModule(StrEnum):
    AUTO = "auto"
    """Open where the GPU is of Turing or later."""
    OPEN = "open"
    PROPRIETARY = "proprietary"


class DriverManager(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """The image that unloads the modules of the last driver before the next is loaded; empty: as shipped."""

    repository: Annotated[str, Meta(max_length=253)] = ""
    """Where the image is."""
    image: Annotated[str, Meta(max_length=253)] = ""
    """Its name."""
    version: Annotated[str, Meta(max_length=128)] = ""
    """A tag, or a digest."""


class Driver(Operand, kw_only=True, rename="camel", omit_defaults=True):
    kernel_module_type: KernelModule = KernelModule.AUTO
    """Open kernel modules, or NVIDIA's own."""
    use_precompiled: bool = False
    """Images that were built for one kernel: a DaemonSet for each kernel that the nodes run."""
    manager: DriverManager = field(default_factory=DriverManager)


class Agent(Operand, kw_only=True, rename="camel", omit_defaults=True):
    """Aliquot's node agent: device plugin, labels, MIG, MPS and metrics."""

    config: Annotated[str, Meta(max_length=253)] = ""
    """A ConfigMap of device plugin configurations, in the namespace of the operator; empty: `device-plugin-config`."""


class Exporter(Operand, kw_only=True, rename="camel", omit_defaults=True):
    service_monitor: bool = False
    """With Prometheus' operator there, what it scrapes."""


class Validator(Operand, kw_only=True, rename="camel", omit_defaults=True):
    workload: bool = True
    """Run a pod with a device on each node, before it is called validated."""


class WaitForJobs(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Before pods with GPUs are evicted from a node whose driver is to be upgraded."""

    pod_selector: Annotated[str, Meta(max_length=1024)] = ""
    """Labels, as `kubectl -l` takes them; empty: all pods with GPUs that end by themselves, those of Jobs and gangs."""
    timeout: _Duration | None = None
    """null: without end."""


class Checkpoint(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Jobs that can save what they have done are asked to: their pods get the annotation `aliquot.dev/checkpoint-requested`,
    and answer by `aliquot.dev/last-checkpoint`."""

    timeout: _Duration = "5m"
    """0s: nobody is asked."""


class Eviction(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Of pods with GPUs: their budgets are kept."""

    timeout: _Duration = "5m"
    """After so long the node is drained, or has failed."""
    force: bool = False
    """Also of pods that nobody makes anew."""
    delete_empty_dir: bool = False
    """Also of pods with an emptyDir, which is lost."""


class Drain(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Of the whole node, where the pods with GPUs did not go: the last resort."""

    timeout: _Duration = "5m"
    """After so long the node has failed."""
    force: bool = False
    """Also of pods that nobody makes anew."""
    delete_empty_dir: bool = False
    """Also of pods with an emptyDir, which is lost."""
    pod_selector: Annotated[str, Meta(max_length=1024)] = ""
    """Labels, as `kubectl -l` takes them; empty: all pods."""


class Canary(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Nodes that go first, and the time for which they have to stay well before the others follow."""

    nodes: Annotated[int, Meta(ge=0, le=1000)] = 1
    """How many go first; 0: all may, from the beginning."""
    soak: _Duration = "10m"
    """For so long after the last of them is done."""


class Window(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """When nodes may be taken out; those under way are finished."""

    schedule: Annotated[str, Meta(min_length=9, max_length=128)]
    """When it opens: `minute hour day month weekday`, as of a CronJob."""
    duration: _Duration
    """For so long it is open: `6h`."""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """Of the schedule: `Europe/Berlin`."""


class Upgrade(Struct, kw_only=True, rename="camel", omit_defaults=True):
    auto: bool = True
    """false: a node is upgraded when it is asked for, by the annotation `nvidia.com/gpu-driver-upgrade-requested`."""
    max_parallel: Annotated[int, Meta(ge=0, le=5000)] = 1
    """Nodes under way at the same time; 0: as many as `maxUnavailable` lets."""
    max_unavailable: Annotated[int | str, _COUNT_OR_PERCENT] = "25%"
    """Of the policy's nodes, cordoned or not ready for whatever reason; a part of a node is rounded up."""
    canary: Canary = field(default_factory=Canary)
    """Nodes that go first."""
    windows: Annotated[list[Window], Meta(max_length=32)] = []
    """None: at any time."""
    wait_for_jobs: WaitForJobs | None = None
    """null: nobody is waited for."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    """Jobs that can save are asked to before they are evicted."""
    eviction: Eviction = field(default_factory=Eviction)
    """Of pods with GPUs."""
    drain: Drain | None = None
    """null: a node whose pods with GPUs do not go has failed."""
    validation_timeout: _Duration = "10m"
    """After so long with the new driver the node has failed."""


class PodTemplate(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Of all operands."""

    labels: dict[str, str] = {}
    """Beside those that they have anyway."""
    annotations: dict[str, str] = {}
    """Beside those that they have anyway."""
    priority_class_name: str = "system-node-critical"
    """Of a PriorityClass that is there."""
    tolerations: list["Toleration"] = []
    """Beside `nvidia.com/gpu`, which is tolerated."""
    image_pull_secrets: Annotated[list[str], Meta(max_length=16)] = []
    """Names of Secrets in the namespace of the operator."""


class Toleration(Struct, kw_only=True, rename="camel", omit_defaults=True):
    key: str = ""
    """Of the taint; empty, with Exists: any."""
    operator: str = "Equal"
    """`Equal` or `Exists`."""
    value: str = ""
    """Of the taint, for Equal."""
    effect: str = ""
    """`NoSchedule`, `PreferNoSchedule`, `NoExecute`; empty: any."""


class Requirement(Struct, kw_only=True, rename="camel", omit_defaults=True):
    key: str
    """Of the label."""
    operator: str
    """`In`, `NotIn`, `Exists` or `DoesNotExist`."""
    values: list[str] = []
    """For In and NotIn."""


class NodeSelector(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """As a label selector."""

    match_labels: dict[str, str] = {}
    """All of them, with these values."""
    match_expressions: list[Requirement] = []
    """All of them."""


class HostPaths(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Where things are on the nodes."""

    driver_install_dir: str = "/run/nvidia/driver"
    """Where the driver's container has its files."""
    kubelet_root_dir: str = "/var/lib/kubelet"
    """Where kubelet has its sockets."""
    cdi: str = "/var/run/cdi"
    """Where descriptions of devices are, for the container runtime."""


class Deadlines(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """How long a node may take for a step before it is told as failed; it goes on trying."""

    driver: _Duration = "20m"
    """Until it is loaded."""
    toolkit: _Duration = "5m"
    """Until it is set up."""
    agent: _Duration = "5m"
    """Until it serves the GPUs."""
    exporter: _Duration = "5m"
    """Until it runs; nobody waits for it."""
    validator: _Duration = "10m"
    """Until the checks have passed."""


class GPUPolicySpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    node_selector: NodeSelector | None = None
    """Of the nodes with GPUs those that it is for; absent: all. A node that two policies are for is the older one's."""
    pods: PodTemplate = field(default_factory=PodTemplate)
    """What pods of all operands have."""
    driver: Driver = field(default_factory=Driver)
    """NVIDIA's kernel modules and libraries, loaded from a container."""
    toolkit: Operand = field(default_factory=Operand)
    """NVIDIA's container toolkit, which brings GPUs into containers."""
    agent: Agent = field(default_factory=Agent)
    """Aliquot's node agent: device plugin, labels, MIG, MPS and metrics."""
    exporter: Exporter = field(default_factory=Exporter)
    """NVIDIA's DCGM exporter, of metrics of the GPUs."""
    validator: Validator = field(default_factory=Validator)
    """Tries each node before it is called ready."""
    upgrade: Upgrade = field(default_factory=Upgrade)
    """How nodes get another driver: which, when, and what becomes of their pods."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    """How long each step may take on a node before it is told as failed; it goes on trying."""
    host_paths: HostPaths = field(default_factory=HostPaths)
    """Where things are on the nodes."""


class OperandStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    name: str
    """Of the operand: `driver`."""
    image: str = ""
    """That its pods are to have."""
    nodes: int = 0
    """That are to have it."""
    ready: int = 0
    """On which it is ready."""
    updated: int = 0
    """As the policy has it now."""
    failed: int = 0
    """Beyond their deadline."""


class NodeCounts(Struct, kw_only=True, rename="camel", omit_defaults=True):
    total: int = 0
    """Nodes with GPUs that the policy is for."""
    ready: int = 0
    """Validated, and not under way."""
    progressing: int = 0
    """On their way."""
    failed: int = 0
    """A step, or the upgrade, has failed."""
    upgrading: int = 0
    """Their driver is being exchanged."""


class GPUPolicyStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    observed_generation: int = 0
    """Of the spec that this is about."""
    nodes: NodeCounts | None = None
    """How many, by how far they are."""
    operands: Annotated[list[OperandStatus], list_map("name")] = []
    """The same of each operand."""
    conditions: Annotated[list[Condition], list_map("type")] = []
    """`Ready`, `Progressing` and `Degraded`."""


class GPUPolicy(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: GPUPolicySpec = field(default_factory=GPUPolicySpec)
    """What node software the nodes are to have."""
    status: GPUPolicyStatus = field(default_factory=GPUPolicyStatus)
    """How far they are: the operator's."""
    api_version: str = API_VERSION
    kind: str = "GPUPolicy"
