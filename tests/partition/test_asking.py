"""Which requests are counted: each row is what happens to pods, and the slices that a valuation was told of."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.meta import ObjectMeta
from aliquot.partition.asking import Asking
from aliquot.partition.value import Valuation
from aliquot.scheduler.testing import ways
from tests.partition.controller.nodes import gpu, gpu_node


class Source:
    """As much of a cache as is listened to."""

    def __init__(self, *there: Any) -> None:
        self.there = list(there)
        self.tell: Callable[[Any, Any], None] = lambda old, new: None

    def subscribe(self, handler: Callable[[Any, Any], None]) -> Callable[[], None]:
        self.tell = handler
        for one in self.there:
            handler(None, one)
        return lambda: None


class Told(Valuation):
    def __init__(self) -> None:
        super().__init__(())
        self.names: list[str] = []

    def observe(self, profiles: Sequence[InstanceProfile], profile: InstanceProfile) -> bool:
        self.names.append(profile.name)
        return False


CLASSES = {
    "small": ways("1g.10gb", "1/4 mps"),
    "shared": ways("1/4 mps", "1g.10gb"),
    "either": ways("1g.6gb", "2g.20gb"),
}


def pod(asked: dict[str, int], *, uid: str = "1", node: str = "", phase: str = "Pending", **more: Any) -> Pod:
    limits = {name: str(count) for name, count in asked.items()}
    metadata = {"name": "p", "namespace": "default", "uid": uid, **more.pop("metadata", {})}
    containers = [{"name": "main", "resources": {"limits": limits}}]
    spec = {"containers": containers, "nodeName": node, **more}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": {"phase": phase}}, Pod)


def told(*pods: Pod | None, boards: Sequence[str] = ("h100-80gb",), mps: bool | None = None) -> list[str]:
    valuation, source = Told(), Source()
    classes = [GPUClass(metadata=ObjectMeta(name=name), spec=spec) for name, spec in CLASSES.items()]
    nodes = [gpu_node(*(gpu(index, board=board) for index, board in enumerate(boards)))] if boards else []
    for node in nodes:
        node.status.mps = mps
    asking = Asking(
        valuation,
        pods=source,  # type: ignore[arg-type]
        gpu_nodes=Source(*nodes),  # type: ignore[arg-type]
        gpu_classes=Source(*classes),  # type: ignore[arg-type]
    )
    asking.follow()
    before: Pod | None = None
    for one in pods:
        source.tell(before, one)
        before = one
    return valuation.names


ONE = {"nvidia.com/mig-1g.10gb": 1}
LEAVES = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("rule", "pods", "names"),
    [
        ("a pod that waits asks", [pod(ONE)], ["1g.10gb"]),
        ("once, however often it changes", [pod(ONE), pod(ONE), pod(ONE, node="a")], ["1g.10gb"]),
        ("for each of its slices", [pod({"nvidia.com/mig-2g.20gb": 3})], ["2g.20gb"] * 3),
        ("for no more than make sense", [pod({"nvidia.com/mig-2g.20gb": 10**9})], ["2g.20gb"] * 64),
        ("one that has its node asked before", [pod(ONE, node="a")], []),
        ("one that is over does not ask", [pod(ONE, phase="Failed")], []),
        ("one that leaves does not ask", [pod(ONE, metadata=LEAVES)], []),
        ("one of the same name asks anew", [pod(ONE), None, pod(ONE)], ["1g.10gb"] * 2),
        ("also where it was seen too late to be gone", [pod(ONE), pod(ONE, uid="2")], ["1g.10gb"] * 2),
        (
            "from when its gates are gone",
            [pod(ONE, schedulingGates=[{"name": "g"}]), pod(ONE), pod(ONE)],
            ["1g.10gb"],
        ),
        ("by a class whose first way is a slice", [pod({"class.aliquot.dev/small": 1})], ["1g.10gb"]),
        ("the first that the board has", [pod({"class.aliquot.dev/either": 1})], ["2g.20gb"]),
        ("not by one that is shared first", [pod({"class.aliquot.dev/shared": 1})], []),
        ("not for a whole GPU", [pod({"nvidia.com/gpu": 1})], []),
        ("not for what no board has", [pod({"nvidia.com/mig-1g.5gb": 1})], []),
        ("with media engines it is as any", [pod({"nvidia.com/mig-1g.10gb.me": 1})], ["1g.10gb+me"]),
    ],
)
def test_who_is_counted(rule: str, pods: list[Pod | None], names: list[str]) -> None:
    assert told(*pods) == names, rule


def test_a_class_that_is_shared_first_is_a_slice_where_there_is_no_mps() -> None:
    assert told(pod({"class.aliquot.dev/shared": 1}), mps=False) == ["1g.10gb"]


def test_boards_that_are_cut_alike_are_one_and_others_have_their_own_mix() -> None:
    either = pod({"class.aliquot.dev/either": 1})
    assert told(either, boards=("h100-80gb", "h100-80gb")) == ["2g.20gb"]
    assert told(either, boards=("h100-80gb", "a30-24gb")) == ["2g.20gb", "1g.6gb"]
    assert told(either, boards=()) == []
