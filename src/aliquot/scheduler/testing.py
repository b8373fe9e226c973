"""Clusters in a line of Python, for tests and benchmarks: a table row should read as the rule that it checks.

node("a", "whole", "1g.10gb@0 1g.10gb@1")      two GPUs: one whole, one with two slices
node("b", gpus=8)                              no GPUNode: eight GPUs, known by number only
node("c", "whole", "1g.10gb@0", cut="h100-80gb")   GPUs of that board, cut and shared as pods need it
pod("p", gpu=2)                                asks for two whole GPUs
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations

from aliquot.gpu.boards import board
from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpuclass import GPUClassSpec, MigWay, SharesWay, Way, WholeWay, resource_of
from aliquot.kube.api.gpunode import Sharing
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.facts import Devices, DeviceState, NodeFacts, Withheld
from aliquot.scheduler.core.keeping_worth import by_worth
from aliquot.scheduler.core.matching import (
    NodeTerm,
    Operator,
    PreferredTerm,
    Requirement,
    Taint,
    TaintEffect,
    Toleration,
    TolerationOperator,
)
from aliquot.scheduler.core.mix import Mix, ask_of, supply_of, worth_to
from aliquot.scheduler.core.pod import (
    ContainerKind,
    ContainerRequest,
    DeviceChoice,
    GpuWish,
    HostPort,
    PlacedPod,
    PodRequest,
    PodShape,
    effective_request,
)
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.topology import GPU_LEVELS, GpuLevel

GPU = "nvidia.com/gpu"
GIB = 1 << 30
_FLAWS = {
    "": None,
    "unhealthy": Withheld.UNHEALTHY,
    "recut": Withheld.TO_BE_CUT,
    "unadvertised": Withheld.NOT_ADVERTISED,
    "outdated": Withheld.OUTDATED,
}
_SLOTS = {"1": 1, "2": 2, "3": 4, "4": 4, "7": 8}


def mig(profile: str) -> str:
    """The resource of a slice: `mig("1g.10gb")` is `nvidia.com/mig-1g.10gb`."""
    return "nvidia.com/mig-" + profile.replace("+", ".")


def gpu_uuid(node: str, index: int) -> str:
    return f"{node}-gpu{index}"


def node(
    name: str,
    *layouts: str,
    cpu: float = 64,
    memory_gib: int = 512,
    pods: int = 110,
    gpus: int = 0,
    offers: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[str] = (),
    cordoned: bool = False,
    links: Mapping[tuple[int, int], int] | None = None,
    numa: Sequence[Sequence[int]] = (),
    nvlink: Sequence[Sequence[int]] = (),
    packs_shares: bool = False,
    packs_slices: bool = True,
    cut: str = "",
    static: bool = False,
    classes: Mapping[str, GPUClassSpec] | None = None,
) -> NodeFacts:
    """A node. Each of `layouts` is a GPU that its GPUNode lists: `whole`, or slices as `PROFILE@START`, with spaces between.

    A device may end in any of these, in this order:
    `:CLASS`, its name;
    `*SHARES` (`*SHARES/1`: one for each container; `*SHARES,mps`);
    `!unhealthy`, `!recut`, `!unadvertised`, `!outdated`;
    `=HOLDER`, a pod's key (of shares several, with `+` between).

    `links`: score by GPU indexes. `numa`, `nvlink`: GPUs that are together. `cut`: the key of the GPUs' board; slices and shares
    are made of them as pods need it, or with `static` only names change. MIG is on where a layout is not `whole`.
    """
    listed: list[DeviceState] = []
    for index, layout in enumerate(layouts):
        listed.extend(_device(gpu_uuid(name, index), text) for text in layout.split())
    both_ways = {
        (gpu_uuid(name, a), gpu_uuid(name, b)): score
        for (one, other), score in (links or {}).items()
        for a, b in ((one, other), (other, one))
    }
    allocatable = {
        "cpu": round(cpu * 1000),
        "memory": memory_gib * GIB,
        "pods": pods,
        GPU: gpus,
        **(offers or {}),
    }
    return NodeFacts(
        name=name,
        labels={"kubernetes.io/hostname": name, **(labels or {})},
        taints=tuple(taint(text) for text in taints),
        unschedulable=cordoned,
        allocatable={resource: amount for resource, amount in allocatable.items() if amount},
        devices=Devices(
            listed,
            both_ways,
            {
                level: [frozenset(gpu_uuid(name, index) for index in domain) for domain in domains]
                for level, domains in ((GpuLevel.NUMA, numa), (GpuLevel.NVLINK, nvlink))
                if domains
            },
        ),
        gpus=tuple(_gpu(gpu_uuid(name, index), cut, layout, static) for index, layout in enumerate(layouts))
        if cut
        else (),
        classes=classes or {},
        packs_shares=packs_shares,
        packs_slices=packs_slices,
    )


def _gpu(uuid: str, key: str, layout: str, static: bool) -> GpuFacts:
    found = board(key)
    return GpuFacts(
        uuid=uuid,
        board=key,
        memory_mib=found.memory_mib,
        profiles=profiles(key),
        mig_on=not layout.startswith("whole"),
        may_cut=not static,
        may_change_mode=found.mig is not None and found.mig.mode_change_needs_reset is False,
    )


@cache
def profiles(key: str) -> tuple[InstanceProfile, ...]:
    """Of a board, by its key; always the same object."""
    mig = board(key).mig
    return mig.instance_profiles() if mig is not None else ()


def ways(*texts: str) -> GPUClassSpec:
    """A class with these ways: `whole`, `1g.10gb`, `1/4 mps`, `1/4 timeSlicing`."""
    return GPUClassSpec(ways=[_way(text) for text in texts])


def _way(text: str) -> Way:
    if text == "whole":
        return Way(whole=WholeWay())
    part, _, sharing = text.partition(" ")
    if not sharing:
        return Way(mig=MigWay(profile=part))
    shares = SharesWay(replicas=int(part.removeprefix("1/")))
    return Way(mps=shares) if sharing == "mps" else Way(time_slicing=shares)


def _device(gpu: str, text: str) -> DeviceState:
    text, _, holders = text.partition("=")
    text, _, flaw = text.partition("!")
    text, _, shares = text.partition("*")
    shares, _, sharing = shares.partition(",")
    shares, _, most = shares.partition("/")
    text, _, class_name = text.partition(":")
    profile, _, start = text.partition("@")
    whole = profile == "whole"
    return DeviceState(
        resource=resource_of(class_name) if class_name else GPU if whole else mig(profile),
        gpu=gpu,
        profile="" if whole else profile,
        start=None if whole else int(start),
        size=8 if whole else _SLOTS[profile[0]],
        withheld=_FLAWS[flaw],
        holders=tuple(sorted(holders.split("+"))) if holders else (),
        shares=int(shares or 0),
        sharing=Sharing(sharing) if sharing else Sharing.NONE,
        one_per_container=most == "1",
    )


def linked(groups: Sequence[Sequence[int]], *, near: int = 100, far: int = 10) -> dict[tuple[int, int], int]:
    """Link scores where GPUs of one group reach each other well and all others badly."""
    group_of = {gpu: number for number, group in enumerate(groups) for gpu in group}
    return {(a, b): near if group_of[a] == group_of[b] else far for a, b in combinations(sorted(group_of), 2)}


def taint(text: str) -> Taint:
    """`key=value:Effect` or `key:Effect`."""
    name, _, effect = text.rpartition(":")
    key, _, value = name.partition("=")
    return Taint(key, TaintEffect(effect), value)


def toleration(text: str) -> Toleration:
    """`key=value:Effect`; without `=value` any value, without `:Effect` any effect, `*` everything."""
    if text == "*":
        return Toleration(operator=TolerationOperator.EXISTS)
    name, _, effect = text.partition(":")
    key, equal, value = name.partition("=")
    operator = TolerationOperator.EQUAL if equal else TolerationOperator.EXISTS
    return Toleration(key, operator, value, TaintEffect(effect) if effect else None)


def term(*requirements: str) -> NodeTerm:
    """Each `key in a,b`, `key notin a,b`, `key > 1`, `key < 1`, `key`, `!key`; the key `@name` is the node's name."""
    parsed = [_requirement(text) for text in requirements]
    return NodeTerm(
        labels=tuple(r for r in parsed if r.key != "metadata.name"),
        fields=tuple(r for r in parsed if r.key == "metadata.name"),
    )


