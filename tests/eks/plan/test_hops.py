"""Clusters and the steps that lead them on, as a reader would write them down."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Reservation, Template
from aliquot.eks.estate.objects import Objects, Workload
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.plan import DAY_S, CannotPlan, Options, Pin
from aliquot.eks.plan.planning import plan
from aliquot.eks.preflight.surge import nodes_on_top
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.versions.minor import Minor
from tests.eks.plan.estates import (
    M130,
    M131,
    M132,
    M133,
    M134,
    TARGETS,
    addon,
    at,
    builds,
    estate,
    gpus,
    group,
    node,
    objects,
    server,
    shipped_builds,
    worker,
)

OPTIONS = Options(no_gpu_canary=True)
AROUND = {
    "refresh-insights",
    "preflight",
    "approve",
    "backup",
    "freeze",
    "control-plane-verify",
    "platform",
    "unfreeze",
    "verify",
}


def ids(of: Estate, to: Minor = M132, options: Options = OPTIONS) -> list[str]:
    return [step.id for step in plan(of, to, TARGETS, options).steps]


def changing(of: Estate, to: Minor = M132, options: Options = OPTIONS) -> list[str]:
    """Without what is around every hop, and after every roll."""
    return [id_ for id_ in ids(of, to, options) if id_.split("/")[1] not in AROUND and "/health/" not in id_]


def test_one_hop_is_told_from_its_first_step_to_its_last() -> None:
    assert ids(estate(group("web"))) == [
        "1.32/refresh-insights",
        "1.32/preflight",
        "1.32/preflight/rights",
        "1.32/approve",
        "1.32/backup",
        "1.32/backup/counts",
        "1.32/freeze",
        "1.32/control-plane",
        "1.32/control-plane-verify",
        "1.32/canary-nodes/web",
        "1.32/canary-nodes/health/web",
        "1.32/kube-proxy",
        "1.32/platform",
        "1.32/unfreeze",
        "1.32/verify",
    ]


def test_two_hops_have_a_soak_between_them_and_none_at_the_end() -> None:
    assert changing(estate(group("web")), M133) == [
        "1.32/control-plane",
        "1.32/canary-nodes/web",
        "1.32/kube-proxy",
        "1.32/soak",
        "1.33/control-plane",
        "1.33/core-addons/coredns",
        "1.33/canary-nodes/web",
        "1.33/kube-proxy",
    ]
    (soak,) = [
        step
        for step in plan(estate(group("web")), M133, TARGETS, OPTIONS).steps
        if isinstance(step.act, Soak)
    ]
    assert soak.expected_s == DAY_S


def test_without_a_soak_it_is_said_what_is_lost() -> None:
    made = plan(estate(group("web")), M133, TARGETS, Options(soak_s=0.0))
    assert not [step for step in made.steps if isinstance(step.act, Soak)]
    assert (
        "there is no soak between hops: with the hop to 1.33 the right to go back to 1.31 ends at once"
        in made.notes
    )


def test_groups_without_gpus_come_first_the_smallest_as_canary() -> None:
    of = estate(gpus("a100", 1), group("web", 5), group("none", 0), group("small", 2), gpus("h100", 4))
    assert changing(of) == [
        "1.32/control-plane",
        "1.32/canary-nodes/small",
        "1.32/nodes/web",
        "1.32/nodes/none",
        "1.32/gpu-drain-prep/save/a100",
        "1.32/gpu-drain-prep/suspend/a100",
        "1.32/nodes/a100",
        "1.32/gpu-restore/gpus/a100",
        "1.32/gpu-restore/resume/a100",
        "1.32/gpu-drain-prep/save/h100",
        "1.32/gpu-drain-prep/suspend/h100",
        "1.32/nodes/h100",
        "1.32/gpu-restore/gpus/h100",
        "1.32/gpu-restore/resume/h100",
        "1.32/kube-proxy",
    ]


NODES = [node("a", "gpu-a"), node("b", "gpu-b"), node("w", "web")]


def test_groups_that_a_gang_lies_across_are_rolled_in_one_go_and_all_at_once() -> None:
    running = objects(NODES, [worker("train", 0, "a"), worker("train", 1, "b"), server("web-0", "w")])
    of = estate(gpus("gpu-a"), gpus("gpu-b"), group("web"), objects=running)
    assert changing(of) == [
        "1.32/control-plane",
        "1.32/canary-nodes/web",
        "1.32/gpu-drain-prep/roll-as/gpu-a",
        "1.32/gpu-drain-prep/roll-as/gpu-b",
        "1.32/gpu-drain-prep/save/gpu-a+gpu-b",
        "1.32/gpu-drain-prep/suspend/gpu-a+gpu-b",
        "1.32/nodes/gpu-a",
        "1.32/nodes/gpu-b",
        "1.32/gpu-restore/gpus/gpu-a+gpu-b",
        "1.32/gpu-restore/resume/gpu-a+gpu-b",
        "1.32/gpu-restore/as-it-was/gpu-a",
        "1.32/gpu-restore/as-it-was/gpu-b",
        "1.32/kube-proxy",
    ]
    configs = [
        step.act for step in plan(of, M132, TARGETS, OPTIONS).steps if isinstance(step.act, GroupConfig)
    ]
    assert [(one.most_unavailable_percentage, one.most_unavailable) for one in configs] == [
        (None, 2),
        (None, 2),
        (None, 1),
        (None, 1),
    ]


@pytest.mark.parametrize(
    ("desired", "options", "at_once", "on_top"),
    [
        (8, OPTIONS, "DEFAULT, 4", 4),
        (3, OPTIONS, "DEFAULT, 3", 4),
        (8, Options(no_surge=("gpu-a",)), "MINIMAL, 100 %", 0),
    ],
)
def test_where_nobody_is_left_as_many_go_at_once_as_come_on_top_anyway(
    desired: int, options: Options, at_once: str, on_top: int
) -> None:
    of = estate(gpus("gpu-a", desired), objects=objects(NODES, [worker("train", 0, "a")]))
    made = plan(of, M132, TARGETS, options)
    config = next(step.act for step in made.steps if isinstance(step.act, GroupConfig))
    most = config.most_unavailable or f"{config.most_unavailable_percentage} %"
    assert f"{config.strategy}, {most}" == at_once
    rolled = after(of, config)
    assert nodes_on_top(rolled, rolled.nodegroups[0]) == on_top


def test_who_stands_still_and_for_how_long_is_said() -> None:
    running = objects(NODES, [worker("train", 0, "a"), worker("train", 1, "b")])
    made = plan(
        estate(gpus("gpu-a"), gpus("gpu-b"), objects=running), M132, TARGETS, Options(checkpoint_s=60.0)
    )
    (suspend,) = [step for step in made.steps if isinstance(step.act, SuspendGangs)]
    assert suspend.disrupts == (
        "Job ml/train, and gangs that run there by then, stand still until their nodes are replaced, about 28 min"
    )
    assert (suspend.act, suspend.at_most_s) == (
        SuspendGangs(cluster="prod", places=("gpu-a", "gpu-b"), deadline_s=60.0),
        60.0 + 900.0,
    )


def test_where_others_run_beside_a_gang_not_all_nodes_go_at_once() -> None:
    running = objects(
        NODES, [worker("train", 0, "a"), worker("train", 1, "b"), server("web-0", "a"), server("web-1", "b")]
    )
    assert changing(estate(gpus("gpu-a"), gpus("gpu-b"), objects=running)) == [
        "1.32/control-plane",
        "1.32/gpu-drain-prep/save/gpu-a+gpu-b",
        "1.32/gpu-drain-prep/suspend/gpu-a+gpu-b",
        "1.32/nodes/gpu-a",
        "1.32/nodes/gpu-b",
        "1.32/gpu-restore/gpus/gpu-a+gpu-b",
        "1.32/gpu-restore/resume/gpu-a+gpu-b",
        "1.32/kube-proxy",
    ]


@pytest.mark.parametrize("why", ["block", "reservation", "said"])
def test_capacity_that_cannot_surge_lets_old_nodes_go_first(why: str) -> None:
    settings: dict[str, Any] = {
        "block": {"capacity": "CAPACITY_BLOCK"},
        "reservation": {"template": "lt-1", "template_version": "3"},
        "said": {},
    }[why]
    of = estate(
        gpus("gpu", **settings),
        templates=(Template(id="lt-1", version="3", reservation="cr-1"),),
        reservations=(Reservation(id="cr-1", instance_type="p5.48xlarge", total=2, available=0),),
    )
    made = plan(of, M132, TARGETS, Options(no_surge=("gpu",) if why == "said" else ()))
    configs = [step.act for step in made.steps if isinstance(step.act, GroupConfig)]
    assert [str(one.strategy) for one in configs] == ["MINIMAL", "DEFAULT"]
    assert not made.costs.surge
    (roll,) = [step for step in made.steps if isinstance(step.act, GroupRoll)]
    assert "old ones go first" in roll.disrupts


def test_a_reservation_with_room_may_surge() -> None:
    of = estate(
        gpus("gpu", template="lt-1", template_version="3"),
        templates=(Template(id="lt-1", version="3", reservation="cr-1"),),
        reservations=(Reservation(id="cr-1", instance_type="p5.48xlarge", total=8, available=4),),
    )
    assert not [step for step in plan(of, M132, TARGETS, OPTIONS).steps if isinstance(step.act, GroupConfig)]


def test_groups_that_are_behind_are_brought_up_before_the_control_plane_goes_on() -> None:
    of = estate(group("old", minor=M130, release="1.30.1-20250101"), group("web", 5))
    assert changing(of) == [
        "1.32/pre-nodes/old",
        "1.32/control-plane",
        "1.32/canary-nodes/old",
        "1.32/nodes/web",
        "1.32/kube-proxy",
    ]
    (preflight,) = [
        step.act for step in plan(of, M132, TARGETS, OPTIONS).steps if isinstance(step.act, Preflight)
    ]
    assert [(one.check, one.what) for one in preflight.waivers] == [("node-group-versions", "node group old")]


def test_an_addon_that_is_not_for_the_next_minor_is_raised_before_to_a_build_for_both() -> None:
    ebs = addon("aws-ebs-csi-driver")
    known = builds(
        ebs.name,
        (ebs.build, [M131], [M131]),
        ("v1.46.0-eksbuild.1", [M131, M132], []),
        ("v1.47.0-eksbuild.1", [M131, M132], []),
        ("v1.48.0-eksbuild.1", [M132], [M132]),
    )
    of = estate(addons=(ebs,), builds=known)
    assert changing(of) == [
        "1.32/pre-addons/aws-ebs-csi-driver",
        "1.32/control-plane",
        "1.32/core-addons/aws-ebs-csi-driver",
    ]
    acts = [step.act for step in plan(of, M132, TARGETS, OPTIONS).steps if isinstance(step.act, AddonBuild)]
    assert [one.build for one in acts] == ["v1.47.0-eksbuild.1", "v1.48.0-eksbuild.1"]


def test_where_no_build_is_for_both_minors_that_is_said_where_it_is_raised() -> None:
    ebs = addon("aws-ebs-csi-driver")
    known = builds(ebs.name, (ebs.build, [M131], [M131]), ("v1.48.0-eksbuild.1", [M132], [M132]))
    (raised,) = [
        step
        for step in plan(estate(addons=(ebs,), builds=known), M132, TARGETS, OPTIONS).steps
        if isinstance(step.act, AddonBuild)
    ]
    assert raised.id == "1.32/core-addons/aws-ebs-csi-driver"
    assert "a build that EKS does not list for 1.32: none goes with both minors" in raised.disrupts


def test_the_network_goes_through_each_of_its_own_minors() -> None:
    cni = addon("vpc-cni")
    known = builds(
        cni.name,
        *((f"v1.{own}.{patch}-eksbuild.1", [M131, M132], []) for own in (18, 19, 20) for patch in (0, 5)),
        ("v1.21.1-eksbuild.1", [M131, M132], [M132]),
    )
    of = estate(
        addons=(type(cni)(name=cni.name, build="v1.18.0-eksbuild.1"), addon("coredns")),
        builds=(*known, *shipped_builds("coredns")),
    )
    acts = [step.act for step in plan(of, M132, TARGETS, OPTIONS).steps if isinstance(step.act, AddonBuild)]
    assert [one.build for one in acts] == ["v1.19.5-eksbuild.1", "v1.20.5-eksbuild.1", "v1.21.1-eksbuild.1"]
    assert changing(of)[1:] == [
        "1.32/core-addons/vpc-cni/v1.19.5-eksbuild.1",
        "1.32/core-addons/vpc-cni/v1.20.5-eksbuild.1",
        "1.32/core-addons/vpc-cni",
    ]


def test_a_newer_build_than_the_default_is_not_brought_back() -> None:
    known = builds(
        "coredns",
        ("v1.11.4-eksbuild.53", [M131, M132], [M131, M132]),
        ("v1.12.0-eksbuild.1", [M131, M132], []),
    )
    coredns = type(addon("coredns"))(name="coredns", build="v1.12.0-eksbuild.1")
    assert changing(estate(addons=(coredns,), builds=known)) == ["1.32/control-plane"]


def test_kube_proxy_that_would_be_too_far_behind_is_raised_before() -> None:
    proxy = type(addon("kube-proxy"))(name="kube-proxy", build="v1.28.15-eksbuild.37")
    of = estate(addons=(proxy,), builds=shipped_builds("kube-proxy"))
    assert changing(of) == ["1.32/pre-addons/kube-proxy", "1.32/control-plane", "1.32/kube-proxy"]


def test_what_the_control_plane_is_ahead_of_is_all_that_is_planned() -> None:
    of = estate(group("web", release="1.32.9-20260920", minor=M132), group("batch", 5), cluster=at(M132))
    assert changing(of) == ["1.32/canary-nodes/batch", "1.32/kube-proxy"]
    assert (
        "the control plane is at 1.32 already: only what is behind it is planned"
        in plan(of, M132, TARGETS, OPTIONS).notes
    )


def test_an_ami_of_ones_own_goes_by_the_template_that_is_said() -> None:
    of = estate(group("own", ami_type="CUSTOM", template="lt-9", template_version="4"))
    pins = (Pin(group="own", minor=M132, template_version="5"),)
    (roll,) = [
        step.act
        for step in plan(of, M132, TARGETS, Options(pins=pins)).steps
        if isinstance(step.act, GroupRoll)
    ]
    assert roll == GroupRoll(
        cluster="prod", name="own", minor=M132, release="", template={"id": "lt-9", "version": "5"}
    )


def test_a_release_that_is_said_wins() -> None:
    pins = (Pin(group="gpu", minor=M132, release="1.32.7-20260801"),)
    (roll,) = [
        step.act
        for step in plan(estate(gpus("gpu")), M132, TARGETS, Options(pins=pins)).steps
        if isinstance(step.act, GroupRoll)
    ]
    assert roll.release == "1.32.7-20260801"


def test_a_release_and_a_template_that_are_said_go_together() -> None:
    of = estate(gpus("gpu", template="lt-9", template_version="4"))
    pins = (
        Pin(group="gpu", minor=M132, release="1.32.7-20260801"),
        Pin(group="gpu", minor=M132, template_version="5"),
    )
    for said in (pins, pins[::-1]):
        (roll,) = [
            step.act
            for step in plan(of, M132, TARGETS, Options(pins=said)).steps
            if isinstance(step.act, GroupRoll)
        ]
        assert (roll.release, roll.template) == ("1.32.7-20260801", {"id": "lt-9", "version": "5"})


@pytest.mark.parametrize(("release", "driver"), [("1.32.9-20251108", "580"), ("1.32.9-20990101", None)])
def test_new_nodes_have_to_have_the_driver_of_their_release_where_it_is_known(
    release: str, driver: str | None
) -> None:
    pins = (Pin(group="gpu", minor=M132, release=release),)
    (restore,) = [
        step.act
        for step in plan(estate(gpus("gpu")), M132, TARGETS, Options(pins=pins)).steps
        if isinstance(step.act, RestoreGpus)
    ]
    assert restore.drivers.get("gpu") == driver


def test_a_job_that_is_given_twice_is_refused() -> None:
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {}}}}
    nccl = SmokeJob(name="nccl", manifest=manifest)
    with pytest.raises(CannotPlan, match="smoke job nccl is given twice: give"):
        plan(estate(group("cpu")), M132, TARGETS, Options(smokes=(nccl, nccl)))


def test_jobs_that_have_to_succeed_run_before_gangs_go_on_and_at_both_ends() -> None:
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {}}}}
    nccl = SmokeJob(name="nccl", manifest=manifest, group="gpu")
    web = SmokeJob(name="shop", manifest=manifest, group="web")
    shop = SmokeJob(name="all", manifest=manifest)
    of = estate(gpus("gpu"), group("web"))
    found = ids(of, M132, Options(smokes=(nccl, web, shop)))
    assert found.index("1.32/gpu-restore/gpus/gpu") + 2 == found.index("1.32/gpu-restore/smoke/gpu/nccl")
    assert found.index("1.32/gpu-restore/smoke/gpu/nccl") + 1 == found.index("1.32/gpu-restore/resume/gpu")
    assert found.index("1.32/canary-nodes/health/web") + 1 == found.index("1.32/canary-nodes/smoke/web/shop")
    assert found[-2:] == ["1.32/verify", "1.32/verify/smoke/all"]
    # What fails before is not for the upgrade to find out.
    assert found.index("1.32/backup/counts") + 1 == found.index("1.32/backup/smoke/all")
    assert found.index("1.32/backup/smoke/all") + 1 == found.index("1.32/freeze")


def test_fargate_is_restarted_where_there_is_some_or_nobody_knows() -> None:
    fargate = {"metadata": {"name": "f", "labels": {"eks.amazonaws.com/compute-type": "fargate"}}}
    assert "1.32/fargate" in changing(estate(objects=objects([fargate], [])))
    assert "1.32/fargate" in changing(estate(objects=None))
    assert "1.32/fargate" not in changing(estate())


def test_who_moves_is_said() -> None:
    running = objects(NODES, [worker("train", 0, "a"), server("web-0", "a"), server("web-1", "a")])
    made = plan(estate(gpus("gpu-a"), objects=running), M132, TARGETS, OPTIONS)
    (roll,) = [step for step in made.steps if isinstance(step.act, GroupRoll)]
    assert roll.disrupts == ("2 nodes are replaced, 1 at a time, new ones come first; 2 pods move")
    on_cpu = objects(NODES, [worker("train", 0, "w"), server("web-0", "w")])
    (roll,) = [
        step
        for step in plan(estate(group("web"), objects=on_cpu), M132, TARGETS, OPTIONS).steps
        if isinstance(step.act, GroupRoll)
    ]
    assert roll.disrupts.endswith("; 2 pods move, among them those of Job ml/train")


def test_what_no_step_replaces_is_said() -> None:
    strangers = [
        {"metadata": {"name": "k", "labels": {"karpenter.sh/nodepool": "default"}}},
        {"metadata": {"name": "own", "labels": {}}},
        {"metadata": {"name": "fargate-10-0-0-1", "labels": {"eks.amazonaws.com/compute-type": "fargate"}}},
    ]
    made = plan(estate(group("web"), objects=objects(strangers, [])), M132, TARGETS, OPTIONS)
    assert any(note.startswith("1 node is Karpenter's") for note in made.notes)
    assert any(note.startswith("1 node is of no managed group") for note in made.notes)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        (M132, "and standard support of 1.32 is over: EKS may move it on by itself"),
        (M134, "EKS moves it on by itself after 2026-12-02"),
    ],
)
def test_whoever_pays_for_no_extended_support_is_told_what_eks_does(to: Minor, says: str) -> None:
    of = estate(cluster=at(M131, support="STANDARD"))
    notes = plan(of, to, TARGETS, OPTIONS).notes
    assert [says in note for note in notes if "upgrade policy is STANDARD" in note] == [True]
    assert not [note for note in plan(estate(), to, TARGETS, OPTIONS).notes if "policy" in note]


def test_what_runs_beside_eks_addons_is_said() -> None:
    workloads = [
        {"metadata": {"namespace": "kube-system", "name": name}} for name in ("aws-node", "kube-proxy")
    ]
    running = Objects(workloads={"DaemonSet": msgspec.convert(workloads, tuple[Workload, ...])})
    made = plan(estate(group("web"), objects=running), M132, TARGETS, OPTIONS)
    assert [note.partition(",")[0] for note in made.notes if "no add-on of EKS" in note] == ["vpc-cni runs"]


def test_without_an_api_server_gangs_are_not_checked() -> None:
    made = plan(estate(gpus("gpu"), objects=None), M132, TARGETS, OPTIONS)
    assert [str(one.what) for one in made.unchecked] == ["gangs, and who moves"]
    forbidden = replace(objects([], []), unread=("Pod",))
    made = plan(estate(gpus("gpu"), objects=forbidden), M132, TARGETS, OPTIONS)
    assert [one.why for one in made.unchecked] == ["pods or nodes of the cluster could not be read"]
    (suspend,) = [step for step in made.steps if isinstance(step.act, SuspendGangs)]
    assert suspend.disrupts.endswith("which ones was not read")
    assert made.to > M131


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        (
            "LeaderWorkerSet",
            Options(),
            "the run holds there unless it has ended by then; --scale-gangs or --evict-gangs",
        ),
        (
            "LeaderWorkerSet",
            Options(scale_gangs=True),
            "is scaled to no replicas while its nodes are replaced",
        ),
        ("LeaderWorkerSet", Options(evict_gangs=True), "EKS evicts its pods"),
        ("Study", Options(scale_gangs=True), "(nothing is known here of a Study): the run holds there"),
        ("Study", Options(evict_gangs=True), "EKS evicts its pods"),
        ("JobSet", Options(), ""),
    ],
)
def test_what_becomes_of_a_gang_that_cannot_be_suspended_is_said(
    kind: str, options: Options, says: str
) -> None:
    group = {"LeaderWorkerSet": "leaderworkerset.x-k8s.io", "JobSet": "jobset.x-k8s.io"}.get(
        kind, "example.com"
    )
    pod = worker("x", 0, "a")
    pod["metadata"]["ownerReferences"] = [
        {"kind": kind, "apiVersion": f"{group}/v1", "name": "x", "controller": True}
    ]
    running = replace(
        objects(NODES, [pod]),
        things={f"{kind}.{group}": ({"metadata": {"name": "x", "namespace": "ml"}, "spec": {}},)},
    )
    made = plan(estate(gpus("gpu-a"), gpus("gpu-b"), objects=running), M132, TARGETS, options)
    told = [note for note in made.notes if note.startswith(f"{kind} ml/x")]
    assert len(told) == bool(says)
    assert all(says in note for note in told)
    (suspend,) = [
        step.act for step in made.steps if isinstance(step.act, SuspendGangs) and "gpu-a" in step.act.places
    ]
    assert (suspend.may_scale, suspend.may_evict) == (options.scale_gangs, options.evict_gangs)
