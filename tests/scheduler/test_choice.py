"""Of nodes and devices that will do, which are taken."""

from aliquot.scheduler.core.facts import MODEL_LABEL
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import ContainerKind
from aliquot.scheduler.testing import GPU, by_usual, container, linked, mig, node, pod
from tests.scheduler.placement_cases import USUAL, Case, check, decide, rows

SEVEN = " ".join(f"1g.10gb@{start}" for start in range(7))
HALVES = "4g.40gb@0 3g.40gb@4"


@rows(
    Case(
        "CPU pods keep off GPU nodes",
        [node("a", "whole"), node("b", gpus=8), node("c")],
        [pod(f"p{i}", cpu=8) for i in range(4)],
        go=dict.fromkeys(("p0", "p1", "p2", "p3"), "c"),
    ),
    Case(
        "CPU pods use GPU nodes when there is nothing else",
        [node("a", "whole"), node("b", cpu=1)],
        [pod("p", cpu=8)],
        go={"p": "a"},
    ),
    Case(
        "CPU pods spread",
        [node("a"), node("b")],
        [pod("p", cpu=8, created_s=1), pod("q", cpu=8, created_s=2)],
        go={"p": "a", "q": "b"},
    ),
    Case(
        "pods that ask for nothing spread too",
        [node("a"), node("b")],
        [pod("p", created_s=1), pod("q", created_s=2)],
        go={"p": "a", "q": "b"},
    ),
    Case(
        "GPU pods pack nodes",
        [node("a", gpus=8), node("b", gpus=8)],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=2), "b")],
        go={"p": "b"},
    ),
    Case(
        "a small node before a large one",
        [
            node("a", *["whole"] * 8, cpu=128, memory_gib=1024),
            node("b", *["whole"] * 2, cpu=32, memory_gib=256),
        ],
        [pod("p", gpu=2, cpu=16, memory_gib=128)],
        go={"p": "b gpu0 gpu1"},
    ),
    Case(
        "whole GPUs by index when links do not differ",
        [node("a", *["whole"] * 4, links=linked([[0, 1, 2, 3]]))],
        [pod("p", gpu=1), pod("q", gpu=2)],
        go={"p": "a gpu0", "q": "a gpu1 gpu2"},
    ),
    Case(
        "whole GPUs with the best links",
        [node("a", *["whole"] * 4, links=linked([[0, 2], [1, 3]]))],
        [pod("p", gpu=2)],
        go={"p": "a gpu0 gpu2"},
    ),
    Case(
        "the pair with the better link, whatever is left over",
        [node("a", *["whole"] * 3, links=linked([[0], [1, 2]]))],
        [pod("p", gpu=2)],
        go={"p": "a gpu1 gpu2"},
    ),
    Case(
        "of equal pairs the one that leaves the better link behind",
        [node("a", *["whole"] * 4, links={**linked([[0, 1, 2, 3]]), (0, 1): 10})],
        [pod("p", gpu=2)],
        go={"p": "a gpu0 gpu2"},
    ),
    Case(
        "GPUs that are linked alike: of the NUMA node that they fill",
        [
            node(
                "a",
                *["whole=x/o", *["whole"] * 7],
                links=linked([range(8)]),
                numa=[range(4), range(4, 8)],
            )
        ],
        [pod("p", gpu=3), pod("q", gpu=4, created_s=1)],
        go={"p": "a gpu1 gpu2 gpu3", "q": "a gpu4 gpu5 gpu6 gpu7"},
    ),
    Case(
        "and one GPU leaves a whole NUMA node whole",
        [node("a", "whole", "whole", "whole", "whole=x/o", numa=[[0, 1], [2, 3]])],
        [pod("p", gpu=1)],
        go={"p": "a gpu2"},
    ),
    Case(
        "more than a NUMA node has: as many as can be of one",
        [node("a", *["whole=x/o", *["whole"] * 5], numa=[[0, 1], [2, 3, 4]])],
        [pod("p", gpu=4)],
        go={"p": "a gpu1 gpu2 gpu3 gpu4"},
    ),
    Case(
        "one GPU leaves the well linked pair alone",
        [node("a", *["whole"] * 3, links=linked([[0, 2], [1]]))],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "containers of a pod get the better linked pairs of its GPUs",
        [node("a", *["whole"] * 4, links=linked([[0, 3], [1, 2]]))],
        [pod("p", container("x", gpu=2), container("y", gpu=2))],
        go={"p": "a x=gpu0 x=gpu3 y=gpu1 y=gpu2"},
    ),
    Case(
        "seven slices of one GPU, then no more",
        [node("a", "whole", SEVEN)],
        [pod(f"p{i}", wants={mig("1g.10gb"): 1}, created_s=i) for i in range(8)],
        go={f"p{i}": f"a gpu1@{i}" for i in range(7)},
        wait={"p7": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
    Case(
        "slices go to the GPU that is used the most",
        [node("a", SEVEN, SEVEN, SEVEN)],
        [pod("p", wants={mig("1g.10gb"): 1})],
        running=[(pod("r", wants={mig("1g.10gb"): 2}), "a gpu1@5 gpu1@6")],
        go={"p": "a gpu1@0"},
    ),
    Case(
        "slices go to the GPU that is used the least, where the node distributes",
        [node("a", SEVEN, SEVEN, packs_slices=False)],
        [pod("p", wants={mig("1g.10gb"): 1}), pod("q", wants={mig("1g.10gb"): 3})],
        running=[(pod("r", wants={mig("1g.10gb"): 2}), "a gpu0@5 gpu0@6")],
        go={"p": "a gpu1@0", "q": "a gpu1@1 gpu0@0 gpu1@2"},
    ),
    Case(
        "several slices stay on one GPU where one has room",
        [node("a", "1g.10gb@0 1g.10gb@1", "1g.10gb@0 1g.10gb@1 1g.10gb@2")],
        [pod("p", wants={mig("1g.10gb"): 3})],
        go={"p": "a gpu1@0 gpu1@1 gpu1@2"},
    ),
    Case(
        "several slices span GPUs where none has room",
        [node("a", "1g.10gb@0 1g.10gb@1", "1g.10gb@3")],
        [pod("p", wants={mig("1g.10gb"): 3})],
        go={"p": "a gpu0@0 gpu0@1 gpu1@3"},
    ),
    Case(
        "a slice of each kind for two containers, on one GPU",
        [node("a", HALVES, HALVES)],
        [pod("p", container("train", _4g_40gb=1), container("encode", _3g_40gb=1))],
        go={"p": "a train=gpu0@0 encode=gpu0@4"},
    ),
    Case(
        "kinds join the GPU that another kind of the pod is on",
        [node("a", "1g.10gb@0", "4g.40gb@0 1g.10gb@4")],
        [pod("p", wants={mig("4g.40gb"): 1, mig("1g.10gb"): 1})],
        go={"p": "a gpu1@0 gpu1@4"},
    ),
    Case(
        "two kinds in one container",
        [node("a", HALVES)],
        [pod("p", container("main", _3g_40gb=1, _4g_40gb=1))],
        go={"p": "a gpu0@4 gpu0@0"},
    ),
    Case(
        "a pair of pods fills a GPU before the next is begun",
        [node("a", HALVES, HALVES)],
        [pod("three", wants={mig("3g.40gb"): 1}), pod("four", wants={mig("4g.40gb"): 1})],
        go={"three": "a gpu0@4", "four": "a gpu0@0"},
    ),
    Case(
        "an init container gets devices that the pod keeps",
        [node("a", *["whole"] * 3)],
        [pod("p", container("setup", kind=ContainerKind.INIT, gpu=1), container("main", gpu=2))],
        go={"p": "a setup=gpu0 main=gpu0 main=gpu1"},
    ),
    Case(
        "a sidecar shares with nobody that runs beside it",
        [node("a", *["whole"] * 3)],
        [
            pod(
                "p",
                container("side", kind=ContainerKind.SIDECAR, gpu=1),
                container("setup", kind=ContainerKind.INIT, gpu=2),
                container("main", gpu=1),
            )
        ],
        go={"p": "a side=gpu0 setup=gpu1 setup=gpu2 main=gpu1"},
    ),
    Case(
        "a GPU counted, not listed, is not named",
        [node("a", gpus=2)],
        [pod("p", gpu=2)],
        go={"p": "a"},
    ),
)
def test_choice(case: Case) -> None:
    check(case)


@rows(
    Case(
        "little CPU goes where there is little, much where there is much",
        [node("a", gpus=8, cpu=128), node("b", gpus=8, cpu=32)],
        [pod("little", gpu=1, cpu=1), pod("much", gpu=1, cpu=24)],
        go={"little": "b", "much": "a"},
    ),
    Case(
        "memory counts as CPU does",
        [node("a", gpus=8, memory_gib=1024), node("b", gpus=8, memory_gib=256)],
        [pod("little", gpu=1, memory_gib=4), pod("much", gpu=1, memory_gib=200)],
        go={"little": "b", "much": "a"},
    ),
    Case(
        "CPU pods on GPU nodes go where GPUs are not missed: all are taken, or there is CPU to spare",
        [node("a", gpus=4, cpu=64), node("b", gpus=4, cpu=48), node("c", gpus=4, cpu=32)],
        [pod("p", cpu=8), pod("q", cpu=16, selector={"kubernetes.io/hostname": "a"})],
        running=[(pod("r", gpu=4, cpu=4), "c")],
        go={"p": "c", "q": "a"},
    ),
    Case(
        "eight free GPUs stay together",
        [node("a", gpus=8, cpu=256, memory_gib=4096), node("b", gpus=4, cpu=256, memory_gib=4096)],
        [pod(f"p{i}", gpu=1, created_s=i) for i in range(4)],
        go=dict.fromkeys(("p0", "p1", "p2", "p3"), "b"),
    ),
    Case(
        "a part of a GPU that others need is left whole, where the node packs shares",
        [node("a", "whole*100", "whole*100", packs_shares=True)],
        [
            pod("p", wants={GPU: 14}, created_s=0),
            pod("q", wants={GPU: 53}, created_s=1),
            pod("r", wants={GPU: 53}, created_s=2),
        ],
        go={"p": "a gpu0*14", "q": "a gpu0*53", "r": "a gpu1*53"},
        running=[(pod("x", wants={GPU: 33}), "a gpu0*33"), (pod("y", wants={GPU: 47}), "a gpu1*47")],
    ),
    Case(
        "a model that others ask for by name is left to them",
        [
            node("a", gpus=4, cpu=256, memory_gib=4096, labels={MODEL_LABEL: "H200"}),
            node("b", gpus=4, cpu=256, memory_gib=4096, labels={MODEL_LABEL: "L4"}),
        ],
        [
            pod("any", gpu=1),
            *(pod(f"h{i}", gpu=1, selector={MODEL_LABEL: "H200"}) for i in range(2)),
        ],
        go={"any": "b", "h0": "a", "h1": "a"},
    ),
    Case(
        "slices fill a node's GPUs before those of the next are begun",
        [node("a", SEVEN, SEVEN, cpu=256), node("b", SEVEN, SEVEN, cpu=256)],
        [pod("p", wants={mig("1g.10gb"): 1}, cpu=1)],
        running=[(pod("r", wants={mig("1g.10gb"): 3}), "b gpu0@0 gpu0@1 gpu0@2")],
        go={"p": "b gpu0@3"},
    ),
)
def test_choice_by_worth(case: Case) -> None:
    usual = [*USUAL, *case.pods]
    assert decide(case, by_usual(usual, case.nodes)) == (dict(case.go), dict(case.wait))


@rows(
    Case(
        "GPU pods keep apart",
        [node("a", gpus=8), node("b", gpus=4), node("c", *["whole"] * 4)],
        [pod(f"p{i}", gpu=1, created_s=i) for i in range(4)],
        go={"p0": "a", "p1": "a", "p2": "b", "p3": "c gpu0"},
    ),
    Case(
        "CPU pods keep off GPU nodes all the same",
        [node("a", gpus=8), node("b")],
        [pod("p", cpu=1), pod("q", cpu=1)],
        go={"p": "b", "q": "b"},
    ),
)
def test_choice_where_pods_are_spread(case: Case) -> None:
    assert decide(case, starting(Placement.SPREAD)) == (dict(case.go), dict(case.wait))