_OPERATORS = {"in": Operator.IN, "notin": Operator.NOT_IN, ">": Operator.GT, "<": Operator.LT}


def _requirement(text: str) -> Requirement:
    key, *rest = text.replace("@name", "metadata.name").split(maxsplit=2)
    if rest:
        return Requirement(key, _OPERATORS[rest[0]], tuple(rest[1].split(",")))
    if key.startswith("!"):
        return Requirement(key[1:], Operator.DOES_NOT_EXIST)
    return Requirement(key, Operator.EXISTS)


def container(
    name: str = "main",
    *,
    kind: ContainerKind = ContainerKind.APP,
    cpu: float = 0,
    gpu: int = 0,
    **slices: int,
) -> ContainerRequest:
    """`slices` by profile with underscores for dots: `container(_1g_10gb=2)`."""
    wanted = {"cpu": round(cpu * 1000), GPU: gpu}
    wanted |= {mig(profile.strip("_").replace("_", ".")): count for profile, count in slices.items()}
    return ContainerRequest(name, kind, {resource: amount for resource, amount in wanted.items() if amount})


def pod(
    name: str,
    *containers: ContainerRequest,
    gpu: int = 0,
    cpu: float = 0,
    memory_gib: int = 0,
    wants: Mapping[str, int] | None = None,
    selector: Mapping[str, str] | None = None,
    required: Sequence[NodeTerm] | None = None,
    preferred: Sequence[tuple[int, NodeTerm]] = (),
    tolerates: Sequence[str] = (),
    ports: Sequence[int] = (),
    priority: int = 0,
    created_s: float = 0.0,
    on_node: str = "",
    gpus_in: str = "",
    gpus_rather_in: str = "",
) -> PodRequest:
    """A pod in namespace `default`. Without `containers`: one, `main`, that asks for `gpu`, `cpu` and `wants`.
    `gpus_in`: `numa` or `nvlink`, in one of which its GPUs have to be; `gpus_rather_in`: should be."""
    if not containers:
        asked = {"cpu": round(cpu * 1000), "memory": memory_gib * GIB, GPU: gpu, **(wants or {})}
        request = {resource: amount for resource, amount in asked.items() if amount}
        containers = (ContainerRequest("main", ContainerKind.APP, request),)
    node_selector = tuple(sorted((selector or {}).items()))
    terms = None if required is None else tuple(required)
    likes = tuple(PreferredTerm(weight, preferred_term) for weight, preferred_term in preferred)
    tolerations = tuple(toleration(text) for text in tolerates)
    host_ports = tuple(HostPort(port) for port in ports)
    wish = None
    if gpus_in or gpus_rather_in:
        wish = GpuWish(
            *(GPU_LEVELS[f"aliquot.dev/{level}"] if level else None for level in (gpus_in, gpus_rather_in))
        )
    shape = PodShape(
        signature=repr((containers, node_selector, terms, likes, tolerations, host_ports, on_node, wish)),
        containers=tuple(containers),
        request=effective_request(containers),
        node_name=on_node,
        node_selector=node_selector,
        required=terms,
        preferred=likes,
        tolerations=tolerations,
        host_ports=host_ports,
        gpu_wish=wish,
    )
    return PodRequest(f"default/{name}", f"uid-{name}", shape, priority, created_s)


