"""Devices made for pods that find none: each row is a cluster, those who wait, and what is made for them where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import ContainerKind, ContainerRequest, DeviceChoice, PlacedPod, PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, container, mig, node, placed, pod, ways

H100, A100 = "h100-80gb", "a100-80gb"
CLASSES = {
    "small": ways("1g.10gb"),
    "half": ways("1/2 mps"),
    "quarter": ways("1/4 mps"),
    "big": ways("whole"),
    "any": ways("1g.10gb", "1/4 timeSlicing", "whole"),
    "two": ways("1g.10gb", "1/4 mps"),
}


def of(name: str) -> str:
    return f"class.aliquot.dev/{name}"


def cut(name: str, *layouts: str, board: str = H100, static: bool = False, cpu: float = 64) -> NodeFacts:
    return node(name, *layouts, cut=board, static=static, classes=CLASSES, cpu=cpu)


def without_mps(facts: NodeFacts) -> NodeFacts:
    return replace(facts, gpus=tuple(replace(gpu, mps_clients=0) for gpu in facts.gpus))


def wants(name: str, *resources: str) -> PodRequest:
    """One container for each, `RESOURCE` or `RESOURCE*COUNT`."""
    containers = [asks(f"c{number}", text) for number, text in enumerate(resources)]
    return pod(name, *containers)


def asks(name: str, text: str, kind: ContainerKind = ContainerKind.APP) -> ContainerRequest:
    resource, _, count = text.partition("*")
    return ContainerRequest(name, kind, {resource: int(count or 1)})


def init(text: str) -> ContainerRequest:
    return asks("init", text, ContainerKind.INIT)


def sidecar(text: str) -> ContainerRequest:
    return asks("sidecar", text, ContainerKind.SIDECAR)


def told(one: PlacedPod) -> str:
    """`a: 1g.10gb@6 of gpu0`, `a: 1/4 mps of gpu0`, `a: gpu0`; ready at once where it does not begin with `makes`."""
    words = [_device(choice, one.node) for choice in one.devices]
    return f"{'makes ' if one.reserved else ''}{one.node}: {', '.join(words)}"


def _device(choice: DeviceChoice, where: str) -> str:
    gpu = choice.gpu.removeprefix(f"{where}-")
    if choice.start is not None:
        return f"{choice.profile}@{choice.start} of {gpu}"
    if choice.replicas:
        return f"{choice.shares}/{choice.replicas} {choice.sharing} of {gpu}"
    return f"{choice.shares} of {gpu}" if choice.shares else gpu


@dataclass(frozen=True)
class Row:
    rule: str
    nodes: Sequence[NodeFacts]
    pods: Sequence[PodRequest]
    go: Mapping[str, str] = field(default_factory=dict)
    wait: Mapping[str, str] = field(default_factory=dict)
    bound: Sequence[tuple[PodRequest, str]] = ()


def rows(*cases: Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", cases, ids=lambda row: row.rule)


def check(row: Row) -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in row.nodes:
        snapshot.set_facts(facts)
    for request, where in row.bound:
        snapshot.set_pod(placed(request, where))
    for request in row.pods:
        pending.put(request)
    outcome = cycle.run(snapshot, pending, rankings)
    go = {bind.pod.key.removeprefix("default/"): told(bind.placed) for bind in outcome.binds}
    wait = {
        key.removeprefix("default/"): why_no_node(snapshot, request.shape, rankings).message
        for key, request in pending.pods.items()
    }
    assert (go, wait) == (dict(row.go), dict(row.wait))


SLICE = mig("1g.10gb")


@rows(
    Row(
        "a slice that is not what the class asks for any more is not taken, and goes for one that is",
        [cut("a", "7g.80gb@0:small!outdated")],
        [wants("p", of("small"))],
        {"p": "makes a: 1g.10gb@6 of gpu0"},
    ),
    Row(
        "it is the driver's again where it serves so",
        [cut("a", "7g.80gb@0:small!outdated")],
        [wants("p", mig("7g.80gb"))],
        {"p": "makes a: 7g.80gb@0 of gpu0"},
    ),
    Row(
        "a share under MPS is made where there is MPS",
        [without_mps(cut("a", "whole")), cut("b", "whole")],
        [wants("p", of("half"))],
        {"p": "makes b: 1/2 mps of gpu0"},
    ),
    Row(
        "and where there is none the pod says so",
        [without_mps(cut("a", "whole"))],
        [wants("p", of("half"))],
        wait={"p": "GPUClass half: MPS share, 1 of 2 on h100-80gb: the agent of its node has no mpsRoot"},
    ),
    Row(
        "not while a bound pod may be given it",
        [cut("a", "7g.80gb@0:small!outdated")],
        [wants("p", of("small"))],
        wait={
            "p": "1 node matches, it has not enough to give: needs 1 class.aliquot.dev/small, 0 free, "
            "1 not what the GPUClass asks for"
        },
        bound=[(wants("q", of("small")), "a")],
    ),
    Row(
        "one that is there is taken",
        [cut("a", "1g.10gb@0")],
        [wants("p", SLICE)],
        {"p": "a: 1g.10gb@0 of gpu0"},
    ),
    Row(
        "on another node before one is made",
        [cut("a", "whole"), cut("b", "1g.10gb@3")],
        [wants("p", SLICE)],
        {"p": "b: 1g.10gb@3 of gpu0"},
    ),
    Row("else one is cut", [cut("a", "whole")], [wants("p", SLICE)], {"p": "makes a: 1g.10gb@6 of gpu0"}),
    Row(
        "each pod has its own, of one GPU while there is room",
        [cut("a", "whole", "whole")],
        [wants("p", SLICE), wants("q", mig("3g.40gb")), wants("r", mig("4g.40gb"))],
        {
            "p": "makes a: 1g.10gb@6 of gpu0",
            "q": "makes a: 3g.40gb@0 of gpu0",
            "r": "makes a: 4g.40gb@0 of gpu1",
        },
    ),
    Row(
        "of what somebody is still to get, nothing",
        [cut("a", "7g.80gb@0")],
        [wants("p", SLICE)],
        wait={"p": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
        bound=[(wants("q", mig("7g.80gb")), "a")],
    ),
    Row(
        "two for one container",
        [cut("a", "whole")],
        [wants("p", SLICE + "*2")],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0"},
    ),
    Row(
        "one of them is there",
        [cut("a", "1g.10gb@6")],
        [wants("p", SLICE + "*2")],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0"},
    ),
    Row(
        "MIG is not switched on where that takes a reset",
        [cut("a", "whole", board=A100)],
        [wants("p", SLICE)],
        wait={"p": "nvidia.com/mig-1g.10gb is not offered by any node"},
    ),
    Row(
        "nothing is cut where others decide",
        [cut("a", "whole", static=True)],
        [wants("p", SLICE)],
        wait={"p": "nvidia.com/mig-1g.10gb is not offered by any node"},
    ),
    Row(
        "nor of a GPU that is nobody's to cut",
        [node("a", "whole")],
        [wants("p", SLICE)],
        wait={"p": "nvidia.com/mig-1g.10gb is not offered by any node"},
    ),
    Row(
        "not for a pod that lacks something else there",
        [cut("a", "whole", cpu=1), cut("b", "whole")],
        [pod("p", container(cpu=2, _1g_10gb=1))],
        {"p": "makes b: 1g.10gb@6 of gpu0"},
    ),
)
def test_slices(row: Row) -> None:
    check(row)


@rows(
    Row("a slice", [cut("a", "1g.10gb@6")], [wants("p", of("small"))], {"p": "makes a: 1g.10gb@6 of gpu0"}),
    Row("a GPU", [cut("a", "whole")], [wants("p", of("big"))], {"p": "makes a: gpu0"}),
    Row(
        "names alone, where others cut",
        [cut("a", "1g.10gb@0 1g.10gb@1", "whole", static=True)],
        [wants("p", of("small")), wants("q", of("big")), wants("r", of("half"))],
        {"p": "makes a: 1g.10gb@1 of gpu0", "q": "makes a: gpu1"},
        {"r": "class.aliquot.dev/half is not offered by any node"},
    ),
    Row(
        "the first way for which there is room",
        [cut("a", "7g.80gb@0=default/x", "whole")],
        [wants("p", of("any"))],
        {"p": "makes a: 1g.10gb@6 of gpu1"},
    ),
    Row(
        "the next where there is none",
        [cut("a", "whole", board="t4")],
        [wants("p", of("any")), wants("q", of("any"))],
        {"p": "makes a: 1/4 timeSlicing of gpu0", "q": "makes a: 1/4 timeSlicing of gpu0"},
    ),
    Row(
        "shares of one GPU until it is full",
        [cut("a", "whole", "whole")],
        [wants(name, of("half")) for name in "pqr"],
        {
            "p": "makes a: 1/2 mps of gpu0",
            "q": "makes a: 1/2 mps of gpu0",
            "r": "makes a: 1/2 mps of gpu1",
        },
    ),
    Row(
        "a container's shares are of one GPU",
        [cut("a", "whole:quarter*4,mps=default/x", "whole")],
        [wants("p", of("quarter") + "*4")],
        {"p": "makes a: 4/4 mps of gpu1"},
    ),
    Row(
        "and none has more than that",
        [cut("a", "whole", "whole")],
        [wants("p", of("half") + "*3")],
        wait={
            "p": "no node gives one container 3 class.aliquot.dev/half: it may have 2 where GPUs are shared"
        },
    ),
    Row(
        "shares and slices are never of one container",
        [cut("a", "1g.10gb@6 4g.40gb@0=default/x 1g.10gb@4=default/x 1g.10gb@5=default/x", "whole")],
        [wants("p", of("two") + "*2")],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@6 of gpu1"},
    ),
    Row(
        "shares alone where slices do not suffice",
        [
            node("a", "1g.10gb@6 4g.40gb@0=default/x 2g.20gb@4=default/x", cut=H100, classes=CLASSES),
            node("b", "1g.10gb@6 4g.40gb@0=default/x 2g.20gb@4=default/x", cut=H100, classes=CLASSES),
            cut("c", "whole", board="t4"),
        ],
        [wants("p", of("two") + "*2")],
        {"p": "makes c: 2/4 mps of gpu0"},
    ),
    Row(
        "a class that nobody knows",
        [cut("a", "whole")],
        [wants("p", of("nobody"))],
        wait={"p": "there is no GPUClass nobody"},
    ),
    Row(
        "all GPUs are in use",
        [cut("a", "whole=default/x"), cut("b", "7g.80gb@0=default/y")],
        [wants("p", of("big"))],
        wait={"p": "2 nodes match, all full: needs 1 class.aliquot.dev/big, most free on one node 0"},
    ),
)
def test_classes(row: Row) -> None:
    check(row)


@rows(
    Row(
        "containers that run together have one each",
        [cut("a", "whole")],
        [wants("p", SLICE, SLICE)],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0"},
    ),
    Row(
        "what an init container had, those after it get",
        [cut("a", "whole")],
        [pod("p", init(SLICE), asks("main", SLICE))],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@6 of gpu0"},
    ),
    Row(
        "though it had more of them",
        [cut("a", "whole")],
        [pod("p", init(SLICE + "*2"), asks("main", SLICE))],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0, 1g.10gb@6 of gpu0"},
    ),
    Row(
        "or fewer",
        [cut("a", "whole")],
        [pod("p", init(SLICE), asks("main", SLICE + "*2"))],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0"},
    ),
    Row(
        "one after the other",
        [cut("a", "whole")],
        [pod("p", init(SLICE), asks("next", SLICE, ContainerKind.INIT))],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@6 of gpu0"},
    ),
    Row(
        "a sidecar keeps its own",
        [cut("a", "whole")],
        [pod("p", sidecar(SLICE), init(SLICE), asks("main", SLICE))],
        {"p": "makes a: 1g.10gb@6 of gpu0, 1g.10gb@5 of gpu0, 1g.10gb@5 of gpu0"},
    ),
    Row(
        "shares as well",
        [cut("a", "whole", "whole")],
        [
            pod(
                "p",
                init(of("quarter") + "*2"),
                asks("main", of("quarter") + "*3"),
                asks("more", of("quarter")),
            )
        ],
        {"p": "makes a: 2/4 mps of gpu0, 3/4 mps of gpu0, 1/4 mps of gpu0"},
    ),
    Row(
        "a GPU that the pod takes whole is not cut for it",
        [cut("a", "whole", "whole")],
        [wants("p", GPU, SLICE)],
        {"p": "makes a: gpu0, 1g.10gb@6 of gpu1"},
    ),
    Row(
        "so one GPU is not enough",
        [cut("a", "whole")],
        [wants("p", GPU, SLICE)],
        wait={"p": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
)
def test_containers(row: Row) -> None:
    check(row)


PARTS = "1c.3g.40gb@0 2g.20gb@4=default/x 1g.10gb@6=default/x"
"""Of two compute instances at slot 0 the first is listed for both."""


@rows(
    Row(
        "nothing is cut out of a divided instance",
        [cut("a", PARTS)],
        [wants("p", SLICE)],
        wait={"p": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
    Row(
        "a free part of it is given",
        [cut("a", PARTS)],
        [wants("p", mig("1c.3g.40gb"))],
        {"p": "a: 1c.3g.40gb@0 of gpu0"},
    ),
    Row(
        "a part is never made",
        [cut("a", "whole")],
        [wants("p", mig("1c.3g.40gb"))],
        wait={"p": "nvidia.com/mig-1c.3g.40gb is not offered by any node"},
    ),
    Row(
        "a media extension",
        [cut("a", "whole")],
        [wants("p", mig("1g.10gb+me")), wants("q", mig("1g.10gb+me"))],
        {"p": "makes a: 1g.10gb+me@6 of gpu0"},
        {"q": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb.me, 0 free"},
    ),
)
def test_parts_and_extensions(row: Row) -> None:
    check(row)
