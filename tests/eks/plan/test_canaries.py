"""Of which GPU groups a node is tried first, and what a plan says of it."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from aliquot.eks.aws.model import against_model
from aliquot.eks.estate.estate import Nodegroup, Reservation, Template
from aliquot.eks.plan import canaries, hashing, rolling, runbook, text
from aliquot.eks.plan.plan import CannotPlan, Options, Pin, Plan
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade.acts.canary_node import CanaryNode
from aliquot.eks.upgrade.acts.group_copy import GroupCopy, Taint
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.states import State
from tests.eks.plan.estates import M130, M132, M133, TARGETS, estate, gpus, group

FULL = Reservation(id="cr-1", instance_type="p5.48xlarge", total=8, available=0)
RESERVED = Template(id="lt-1", version="3", reservation="cr-1")
PLAIN = Options()


def job(name: str, of: str = "", **spec: object) -> SmokeJob:
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"template": {"spec": {}}, **spec},
    }
    return SmokeJob(name=name, manifest=manifest, group=of)


def made(*groups: Nodegroup, options: Options = PLAIN, **more: object) -> Plan:
    return plan(estate(*groups, **more), M132, TARGETS, options)


def copied(of: Plan) -> list[str]:
    return [step.act.of for step in of.steps if isinstance(step.act, GroupCopy)]


H100 = gpus("h100", 4)
A100 = gpus("a100", 2, instance_types=("p4d.24xlarge",))


@pytest.mark.parametrize(
    ("groups", "options", "tried"),
    [
        ((group("web"), H100), Options(), ["h100"]),
        ((group("web"),), Options(), []),
        # One for each kind of nodes, the smallest group's.
        ((H100, gpus("more", 2)), Options(), ["more"]),
        ((H100, gpus("more", 2)), Options(smokes=(job("nccl", "h100"),)), ["h100"]),
        ((H100, A100), Options(), ["a100", "h100"]),
        (
            (H100, gpus("more", 2)),
            Options(pins=(Pin(group="more", minor=M132, release="1.32.1-20260101"),)),
            ["more", "h100"],
        ),
        # What cannot be, or shows nothing that the roll does not show.
        ((gpus("one", 1),), Options(), []),
        ((gpus("none", 0),), Options(), []),
        ((H100, gpus("one", 1)), Options(), ["h100"]),
        ((H100,), Options(no_surge=("h100",)), []),
        ((gpus("block", capacity="CAPACITY_BLOCK"),), Options(), []),
        ((gpus("last", strategy="MINIMAL"),), Options(), []),
        ((H100,), Options(no_gpu_canary=True), []),
    ],
)
def test_of_which_groups_a_node_is_tried_first(
    groups: Iterable[Nodegroup], options: Options, tried: list[str]
) -> None:
    assert copied(made(*groups, options=options)) == tried


def test_a_group_whose_reservation_is_full_has_none_and_that_is_said() -> None:
    of = gpus("gpu", template="lt-1", template_version="3")
    told = made(of, templates=(RESERVED,), reservations=(FULL,))
    assert copied(told) == []
    assert (
        "no node like those of node group gpu is tried before them: there is no capacity beside what it has"
        in told.notes
    )


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (gpus("gpu", 1), "it has one node"),
        (gpus("gpu", strategy="MINIMAL"), "old nodes first"),
        (gpus("gpu", 0), ""),
        (gpus("gpu"), ""),
        (group("web", 1), ""),
    ],
)
def test_where_there_is_none_a_plan_says_why(of: Nodegroup, says: str) -> None:
    (*_, told) = ["", *(note for note in made(of).notes if "is tried before them" in note)]
    assert says in told
    assert bool(says) == bool(told)
    assert not any("tried before" in note for note in made(of, options=Options(no_gpu_canary=True)).notes)


def test_of_a_group_whose_kind_is_tried_for_another_one_nothing_is_said() -> None:
    told = made(H100, gpus("one", 1), gpus("other", 1, instance_types=("p4d.24xlarge",))).notes
    assert [note for note in told if "tried before them" in note] == [
        "no node like those of node group other is tried before them: it has one node"
    ]


def test_its_steps_come_after_the_first_nodes_without_gpus_and_before_all_others() -> None:
    smokes = (job("nccl", "h100"), job("across", "h100", parallelism=2), job("shop", "web"))
    told = made(H100, group("web"), group("more", 5), options=Options(smokes=smokes))
    ids = [step.id for step in told.steps]
    first = ids.index("1.32/canary-nodes/canary/h100")
    assert ids[first - 1] == "1.32/canary-nodes/smoke/web/shop"
    assert ids[first : first + 5] == [
        "1.32/canary-nodes/canary/h100",
        "1.32/canary-nodes/canary-node/h100",
        # Not the one that takes two nodes.
        "1.32/canary-nodes/smoke/h100-canary-1-32/nccl",
        "1.32/canary-nodes/canary-gone/h100",
        "1.32/nodes/more",
    ]
    copy, look, smoke, gone = (step.act for step in told.steps[first : first + 4])
    assert copy == GroupCopy(
        cluster="prod",
        name="h100-canary-1-32",
        of="h100",
        minor=M132,
        release="1.32.9-20260920",
        size=1,
        taints=(Taint(key="aliquot.dev/startup"),),
        canary=True,
    )
    assert look == CanaryNode(cluster="prod", name="h100-canary-1-32", of="h100", minor=M132)
    assert isinstance(smoke, SmokeJob)
    assert (smoke.group, smoke.canary_of) == ("h100-canary-1-32", "h100")
    assert gone == GroupRemoval(cluster="prod", name="h100-canary-1-32", only_copy=True)
    assert not any(step.disrupts for step in told.steps[first : first + 4])


def test_a_group_that_is_behind_is_tried_before_the_control_plane_too_and_each_hop_anew() -> None:
    told = plan(estate(gpus("gpu", minor=M130, release="1.30.9")), M133, TARGETS, Options())
    copies = [(step.state, step.act.name) for step in told.steps if isinstance(step.act, GroupCopy)]
    assert copies == [
        (State.PRE_NODES, "gpu-canary-1-31"),
        (State.CANARY_NODES, "gpu-canary-1-32"),
        (State.CANARY_NODES, "gpu-canary-1-33"),
    ]


def test_it_is_a_call_that_is_shown_and_that_aws_takes() -> None:
    told = made(
        gpus(
            "gpu",
            labels={"team": "ml"},
            taints=("nvidia.com/gpu=yes:NoSchedule",),
            role_arn="arn:aws:iam::123456789012:role/nodes",
            disk_gib=200,
        )
    )
    (step,) = (step for step in told.steps if isinstance(step.act, GroupCopy))
    assert step.call is not None
    assert step.call.parameters["taints"] == [
        {"key": "nvidia.com/gpu", "effect": "NO_SCHEDULE", "value": "yes"},
        {"key": "aliquot.dev/startup", "effect": "NO_SCHEDULE"},
    ]
    assert not list(against_model(step.call.service, step.call.operation, step.call.parameters))
    written = runbook.markdown(told)
    assert "aws eks create-nodegroup --cluster-name prod --nodegroup-name gpu-canary-1-32" in written
    assert "--kubernetes-version 1.32" in written
    assert "aws eks delete-nodegroup --cluster-name prod --nodegroup-name gpu-canary-1-32" in written
    assert any("CreateNodegroup" in row for row in text.rows(told))


def test_it_costs_a_node_for_as_long_as_it_is_there() -> None:
    told = plan(estate(gpus("gpu")), M132, replace(TARGETS, usd_per_hour={"p5.48xlarge": 60.0}), Options())
    (canary,) = (one for one in told.costs.surge if one.group == "gpu" and one.nodes == 1)
    assert canary.hours == 0.25
    assert canary.usd == 15.0


def test_a_name_that_is_taken_is_said_beforehand() -> None:
    with pytest.raises(CannotPlan, match="has a node group gpu-canary-1-32, which is what the canary of gpu"):
        made(gpus("gpu"), group("gpu-canary-1-32", 1))
    made(gpus("gpu"), group("gpu-canary-1-32", 1), options=Options(no_gpu_canary=True))


def test_a_long_name_is_cut_to_what_eks_takes() -> None:
    long = "g" * 63
    (name,) = {step.act.name for step in made(gpus(long)).steps if isinstance(step.act, GroupCopy)}
    assert name == "g" * 51 + "-canary-1-32"
    assert len(name) == 63


@pytest.mark.parametrize(
    ("was", "becomes", "differs"), [(2, 1, True), (2, 5, False), (1, 2, True), (1, 0, False)]
)
def test_a_plan_rests_on_whether_there_are_several_nodes(was: int, becomes: int, differs: bool) -> None:
    found = hashing.differs(
        plan(estate(gpus("gpu", was)), M132, TARGETS, Options()),
        estate(replace(gpus("gpu", was), desired=becomes)),
    )
    assert [one.name for one in found] == (["node group gpu: nodes"] if differs else [])


def test_why_a_group_without_gpus_is_not_tried() -> None:
    assert canaries.against(estate(), group("web"), Options()) == "it has no GPUs"
    assert rolling.has_gpus(estate(), H100)