def by_usual(pods: Iterable[PodRequest], nodes: Sequence[NodeFacts]) -> Policies:
    """As the scheduler places once it has seen these pods, on these nodes."""
    mix = Mix()
    for request in pods:
        ask = ask_of(request.shape)
        if ask is not None:
            mix.count(ask)
    supply = supply_of(nodes, mix.resources)
    return by_worth(Policies(), worth_to(mix, supply), supply.units)


def placed(request: PodRequest, where: str, *, admitted: bool = False) -> PlacedPod:
    """`request` bound at `where`, as `describe` spells it: `a`, `a gpu0`, `a gpu1@4 gpu1@5`, `a gpu0*2`, `a main=gpu0`."""
    node_name, *devices = where.split()
    return PlacedPod(
        key=request.key,
        uid=request.uid,
        node=node_name,
        request=request.shape.request,
        devices=tuple(_choice(node_name, text, request) for text in devices),
        host_ports=request.shape.host_ports,
        admitted=admitted,
        kin=request.kin,
    )


def _choice(node_name: str, text: str, request: PodRequest) -> DeviceChoice:
    owner, _, device = text.rpartition("=")
    device, _, shares = device.partition("*")
    gpu, at, start = device.partition("@")
    owner = owner or request.shape.containers[0].name
    asked = next(c.requests for c in request.shape.containers if c.name == owner)
    resource = next(r for r in asked if r.startswith("nvidia.com/mig-" if at else GPU))
    profile = resource.removeprefix("nvidia.com/mig-") if at else ""
    slot = int(start) if at else None
    return DeviceChoice(owner, resource, f"{node_name}-{gpu}", profile, slot, int(shares or 0))


def describe(pod_: PlacedPod) -> str:
    """Node and devices in one line; devices with their container where there are several containers."""
    owners = {choice.container for choice in pod_.devices}
    words = [pod_.node]
    for choice in pod_.devices:
        device = choice.gpu.removeprefix(f"{pod_.node}-")
        device += "" if choice.start is None else f"@{choice.start}"
        device += f"*{choice.shares}" if choice.shares else ""
        words.append(f"{choice.container}={device}" if len(owners) > 1 else device)
    return " ".join(words)
