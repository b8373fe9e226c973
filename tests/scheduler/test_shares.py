"""Shares of GPUs and slices: each row is a cluster, those who wait, and where they go or why they do not."""

import pytest

from aliquot.scheduler.core.node import derive
from aliquot.scheduler.core.pod import ContainerKind
from aliquot.scheduler.testing import GPU, container, node, placed, pod
from tests.scheduler.placement_cases import Case, check, rows


@rows(
    Case("any share of one GPU", [node("a", "whole*4")], [pod("p", gpu=2)], go={"p": "a gpu0*2"}),
    Case(
        "of the GPU that is used least",
        [node("a", "whole*4=default/x+default/x", "whole*4=default/y")],
        [pod("p", gpu=1)],
        go={"p": "a gpu1*1"},
    ),
    Case(
        "pods are spread while there is room",
        [node("a", "whole*2", "whole*2")],
        [pod(name, gpu=1) for name in "pqrs"] + [pod("t", gpu=1)],
        go={"p": "a gpu0*1", "q": "a gpu1*1", "r": "a gpu0*1", "s": "a gpu1*1"},
        wait={"t": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "one container's shares are of one GPU",
        [node("a", "whole*2=default/x", "whole*2=default/y")],
        [pod("p", gpu=2)],
        wait={"p": "1 node matches, it is full: needs 2 nvidia.com/gpu of one device, 1 free"},
    ),
    Case(
        "two containers may be on two GPUs",
        [node("a", "whole*2=default/x", "whole*2=default/y")],
        [pod("p", container("one", gpu=1), container("two", gpu=1))],
        go={"p": "a one=gpu0*1 two=gpu1*1"},
    ),
    Case(
        "an init container has what a later one gets",
        [node("a", "whole*2=default/x+default/x", "whole*2")],
        [pod("p", container("first", kind=ContainerKind.INIT, gpu=2), container("main", gpu=2))],
        go={"p": "a first=gpu1*2 main=gpu1*2"},
    ),
    Case(
        "whole GPUs where no GPU has so many shares",
        [node("a", "whole*2", "whole", "whole", "whole")],
        [pod("p", gpu=3)],
        go={"p": "a gpu1 gpu2 gpu3"},
    ),
    Case(
        "a sick GPU gives no shares",
        [node("a", "whole*2!unhealthy", "whole*2")],
        [pod("p", gpu=1), pod("q", gpu=1), pod("r", gpu=1)],
        go={"p": "a gpu1*1", "q": "a gpu1*1"},
        wait={"r": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free, 2 in use, 2 unhealthy"},
    ),
    Case(
        "of the GPU that is used most, where the node packs",
        [node("a", "whole*4", "whole*4=default/x", "whole*4=default/y+default/y", packs_shares=True)],
        [pod(name, gpu=1) for name in "pqrst"],
        go={"p": "a gpu2*1", "q": "a gpu2*1", "r": "a gpu1*1", "s": "a gpu1*1", "t": "a gpu1*1"},
    ),
    Case(
        "packed: not where too few are left",
        [node("a", "whole*4", "whole*4=default/x+default/x+default/x", packs_shares=True)],
        [pod("p", gpu=2)],
        go={"p": "a gpu0*2"},
    ),
    Case(
        "several where a container may have one",
        [node("a", "whole*4/1", "whole*4/1")],
        [pod("p", gpu=2)],
        wait={
            "p": "no node gives one container 2 nvidia.com/gpu: it may have 1 where GPUs are shared",
        },
    ),
    Case(
        "one for each container",
        [node("a", "whole*2/1=default/x", "whole*2/1")],
        [pod("p", container("one", gpu=1), container("two", gpu=1))],
        go={"p": "a one=gpu1*1 two=gpu0*1"},
    ),
    Case(
        "one for each container beside an init container",
        [node("a", "whole*2/1=default/x", "whole*2/1")],
        [
            pod(
                "p",
                container("first", kind=ContainerKind.INIT, gpu=1),
                container("one", gpu=1),
                container("two", gpu=1),
            )
        ],
        go={"p": "a first=gpu1*1 one=gpu1*1 two=gpu1*1"},
    ),
    Case(
        "whole GPUs where a container may have one share",
        [node("a", "whole*4/1", "whole", "whole")],
        [pod("p", gpu=2)],
        go={"p": "a gpu1 gpu2"},
    ),
    Case(
        "another node gives more than one",
        [node("a", "whole*4/1"), node("b", "whole*4")],
        [pod("p", gpu=2)],
        go={"p": "b gpu0*2"},
    ),
    Case(
        "another node would give more than one, and is full",
        [node("a", "whole*4/1"), node("b", "whole*2=default/x")],
        [pod("p", gpu=2)],
        wait={"p": "1 node matches, it is full: needs 2 nvidia.com/gpu, 1 free"},
    ),
    Case(
        "more than a GPU has shares",
        [node("a", "whole*4", "whole*4")],
        [pod("p", gpu=5)],
        wait={"p": "no node gives one container 5 nvidia.com/gpu: it may have 4 where GPUs are shared"},
    ),
    Case(
        "shares of a slice",
        [node("a", "3g.40gb@0*2 3g.40gb@4*2=default/x")],
        [pod("p", container("main", _3g_40gb=2))],
        go={"p": "a gpu0@0*2"},
    ),
    Case(
        "what was assigned and is not listed yet is taken",
        [node("a", "whole*2", "whole*2")],
        [pod("p", gpu=2)],
        bound=[(pod("b", gpu=1), "a gpu0*1")],
        go={"p": "a gpu1*2"},
    ),
)
def test_shares(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("layout", "admitted", "free"),
    [
        ("whole*4", False, 2),
        ("whole*4=default/p+default/p", True, 2),
        ("whole*4=default/p", False, 2),
        ("whole*4=default/p+default/p+other/x", True, 1),
        ("whole*4!unadvertised", False, 0),
    ],
)
def test_a_pod_counts_once_listed_or_assigned(layout: str, admitted: bool, free: int) -> None:
    holder = placed(pod("p", gpu=2), "a gpu0*2", admitted=admitted)
    state = derive(node("a", layout), [holder])
    assert state.free[GPU] == free
    assert state.total(GPU) == 4
