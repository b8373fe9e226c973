"""NodePools of Karpenter in a plan: which are rolled, in which order and how, and what is said of them."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import pool
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import going_back, hashing
from aliquot.eks.plan.plan import NothingToDo, Options
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.steps import Step
from tests.eks.plan.estates import (
    M131,
    M132,
    M133,
    NOW_S,
    TARGETS,
    addon,
    at,
    estate,
    gpus,
    group,
    node,
    objects,
    server,
    worker,
)

OPTIONS = Options(no_gpu_canary=True)
_STATES = ("nodes", "gpu-drain-prep", "gpu-restore", "canary-nodes")


def claimed(name: str, of: str, minor: str = "1.31", gpus: int = 0) -> dict[str, Any]:
    capacity = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": of}},
        "status": {"nodeInfo": {"kubeletVersion": f"v{minor}.4-eks-1"}, "capacity": capacity},
    }


def nodepool(name: str, of_class: str = "default", **template: Any) -> dict[str, Any]:
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": of_class}
    spec = {"template": {"spec": {"nodeClassRef": reference, **template}}}
    return {"metadata": {"name": name}, "spec": spec}


def node_class(**term: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "default"},
        "spec": {"amiSelectorTerms": [term or {"alias": "al2023@latest"}]},
    }


def with_pools(
    *pools: dict[str, Any],
    nodes: list[dict[str, Any]],
    pods: list[dict[str, Any]] | None = None,
    classes: tuple[dict[str, Any], ...] = (node_class(),),
) -> Objects:
    found = objects(nodes, pods or [])
    return replace(found, things={"NodePool": pools, "EC2NodeClass": classes})


def of_nodes(steps: tuple[Step, ...]) -> list[str]:
    return [step.id for step in steps if step.id.split("/")[1] in _STATES]


def rolls(of: Estate, minor: Any = M132) -> list[PoolRoll]:
    return [step.act for step in plan(of, minor, TARGETS, OPTIONS).steps if isinstance(step.act, PoolRoll)]


def test_a_pool_follows_the_groups() -> None:
    nodes = [claimed(f"k{number}", "web") for number in range(12)]
    there = with_pools(nodepool("web"), nodes=nodes, pods=[server("web-0", "k0"), server("web-1", "k1")])
    made = plan(estate(group("cpu"), objects=there), M132, TARGETS, OPTIONS)
    assert of_nodes(made.steps) == [
        "1.32/canary-nodes/cpu",
        "1.32/canary-nodes/health/cpu",
        "1.32/nodes/nodepool/web",
        "1.32/nodes/health/nodepool/web",
    ]
    (step,) = [step for step in made.steps if isinstance(step.act, PoolRoll)]
    assert step.act == PoolRoll(name="web", minor=M132)
    assert step.disrupts == "12 nodes of Karpenter are replaced, 2 at a time, oldest first; 2 pods move"
    assert step.expected_s == 6 * 9 * 60
    assert not any("Karpenter's" in note for note in made.notes)


def test_gangs_of_a_pool_stand_still_and_nobody_does_before_the_class_is_right() -> None:
    nodes = [claimed("k0", "batch"), claimed("k1", "batch"), claimed("k2", "web")]
    pods = [worker("train", 0, "k0"), worker("train", 1, "k1"), server("web-0", "k2")]
    there = with_pools(nodepool("batch"), nodepool("web"), nodes=nodes, pods=pods)
    made = plan(estate(objects=there), M132, TARGETS, OPTIONS)
    assert of_nodes(made.steps) == [
        "1.32/nodes/nodepool/web",
        "1.32/nodes/health/nodepool/web",
        "1.32/gpu-drain-prep/class/nodepool/batch",
        "1.32/gpu-drain-prep/suspend/nodepool/batch",
        "1.32/nodes/nodepool/batch",
        "1.32/gpu-restore/resume/nodepool/batch",
        "1.32/gpu-restore/health/nodepool/batch",
    ]
    assert PoolRoll(name="batch", minor=M132, at_once=True) in rolls(estate(objects=there))
    (suspend,) = [step for step in made.steps if isinstance(step.act, SuspendGangs)]
    assert isinstance(suspend.act, SuspendGangs)
    assert suspend.act.minor == M132
    assert suspend.disrupts.startswith("Job ml/train, and gangs that run there by then, stand still")


def test_a_job_of_one_pod_is_no_reason_to_suspend_anybody() -> None:
    """They come and go by the minute: a plan would never be taken."""
    nodes = [claimed("k0", "web"), claimed("k1", "web")]
    made = plan(estate(objects=with_pools(nodepool("web"), nodes=nodes)), M132, TARGETS, OPTIONS)
    busy = estate(objects=with_pools(nodepool("web"), nodes=nodes, pods=[worker("nightly", 0, "k0")]))
    assert rolls(busy) == [PoolRoll(name="web", minor=M132)]
    assert hashing.differs(made, busy) == ()


def test_where_others_run_beside_gangs_budgets_count() -> None:
    nodes = [claimed("k0", "batch"), claimed("k1", "batch")]
    pods = [worker("train", 0, "k0"), worker("train", 1, "k1"), server("web-0", "k1")]
    assert rolls(estate(objects=with_pools(nodepool("batch"), nodes=nodes, pods=pods))) == [
        PoolRoll(name="batch", minor=M132)
    ]


@pytest.mark.parametrize("make", [gpus, group])
def test_a_gang_ties_a_group_and_a_pool_together(make: Any) -> None:
    nodes = [node("a", "own"), claimed("k0", "burst", gpus=8), claimed("k1", "web")]
    pods = [worker("train", 0, "a"), worker("train", 1, "k0")]
    there = with_pools(nodepool("burst"), nodepool("web"), nodes=nodes, pods=pods)
    made = plan(estate(make("own"), objects=there), M132, TARGETS, OPTIONS)
    together = "own+nodepool/burst"
    found = of_nodes(made.steps)
    assert next(one for one in found if "canary" not in one) == "1.32/gpu-drain-prep/class/nodepool/burst"
    kept = [
        one
        for one in found
        if ("roll-as" not in one and "as-it-was" not in one and "own" in one) or "pool" in one
    ]
    expected = [
        "1.32/gpu-drain-prep/class/nodepool/burst",
        "1.32/gpu-drain-prep/save/own",
        f"1.32/gpu-drain-prep/suspend/{together}",
        "1.32/nodes/own",
        "1.32/nodes/nodepool/burst",
        "1.32/gpu-restore/gpus/own",
        "1.32/gpu-restore/health/own",
        f"1.32/gpu-restore/resume/{together}",
        "1.32/gpu-restore/health/nodepool/burst",
        "1.32/nodes/nodepool/web",
        "1.32/nodes/health/nodepool/web",
    ]
    if make is group:
        expected = [one for one in expected if "save" not in one and "gpus/" not in one]
    assert kept == expected
    assert "node group own and NodePool burst are rolled in one go: jobs lie across them" in made.notes


def test_pools_with_gpus_wait_for_gangs_that_may_come() -> None:
    there = with_pools(nodepool("gpu"), nodes=[claimed("k0", "gpu", gpus=8)])
    assert "1.32/gpu-drain-prep/suspend/nodepool/gpu" in of_nodes(
        plan(estate(objects=there), M132, TARGETS, OPTIONS).steps
    )


@pytest.mark.parametrize(
    ("template", "suspends"),
    [({}, False), ({"requirements": [{"key": "karpenter.k8s.aws/instance-gpu-count"}]}, True)],
)
def test_a_pool_without_nodes_may_have_some_by_then(template: dict[str, Any], suspends: bool) -> None:
    there = with_pools(nodepool("burst", **template), nodes=[])
    found = of_nodes(plan(estate(objects=there), M132, TARGETS, OPTIONS).steps)
    assert "1.32/nodes/nodepool/burst" in found
    assert ("1.32/gpu-drain-prep/suspend/nodepool/burst" in found) == suspends


def test_each_hop_rolls_it_once() -> None:
    there = with_pools(nodepool("web"), nodes=[claimed("k0", "web")])
    assert [roll.minor for roll in rolls(estate(objects=there), M133)] == [M132, M133]


def test_what_is_there_already_is_left_out() -> None:
    whole = {"addons": (addon("coredns", M131), addon("kube-proxy", M131))}
    behind = with_pools(nodepool("web"), nodes=[claimed("k0", "web", "1.30"), claimed("k1", "web")])
    assert rolls(estate(objects=behind, **whole), M131) == [PoolRoll(name="web", minor=M131)]
    there = with_pools(nodepool("web"), nodepool("empty"), nodes=[claimed("k0", "web")])
    with pytest.raises(NothingToDo):
        plan(estate(objects=there, **whole), M131, TARGETS, OPTIONS)


@pytest.mark.parametrize(
    ("classes", "note"),
    [
        ((node_class(),), ""),
        ((node_class(id="ami-1"),), "EC2NodeClass default selects AMIs by id: let it select those of 1.32"),
        ((node_class(name="golden-*"),), "EC2NodeClass default selects AMIs by name"),
        ((), "EC2NodeClass default is not there: the run holds before nodes of NodePool web go"),
    ],
)
def test_a_class_that_would_give_the_old_minor_again_is_told(
    classes: tuple[dict[str, Any], ...], note: str
) -> None:
    there = with_pools(nodepool("web"), nodes=[claimed("k0", "web")], classes=classes)
    found = [
        one for one in plan(estate(objects=there), M132, TARGETS, OPTIONS).notes if "EC2NodeClass" in one
    ]
    assert [one.startswith(note) for one in found] == ([True] if note else [])


def test_pools_of_other_classes_are_told_and_not_rolled() -> None:
    other = nodepool("web")
    other["spec"]["template"]["spec"]["nodeClassRef"]["group"] = "example.com"
    made = plan(estate(objects=with_pools(other, nodes=[claimed("k0", "web")])), M132, TARGETS, OPTIONS)
    assert not any(isinstance(step.act, PoolRoll) for step in made.steps)
    assert any(note.startswith("1 node is Karpenter's") for note in made.notes)


def test_what_a_plan_rests_on_names_the_pool() -> None:
    nodes = [claimed("k0", "web"), claimed("k1", "web")]
    made = plan(estate(objects=with_pools(nodepool("web"), nodes=nodes)), M132, TARGETS, OPTIONS)
    # As many as pods need: that is Karpenter's.
    fewer = estate(objects=with_pools(nodepool("web"), nodes=nodes[:1]))
    assert hashing.differs(made, fewer) == ()
    by_id = estate(objects=with_pools(nodepool("web"), nodes=nodes, classes=(node_class(id="ami-1"),)))
    (difference,) = hashing.differs(made, by_id)
    assert str(difference) == (
        "NodePool web: node class: it was default, alias al2023@latest, it is default, AMIs by id"
    )
    busy = with_pools(nodepool("web"), nodes=nodes, pods=[worker("train", 0, "k0"), worker("train", 1, "k1")])
    names = {one.name for one in hashing.differs(made, estate(objects=busy))}
    assert names == {"NodePool web: gangs or GPUs"}


def test_the_way_back_takes_nodes_that_are_ahead_while_karpenter_stands_still() -> None:
    upgraded = SeenUpdate(
        id="u1",
        type="VersionUpdate",
        progress=Progress.SUCCESSFUL,
        created_s=NOW_S - 86400.0,
        parameters={"Version": "1.32"},
    )
    nodes = [claimed("k0", "web", "1.32"), claimed("k1", "old", "1.31"), claimed("k2", "older", "1.30")]
    of = estate(
        cluster=at(M132),
        addons=(addon("coredns", M132), addon("kube-proxy", M132)),
        updates=(upgraded,),
        objects=with_pools(nodepool("web"), nodepool("old"), nodepool("older"), nodes=nodes),
    )
    made = going_back.plan(of, TARGETS, OPTIONS)
    assert [step.id for step in made.steps][:3] == [
        "back-to-1.31/freeze",
        "back/1.31/nodes/nodepool/web",
        "back/1.31/nodes/health/nodepool/web",
    ]
    acts = [type(step.act) for step in made.steps]
    assert acts.count(Freeze) == acts.count(Unfreeze) == 1
    assert acts.index(Unfreeze) > [step.id for step in made.steps].index("back-to-1.31/control-plane")
    waits = [step.id for step in made.steps if isinstance(step.act, NodeClassReady)]
    assert waits == [f"back-to-1.31/class/nodepool/{name}" for name in ("old", "older", "web")]
    assert [step.id for step in made.steps].index(waits[-1]) < acts.index(Unfreeze)
    (note,) = [one for one in made.notes if "EC2NodeClass" in one]
    assert "follows the control plane: let it select AMIs of 1.31 until that is back" in note
    assert note.endswith("the run holds before nodes of NodePool web go till then")
    undo = tuple(step for step in made.steps if isinstance(step.act, Unfreeze))
    turned = going_back.plan(of, TARGETS, OPTIONS, undo=undo)
    assert [type(step.act) for step in turned.steps].count(Unfreeze) == 1


def test_who_is_not_known_to_run_there_may_be_a_gang() -> None:
    there = replace(with_pools(nodepool("web"), nodes=[claimed("k0", "web")]), unread=("Pod",))
    found = of_nodes(plan(estate(objects=there), M132, TARGETS, OPTIONS).steps)
    assert f"1.32/gpu-drain-prep/suspend/{pool('web')}" in found
