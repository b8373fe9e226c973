"""What is free, and in which order those who wait are placed."""

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, mig, node, pod
from tests.scheduler.placement_cases import Case, check, rows


@rows(
    Case(
        "a device that is not ready is not given",
        [node("a", "whole!unadvertised", "whole")],
        [pod("p", gpu=1, created_s=1), pod("q", gpu=1, created_s=2)],
        go={"p": "a gpu1"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free, 1 in use, 1 not advertised"},
    ),
    Case(
        "a device that is ill is not given",
        [node("a", "whole!unhealthy", "whole")],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "a device that kubelet gave to a pod not seen yet is not given",
        [node("a", "whole=other/x", "whole")],
        [pod("p", gpu=1)],
        go={"p": "a gpu1"},
    ),
    Case(
        "an assignment counts before kubelet knows",
        [node("a", "whole", "whole")],
        [pod("p", gpu=1)],
        bound=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu1"},
    ),
    Case(
        "what kubelet did counts over what was assigned",
        [node("a", "whole", "whole=default/r")],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu0"},
    ),
    Case(
        "what kubelet did for an earlier pod of that name does not count over what was assigned",
        [node("a", "whole", "whole=default/r", "whole")],
        [pod("p", gpu=1)],
        bound=[(pod("r", gpu=1), "a gpu0")],
        go={"p": "a gpu2"},
    ),
    Case(
        "kubelet has done a part: both count",
        [node("a", "whole=default/r", "whole", "whole", "whole")],
        [pod("p", gpu=1)],
        running=[(pod("r", gpu=2), "a gpu1 gpu2")],
        go={"p": "a gpu3"},
    ),
    Case(
        "room is kept for a pod whose device is not known",
        [node("a", "whole", "whole")],
        [pod("p", gpu=1, created_s=1), pod("q", gpu=1, created_s=2)],
        running=[(pod("r", gpu=1), "a")],
        go={"p": "a gpu0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "an assignment to a slot that now is another kind does not hold that",
        [node("a", "3g.40gb@0 1g.10gb@4")],
        [pod("p", wants={mig("3g.40gb"): 1}), pod("q", wants={mig("1g.10gb"): 1})],
        running=[(pod("r", wants={mig("1g.10gb"): 1}), "a gpu0@0")],
        go={"p": "a gpu0@0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/mig-1g.10gb, 0 free"},
    ),
    Case(
        "an assignment to a slot that went away keeps one device back",
        [node("a", "3g.40gb@0 3g.40gb@4")],
        [pod("p", wants={mig("3g.40gb"): 1}, created_s=1), pod("q", wants={mig("3g.40gb"): 1}, created_s=2)],
        running=[(pod("r", wants={mig("3g.40gb"): 1}), "a gpu0@2")],
        go={"p": "a gpu0@0"},
        wait={"q": "1 node matches, it is full: needs 1 nvidia.com/mig-3g.40gb, 0 free"},
    ),
)
def test_what_is_free(case: Case) -> None:
    check(case)


@rows(
    Case(
        "priority first, then age, then name",
        [node("a", gpus=2)],
        [
            pod("young", gpu=1, created_s=9),
            pod("old", gpu=1, created_s=1),
            pod("urgent", gpu=1, created_s=9, priority=1),
        ],
        go={"urgent": "a", "old": "a"},
        wait={"young": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "who finds no room does not hold up others",
        [node("a", gpus=2)],
        [pod("large", gpu=2, priority=9), pod("small", gpu=1)],
        running=[(pod("r", gpu=1), "a")],
        go={"small": "a"},
        wait={"large": "1 node matches, it is full: needs 2 nvidia.com/gpu, 0 free"},
    ),
    Case(
        "order holds across shapes",
        [node("a", gpus=3)],
        [
            pod("first", gpu=1, created_s=1),
            pod("second", gpu=1, cpu=1, created_s=2),
            pod("third", gpu=1, created_s=3),
            pod("fourth", gpu=1, cpu=1, created_s=4),
        ],
        go={"first": "a", "second": "a", "third": "a"},
        wait={"fourth": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free"},
    ),
)
def test_order(case: Case) -> None:
    check(case)


def test_a_limited_pass_goes_on_where_it_stopped() -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(node("a", gpus=8))
    for i in range(5):
        pending.put(pod(f"p{i}", gpu=1, created_s=i))
    passes = []
    more = True
    while more:
        outcome = cycle.run(snapshot, pending, rankings, limit=2)
        passes.append([bind.pod.key for bind in outcome.binds])
        more = outcome.more
    assert passes == [["default/p0", "default/p1"], ["default/p2", "default/p3"], ["default/p4"]]
    assert snapshot.nodes["a"].available(GPU) == 3
