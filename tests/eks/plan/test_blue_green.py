"""Node groups that others take the place of: which steps there are, when there are none, and what is put back."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Reservation, Template
from aliquot.eks.estate.objects import Meta, Objects, Workload
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import blue_green, giving_up, going_back, planning, undoing
from aliquot.eks.plan.checking import wrong
from aliquot.eks.plan.plan import CannotPlan, Options, Pin, Plan
from aliquot.eks.upgrade.acts.cluster_counts import CountAfter
from aliquot.eks.upgrade.acts.freeze import Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor
from tests.eks.plan.estates import (
    M130,
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

GPU = Options(blue_green=("gpu",))
LABEL = "eks.amazonaws.com/nodegroup"
BARE = {
    "metadata": {"name": "notebook", "namespace": "ml"},
    "spec": {
        "nodeName": "gpu-0",
        "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    },
    "status": {"phase": "Running"},
}
"""Nobody makes it anew."""


def there(*pods: dict[str, Any], **more: Any) -> Estate:
    nodes = [node("cpu-0", "cpu"), node("gpu-0", "gpu"), node("gpu-1", "gpu")]
    jobs = (Workload(metadata=Meta(name="train", namespace="ml")),)
    return estate(group("cpu"), gpus("gpu"), objects=replace(objects(nodes, pods), jobs=jobs), **more)


def planned(found: Estate, options: Options = GPU, to: Minor = M132) -> Plan:
    return planning.plan(found, to, TARGETS, options)


def of_group(plan: Plan, name: str = "gpu") -> list[Step]:
    return [step for step in plan.steps if name in step.id and "/nodes/" in step.id]


@pytest.mark.parametrize(
    ("name", "to", "becomes"),
    [
        ("gpu", M133, "gpu-1-33"),
        ("gpu-1-33", Minor(1, 34), "gpu-1-34"),
        ("gpu-1", M133, "gpu-1-1-33"),
        ("a-1-2-b", M133, "a-1-2-b-1-33"),
    ],
)
def test_what_the_other_one_is_called(name: str, to: Minor, becomes: str) -> None:
    assert blue_green.green(name, to) == becomes


def test_the_steps_of_one_group() -> None:
    plan = planned(there(BARE, worker("train", 0, "gpu-1"), server("web", "gpu-1")))
    steps = of_group(plan)
    assert [step.id.removeprefix("1.32/nodes/") for step in steps] == [
        "save/gpu",
        "copy/gpu-1-32",
        "health/gpu-1-32",
        "gpus/gpu-1-32",
        "suspend/gpu",
        "resume/gpu",
        "drain/gpu",
        "remove/gpu",
    ]
    acts = {type(step.act): step.act for step in steps}
    copy, restore, suspend, drain, removal = (
        acts[kind] for kind in (GroupCopy, RestoreGpus, SuspendGangs, GroupDrain, GroupRemoval)
    )
    assert isinstance(copy, GroupCopy)
    assert (copy.name, copy.of, copy.release, copy.size) == ("gpu-1-32", "gpu", "1.32.9-20260920", None)
    assert isinstance(restore, RestoreGpus)
    assert (restore.groups, restore.instead) == (("gpu",), {"gpu": "gpu-1-32"})
    assert isinstance(suspend, SuspendGangs)
    assert (suspend.may_stay, suspend.may_evict) == (True, False)
    assert acts[ResumeGangs] == ResumeGangs(places=("gpu",), uncordons=False)
    assert drain == GroupDrain(cluster="prod", group="gpu", instead="gpu-1-32")
    assert removal == GroupRemoval(cluster="prod", name="gpu", only_copy=False, first=drain)
    # Nothing rolls it, and the others are rolled before it.
    assert [step.act.name for step in plan.steps if isinstance(step.act, GroupRoll)] == ["cpu"]
    told = {step.id.rpartition("nodes/")[2]: step.disrupts for step in steps if step.disrupts}
    assert "Job ml/train" in told["suspend/gpu"]
    assert "notebook" not in told["suspend/gpu"]
    assert told["drain/gpu"] == "1 pod moves; Pod ml/notebook is waited for, 1 d at most"
    assert wrong("run", plan.steps) == ()


def test_what_rests_on_its_name_goes_with_it() -> None:
    plan = planned(there())
    (after,) = (step.act for step in plan.steps if isinstance(step.act, CountAfter))
    assert after.instead == {"gpu": "gpu-1-32"}
    (preflight,) = (step.act for step in plan.steps if isinstance(step.act, Preflight))
    assert preflight.copied == ("gpu",)
    (surge,) = (one for one in plan.costs.surge if one.group == "gpu")
    assert surge.nodes == 2
    assert surge.hours > 0


def test_in_the_next_hop_it_goes_by_its_new_name() -> None:
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "nccl"},
        "spec": {"template": {"spec": {"containers": [{"name": "c"}], "restartPolicy": "Never"}}},
    }
    smoke = SmokeJob(name="nccl", manifest=manifest, group="gpu")
    pin = Pin(group="gpu", minor=M133, release="1.33.1-20260101")
    plan = planned(there(BARE), Options(blue_green=("gpu",), smokes=(smoke,), pins=(pin,)), M133)
    copies = [step.act for step in plan.steps if isinstance(step.act, GroupCopy)]
    assert [(one.of, one.name, one.release) for one in copies] == [
        ("gpu", "gpu-1-32", "1.32.9-20260920"),
        ("gpu-1-32", "gpu-1-33", "1.33.1-20260101"),
    ]
    assert [step.act.group for step in plan.steps if isinstance(step.act, SmokeJob)] == [
        "gpu-1-32",
        "gpu-1-33",
    ]
    afters = [step.act.instead for step in plan.steps if isinstance(step.act, CountAfter)]
    assert afters == [{"gpu": "gpu-1-32"}, {"gpu-1-32": "gpu-1-33"}]
    assert len({step.id for step in plan.steps}) == len(plan.steps)
    assert any("node group gpu is called gpu-1-33 in the end" in note for note in plan.notes)


def test_where_nothing_else_is_behind_it_is_all_that_is_planned() -> None:
    found = there(cluster=at(M132), addons=(addon("coredns", M132), addon("kube-proxy", M132)))
    cpu = replace(found.nodegroups[0], minor=M132, release="1.32.9-20260920")
    plan = planned(replace(found, nodegroups=(cpu, found.nodegroups[1])))
    assert [step.act.name for step in plan.steps if isinstance(step.act, GroupCopy)] == ["gpu-1-32"]
    assert not [step for step in plan.steps if isinstance(step.act, GroupRoll)]


@pytest.mark.parametrize(
    ("options", "waits"),
    [(GPU, True), (replace(GPU, drain_limit_s=7200.0), True), (replace(GPU, evict_gangs=True), False)],
    ids=["a day", "two hours", "evicted"],
)
def test_whom_it_waits_for_is_told(options: Options, waits: bool) -> None:
    plan = planned(there(BARE), options)
    told = [note for note in plan.notes if "Pod ml/notebook cannot be suspended" in note]
    assert bool(told) is waits
    assert not any("the run holds there" in note for note in plan.notes)
    (drain,) = (step.act for step in plan.steps if isinstance(step.act, GroupDrain))
    assert (drain.limit_s, drain.may_evict) == (options.drain_limit_s, options.evict_gangs)


def bound(**spec: Any) -> dict[str, Any]:
    return {**server("web", "gpu-0"), "spec": {"nodeName": "gpu-0", **spec}}


@pytest.mark.parametrize(
    ("found", "options", "why"),
    [
        (there(), Options(blue_green=("gpus",)), "has no node group gpus: it has cpu, gpu"),
        (
            estate(gpus("gpu"), group("gpu-1-32"), objects=objects([], [])),
            GPU,
            "there is a node group gpu-1-32: delete that, or roll gpu",
        ),
        (
            estate(gpus("gpu-1-32"), objects=objects([], [])),
            Options(blue_green=("gpu-1-32",)),
            "it is called as that one would be: roll it",
        ),
        (
            estate(gpus("g" * 60), objects=objects([], [])),
            Options(blue_green=("g" * 60,)),
            "EKS takes 63 characters: roll it",
        ),
        (there(), replace(GPU, no_surge=("gpu",)), "there is no capacity for 2 nodes beside"),
        (
            estate(
                gpus("gpu", template="lt", template_version="1"),
                templates=(Template(id="lt", version="1", reservation="cr"),),
                reservations=(Reservation(id="cr", instance_type="p5.48xlarge", total=3, available=1),),
                objects=objects([], []),
            ),
            GPU,
            "there is no capacity for 2 nodes beside",
        ),
        (estate(gpus("gpu"), objects=None), GPU, "pods of the cluster were not read"),
        (estate(gpus("gpu"), objects=Objects(unread=("Pod",))), GPU, "pods of the cluster were not read"),
        (
            there(bound(nodeSelector={LABEL: "gpu"})),
            GPU,
            "pod shop/web asks for its nodes by its name: let it ask for labels of your own",
        ),
    ],
    ids=[
        "unknown",
        "taken",
        "own-name",
        "too-long",
        "no-surge",
        "reservation",
        "aws-only",
        "unread",
        "by-name",
    ],
)
def test_why_there_is_no_other_one(found: Estate, options: Options, why: str) -> None:
    with pytest.raises(CannotPlan) as error:
        planned(found, options)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_before_the_control_plane_it_can_be_undone() -> None:
    behind = there(BARE, cluster=at(M131))
    behind = replace(behind, nodegroups=(behind.nodegroups[0], replace(behind.nodegroups[1], minor=M130)))
    plan = planned(behind)
    copies = [step.act.name for step in plan.steps if isinstance(step.act, GroupCopy)]
    assert copies == ["gpu-1-31", "gpu-1-32"]


def standing(plan: Plan, at_: str, phase: Phase) -> list[Standing]:
    ids = [step.id for step in plan.steps]
    now = ids.index(at_)
    return [
        Standing(
            number=number,
            step=id_,
            phase=Phase.DONE if number < now else phase if number == now else Phase.TO_DO,
            attempt=0,
            before=(),
            told="",
            since_s=0.0,
        )
        for number, id_ in enumerate(ids)
    ]


GIVEN_UP = [
    ResumeGangs(places=("gpu",)),
    SuspendGangs(cluster="prod", places=("gpu-1-32",), may_stay=True),
    ResumeGangs(places=("gpu-1-32",), uncordons=False),
    BACK := GroupDrain(cluster="prod", group="gpu-1-32", instead="gpu"),
    GroupRemoval(cluster="prod", name="gpu-1-32", only_copy=True, first=BACK),
]


@pytest.mark.parametrize(
    ("step", "phase", "given_up"),
    [
        ("save/gpu", Phase.DONE, 0),
        ("copy/gpu-1-32", Phase.TO_DO, 0),
        # Whose nodes it has nobody knows yet: somebody else may have made a group of that name.
        ("copy/gpu-1-32", Phase.BEGUN, 1),
        ("copy/gpu-1-32", Phase.HELD, 1),
        ("health/gpu-1-32", Phase.TO_DO, 5),
        ("suspend/gpu", Phase.HELD, 5),
        ("drain/gpu", Phase.HELD, 5),
        ("remove/gpu", Phase.TO_DO, 5),
    ],
)
def test_until_the_old_one_goes_the_copy_is_given_up(step: str, phase: Phase, given_up: int) -> None:
    plan = planned(there(BARE))
    found = undoing.left(plan.steps, standing(plan, f"1.32/nodes/{step}", phase))
    assert [one.act for one in found] == [*GIVEN_UP[len(GIVEN_UP) - given_up :], Unfreeze()]
    # Turned, and then once more: all of what is left of it is due.
    todo = [
        Standing(number=0, step=one.id, phase=Phase.TO_DO, attempt=0, before=(), told="", since_s=0.0)
        for one in found
    ]
    assert undoing.left(found, todo) == found
    begun = [replace(one, phase=Phase.DONE if number < 2 else Phase.TO_DO) for number, one in enumerate(todo)]
    assert undoing.left(found, begun) == found[2:]
    assert wrong("run", found) == ()


@pytest.mark.parametrize("phase", [Phase.BEGUN, Phase.HELD])
def test_once_the_old_one_goes_it_goes_to_its_end(phase: Phase) -> None:
    plan = planned(there(BARE))
    found = undoing.left(plan.steps, standing(plan, "1.32/nodes/remove/gpu", phase))
    assert [type(one.act) for one in found] == [GroupRemoval, Unfreeze]
    assert isinstance(found[0].act, GroupRemoval)
    assert found[0].act.name == "gpu"


def upgraded(*names: str) -> Estate:
    """The control plane is on, and there are these GPU groups."""
    found = [gpus(name, minor=M131 if name == "gpu" else M132) for name in names]
    update = SeenUpdate(
        id="u",
        type="VersionUpdate",
        progress=Progress.SUCCESSFUL,
        created_s=NOW_S - 3600,
        parameters={"Version": "1.32"},
    )
    return estate(*found, cluster=at(M132), updates=(update,), objects=objects([], []))


@pytest.mark.parametrize("status", ["ACTIVE", "CREATING", "CREATE_FAILED"])
def test_on_the_way_back_a_copy_goes_first_and_is_not_rolled(status: str) -> None:
    plan = planned(there(BARE))
    undo = undoing.left(plan.steps, standing(plan, "1.32/nodes/drain/gpu", Phase.HELD))
    found = upgraded("gpu", "gpu-1-32")
    blue, green = found.nodegroups
    found = replace(found, nodegroups=(blue, replace(green, status=status)))
    back = going_back.plan(found, TARGETS, plan.options, undo=undo)
    assert [step.act for step in back.steps[:5]] == GIVEN_UP
    assert [step.id for step in back.steps[:5]] == [f"back/{step.id}" for step in undo[:5]]
    assert not [step for step in back.steps if isinstance(step.act, GroupRoll | GroupCopy)]
    assert any(step.act == Unfreeze() for step in back.steps[5:])


def test_one_that_has_the_place_is_rolled_back_like_any_other() -> None:
    pin = Pin(group="gpu", minor=M131, release="1.31.1-20250101")
    back = going_back.plan(upgraded("gpu-1-32"), TARGETS, replace(GPU, pins=(pin,)))
    (roll,) = (step.act for step in back.steps if isinstance(step.act, GroupRoll))
    assert (roll.name, roll.minor, roll.release) == ("gpu-1-32", M131, "1.31.1-20250101")
    assert not [step for step in back.steps if isinstance(step.act, GroupCopy)]


def test_before_nodes_are_only_steps_of_groups_that_go() -> None:
    plan = planned(there(BARE))
    undo = undoing.left(plan.steps, standing(plan, "1.32/nodes/drain/gpu", Phase.HELD))
    assert giving_up.before_nodes(undo) == undo[:-1]
    assert giving_up.goes(undo) == {"gpu-1-32"}
