"""GPUs of a pod that are to be in one NUMA node or NVLink domain: each row is a cluster, those who wait, and where they go or
why they do not."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import container, describe, linked, mig, node, placed, pod, term
from tests.scheduler.placement_cases import Case, check, rows
from tests.scheduler.worlds import Cluster

HALVES = ([0, 1, 2, 3], [4, 5, 6, 7])
"""The NUMA nodes of a machine with eight GPUs."""


def machine(name: str, taken: Sequence[int] = (), **more: object) -> NodeFacts:
    """Eight GPUs on two NUMA nodes and one NVSwitch; those of `taken` are in use."""
    layouts = ["whole=x/other" if index in taken else "whole" for index in range(8)]
    return node(name, *layouts, numa=HALVES, nvlink=[range(8)], **more)  # type: ignore[arg-type]


def small(name: str, *layouts: str) -> NodeFacts:
    """Four GPUs, two on each NUMA node."""
    return node(name, *(layouts or ["whole"] * 4), numa=[[0, 1], [2, 3]])


@rows(
    Case(
        "all in one NUMA node, also where others are linked better",
        [node("a", *["whole"] * 4, numa=[[0, 1], [2, 3]], links=linked([[0, 2], [1, 3]]))],
        [pod("p", gpu=2, gpus_in="numa")],
        go={"p": "a gpu0 gpu1"},
    ),
    Case(
        "the fullest NUMA node that has room",
        [machine("a", [5])],
        [pod("p", gpu=2, gpus_in="numa"), pod("q", gpu=4, gpus_in="numa", created_s=1)],
        go={"p": "a gpu4 gpu6", "q": "a gpu0 gpu1 gpu2 gpu3"},
    ),
    Case(
        "enough GPUs, and not in one NUMA node",
        [machine("a", [0, 1, 4])],
        [pod("p", gpu=4, gpus_in="numa")],
        wait={"p": "no NUMA node of node a has 4 free nvidia.com/gpu (2 and 3)"},
    ),
    Case(
        "on none of several nodes",
        [machine("a", [0, 1, 4]), machine("b", [0, 4])],
        [pod("p", gpu=4, gpus_in="numa")],
        wait={"p": "no NUMA node of the 2 nodes that match has 4 free nvidia.com/gpu: the most in one is 3"},
    ),
    Case(
        "more than any NUMA node has",
        [machine("a")],
        [pod("p", gpu=5, gpus_in="numa")],
        wait={"p": "no NUMA node of the nodes that match has 5 nvidia.com/gpu: the largest has 4"},
    ),
    Case(
        "more than any NUMA node has, also where others have all of them now",
        [machine("a"), machine("b", range(8))],
        [pod("p", gpu=5, gpus_in="numa")],
        wait={"p": "no NUMA node of the nodes that match has 5 nvidia.com/gpu: the largest has 4"},
    ),
    Case(
        "more than any NUMA node has, where all of them are had by others",
        [machine("a", range(8)), machine("b", range(8))],
        [pod("p", gpu=5, gpus_in="numa")],
        wait={"p": "no NUMA node of the nodes that match has 5 nvidia.com/gpu: the largest has 4"},
    ),
    Case(
        "as many as the NUMA nodes of some have",
        [machine("a", range(8)), small("b")],
        [pod("p", gpu=3, gpus_in="numa")],
        wait={"p": "1 node matches, it is full: needs 3 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "some nodes lack GPUs, others have them apart",
        [machine("a", [0, 4]), machine("b", [0, 1, 2, 3, 4])],
        [pod("p", gpu=4, gpus_in="numa")],
        wait={"p": "2 nodes match, all full: 1 lacks nvidia.com/gpu, 1 has them in no one NUMA node"},
    ),
    Case(
        "another node, where this one has them apart",
        [machine("a", [0, 4]), machine("b")],
        [pod("p", gpu=4, gpus_in="numa")],
        go={"p": "b gpu0 gpu1 gpu2 gpu3"},
    ),
    Case(
        "GPUs that a bridge joins",
        [node("a", *["whole"] * 4, numa=[[0, 1, 2, 3]], nvlink=[[0, 2], [1], [3]])],
        [pod("p", gpu=2, gpus_in="nvlink"), pod("q", gpu=2, gpus_in="nvlink", created_s=1)],
        go={"p": "a gpu0 gpu2"},
        wait={"q": "no NVLink domain of node a has 2 free nvidia.com/gpu (0, 1 and 1)"},
    ),
    Case(
        "one required and the other preferred",
        [node("a", *["whole"] * 6, numa=[[0, 1, 2], [3, 4, 5]], nvlink=[[0, 3], [1, 2], [4, 5]])],
        [pod("p", gpu=2, gpus_in="nvlink", gpus_rather_in="numa")],
        go={"p": "a gpu1 gpu2"},
    ),
    Case(
        "what is preferred and not to be had keeps nobody out",
        [machine("a", [0, 1, 4])],
        [pod("p", gpu=4, gpus_rather_in="numa")],
        go={"p": "a gpu2 gpu5 gpu6 gpu7"},
    ),
    Case(
        "what is preferred goes before fuller nodes",
        [machine("a", [0, 1, 4, 5]), machine("b", [0])],
        [pod("p", gpu=3, gpus_rather_in="numa"), pod("q", gpu=3, created_s=1)],
        go={"p": "b gpu1 gpu2 gpu3", "q": "a gpu2 gpu3 gpu6"},
    ),
    Case(
        "and beside what the pod prefers of nodes",
        [machine("a", [0, 1, 4, 5], labels={"fast": "1"}), machine("b")],
        [pod("p", gpu=3, gpus_rather_in="numa", preferred=[(1, term("fast"))])],
        go={"p": "b gpu0 gpu1 gpu2"},
    ),
    Case(
        "one GPU is together with itself, whatever is known",
        [node("a", "whole")],
        [pod("p", gpu=1, gpus_in="numa")],
        go={"p": "a gpu0"},
    ),
    Case(
        "a node that does not tell its NUMA nodes",
        [node("a", "whole", "whole")],
        [pod("p", gpu=2, gpus_in="numa")],
        wait={
            "p": "1 node matches, and its GPUs have to be in one NUMA node: its GPUNode does not say which NUMA node a GPU is in"
        },
    ),
    Case(
        "GPUs that are counted only: another device plugin chooses",
        [node("a", gpus=8)],
        [pod("p", gpu=2, gpus_in="numa"), pod("q", gpu=2, gpus_rather_in="numa", created_s=1)],
        go={"q": "a"},
        wait={
            "p": "1 node matches, and its GPUs have to be in one NUMA node: without a GPUNode it is not known which nvidia.com/gpu are free"
        },
    ),
    Case(
        "what is preferred can be told of nodes with a GPUNode alone",
        [node("a", gpus=8), machine("b")],
        [pod("p", gpu=2, gpus_rather_in="numa")],
        go={"p": "b gpu0 gpu1"},
    ),
    Case(
        "pods without GPUs may say so too",
        [node("a")],
        [pod("p", cpu=1, gpus_in="numa")],
        go={"p": "a"},
    ),
    Case(
        "slices by the GPU that they are of",
        [small("a", "1g.10gb@0", "whole", "1g.10gb@0", "1g.10gb@0")],
        [pod("p", wants={mig("1g.10gb"): 2}, gpus_in="numa")],
        go={"p": "a gpu2@0 gpu3@0"},
    ),
    Case(
        "slices are not made for it, for they may not lie in one; but where it is one alone",
        [
            node(
                "a",
                *["1g.10gb@0", "1g.10gb@0=x/o", "1g.10gb@0=x/o", "1g.10gb@0=x/o"],
                numa=[[0, 1], [2, 3]],
                cut="h100-80gb",
            )
        ],
        [
            pod("p", wants={mig("1g.10gb"): 2}, gpus_in="numa"),
            pod("q", wants={mig("2g.20gb"): 1}, gpus_in="numa", created_s=1),
        ],
        go={"q": "a gpu1@2"},
        wait={"p": "1 node matches, it is full: needs 2 nvidia.com/mig-1g.10gb, 1 free"},
    ),
    Case(
        "GPUs and slices in the same NUMA node",
        [small("a", "1g.10gb@0 1g.10gb@1", "1g.10gb@0", "1g.10gb@0", "whole")],
        [pod("p", gpu=1, wants={mig("1g.10gb"): 1}, gpus_in="numa")],
        go={"p": "a gpu3 gpu2@0"},
    ),
    Case(
        "shares of two containers in the same NUMA node",
        [small("a", "whole*2=x/o", "whole*2=x/o+x/o", "whole*2=x/o", "whole*2=x/o")],
        [pod("p", container("m", gpu=1), container("n", gpu=1), gpus_in="numa")],
        go={"p": "a m=gpu2*1 n=gpu3*1"},
    ),
    Case(
        "containers one after the other use the same GPUs",
        [small("a", "whole=x/o", "whole", "whole", "whole")],
        [pod("p", container("m", gpu=2), gpus_in="numa")],
        go={"p": "a gpu2 gpu3"},
    ),
    Case(
        "unhealthy GPUs do not count",
        [small("a", "whole", "whole!unhealthy", "whole", "whole=x/o")],
        [pod("p", gpu=2, gpus_in="numa")],
        wait={"p": "no NUMA node of node a has 2 free nvidia.com/gpu (1 and 1)"},
    ),
    Case(
        "a GPU that somebody will get, nobody knows which, is not counted on anywhere",
        [machine("a")],
        [pod("p", gpu=4, gpus_in="numa")],
        bound=[(pod("other", gpu=1), "a")],
        wait={"p": "no NUMA node of node a has 4 free nvidia.com/gpu (3 and 3)"},
    ),
)
def test_gpus_of_a_pod_together(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("rule", "runs", "waits", "gone"),
    [
        (
            "of one NUMA node, whoever is in the way there",
            {"low": "a gpu0", "lower": "a gpu4"},
            pod("p", gpu=4, gpus_in="numa"),
            ["low"],
        ),
        ("nobody, where one is free", {"low": "a gpu0"}, pod("p", gpu=4, gpus_in="numa"), []),
        (
            "where the least is lost, and no more than it takes",
            {"low": "a gpu0", "other": "a gpu1", "lower": "a gpu4 gpu5 gpu6", "last": "a gpu7"},
            pod("p", gpu=3, gpus_in="numa"),
            ["low"],
        ),
        (
            "in the other NUMA node, where the priority is lower",
            {"low": "a gpu0", "lower@-1": "a gpu4"},
            pod("p", gpu=4, gpus_in="numa"),
            ["lower"],
        ),
    ],
)
def test_room_is_made_where_gpus_are_together(
    rule: str, runs: dict[str, str], waits: PodRequest, gone: list[str]
) -> None:
    cluster = Cluster([machine("a")])
    for text, where in runs.items():
        name, _, priority = text.partition("@")
        request = pod(name, gpu=len(where.split()) - 1)
        cluster.snapshot.set_pod(structs.replace(placed(request, where, admitted=True), since_s=0.0))
        cluster.pending.hold(request, JobSpec(request.key, priority=int(priority or 0)))
    cluster.pending.put(waits, JobSpec(waits.key, priority=10))
    outcome = cluster.decide(Guards(), 1000.0)
    (decision,) = outcome.decisions
    assert sorted(one.key.removeprefix("default/") for one in decision.after) == gone
    (bind,) = decision.binds
    halves = {int(word[3:]) // 4 for word in describe(bind.placed).split()[1:]}
    assert len(halves) == 1


@given(
    taken=st.sets(st.integers(0, 7)),
    numa=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    count=st.integers(1, 4),
    level=st.sampled_from(["gpus_in", "gpus_rather_in"]),
)
def test_together_if_and_only_if_a_domain_has_room(
    taken: set[int], numa: list[int], count: int, level: str
) -> None:
    domains = [[gpu for gpu in range(8) if numa[gpu] == number] for number in set(numa)]
    layouts = ["whole=x/o" if gpu in taken else "whole" for gpu in range(8)]
    cluster = Cluster([node("a", *layouts, numa=domains)])
    cluster.pending.put(pod("p", gpu=count, **{level: "numa"}))  # type: ignore[arg-type]
    found = [describe(bind.placed).split()[1:] for bind in cluster.decide(Guards(), 0.0).binds]
    free = [sum(gpu not in taken for gpu in domain) for domain in domains]
    if max(free) >= count:
        ((*gpus,),) = found
        assert len({numa[int(gpu.removeprefix("gpu"))] for gpu in gpus}) == 1
    else:
        assert len(found) == (level == "gpus_rather_in" and sum(free) >= count)
    chosen = {int(gpu.removeprefix("gpu")) for gpus in found for gpu in gpus}
    assert not chosen & taken
    assert len(chosen) in (0, count)
