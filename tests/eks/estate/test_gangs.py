"""Which pods stop together, whoever made them and however their group is named."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.gangs import Gang, Thing, drawn, of_objects, sets_tied, thing_of, unread
from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS, Way
from aliquot.eks.estate.objects import Objects, Pod, Workload
from aliquot.kube.resources import Resource

GPU = {"limits": {"nvidia.com/gpu": "8"}}


def owner(kind: str, api_version: str, name: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": api_version,
        "name": name,
        "uid": f"uid-{kind}-{name}",
        "controller": True,
    }


JOB = owner("Job", "batch/v1", "job")
JOB_SET = owner("JobSet", "jobset.x-k8s.io/v1alpha2", "set")
TRAIN_JOB = owner("TrainJob", "trainer.kubeflow.org/v1alpha1", "train")
TORCH = owner("PyTorchJob", "kubeflow.org/v1", "torch")
WORKFLOW = owner("Workflow", "argoproj.io/v1alpha1", "flow")
STUDY = owner("Study", "labs.example.com/v1", "study")
RAY_JOB = owner("RayJob", "ray.io/v1", "ray")
RAY = owner("RayCluster", "ray.io/v1", "ray-1")
LWS = owner("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1", "lws")
LWS_SET = owner("StatefulSet", "apps/v1", "lws-0")
DEPLOYMENT = owner("Deployment", "apps/v1", "web")
REPLICAS = owner("ReplicaSet", "apps/v1", "web-1")
DAEMONS = owner("DaemonSet", "apps/v1", "plugin")
VOLCANO = owner("Job", "batch.volcano.sh/v1alpha1", "vj")


def thing(reference: dict[str, Any], above: dict[str, Any] | None = None, **spec: Any) -> Thing:
    group, _, version = reference["apiVersion"].rpartition("/")
    known = JOB_KINDS.get((group, reference["kind"]))
    plural = known.resource.plural if known else f"{reference['kind'].lower()}s"
    meta = {"name": reference["name"], "namespace": "ml", "uid": reference["uid"], "resourceVersion": "7"}
    if above is not None:
        meta["ownerReferences"] = [above]
    return thing_of(Resource(group, version, plural, reference["kind"]), {"metadata": meta, "spec": spec})


def workload(of: dict[str, Any], active: bool = True) -> Thing:
    meta = {"name": f"kueue-{of['name']}", "namespace": "ml", "ownerReferences": [of]}
    return thing_of(WORKLOADS, {"metadata": meta, "spec": {"active": active}})


def pod(
    name: str, by: dict[str, Any] | None = None, node: str = "n1", phase: str = "Running", **more: Any
) -> Pod:
    meta = {"name": name, "namespace": "ml", "ownerReferences": [by] if by else [], **more}
    spec = {"nodeName": node, "containers": [{"name": "c", "resources": GPU}]}
    return msgspec.convert({"metadata": meta, "spec": spec, "status": {"phase": phase}}, Pod)


def gangs(pods: list[Pod], *things: Thing) -> tuple[Gang, ...]:
    return drawn(pods, {one.key: one for one in things})


@pytest.mark.parametrize(
    ("by", "things", "root", "way", "target"),
    [
        (JOB, [thing(JOB)], "Job ml/job", Way.FIELD, "job"),
        (JOB, [thing(JOB, JOB_SET), thing(JOB_SET)], "JobSet ml/set", Way.FIELD, "set"),
        (
            JOB,
            [thing(JOB, JOB_SET), thing(JOB_SET, TRAIN_JOB), thing(TRAIN_JOB)],
            "TrainJob ml/train",
            Way.FIELD,
            "train",
        ),
        # Who only starts others, or is not known, made them to be just that.
        (TORCH, [thing(TORCH, WORKFLOW), thing(WORKFLOW)], "PyTorchJob ml/torch", Way.FIELD, "torch"),
        (TORCH, [thing(TORCH, STUDY)], "PyTorchJob ml/torch", Way.FIELD, "torch"),
        (STUDY, [], "Study ml/study", Way.NONE, None),
        (RAY, [thing(RAY, RAY_JOB), thing(RAY_JOB)], "RayJob ml/ray", Way.NONE, None),
        (
            RAY,
            [thing(RAY, RAY_JOB), thing(RAY_JOB, shutdownAfterJobFinishes=True)],
            "RayJob ml/ray",
            Way.FIELD,
            "ray",
        ),
        (RAY, [thing(RAY)], "RayCluster ml/ray-1", Way.FIELD, "ray-1"),
        (LWS_SET, [thing(LWS_SET, LWS), thing(LWS)], "LeaderWorkerSet ml/lws", Way.SCALE, "lws"),
        (VOLCANO, [thing(VOLCANO)], "Job ml/vj", Way.NONE, None),
        # What Kueue admitted it sets back: its own object is written to.
        (TORCH, [thing(TORCH), workload(TORCH)], "PyTorchJob ml/torch", Way.KUEUE, "kueue-torch"),
        (
            RAY,
            [thing(RAY, RAY_JOB), thing(RAY_JOB), workload(RAY_JOB)],
            "RayJob ml/ray",
            Way.KUEUE,
            "kueue-ray",
        ),
        (JOB, [], "Job ml/job", Way.NONE, None),
        (None, [], "Pod ml/a", Way.NONE, None),
    ],
)
def test_the_root_and_its_way(
    by: dict[str, Any] | None, things: list[Thing], root: str, way: Way, target: str | None
) -> None:
    (gang,) = gangs([pod("a", by)], *things)
    (found,) = gang.roots
    assert (str(found), found.way) == (root, way)
    assert (found.target.metadata.name if found.target else None) == target
    assert bool(found.why) == (way is Way.NONE)


@pytest.mark.parametrize(
    ("by", "things"),
    [
        (REPLICAS, [thing(REPLICAS, DEPLOYMENT), thing(DEPLOYMENT)]),
        (DAEMONS, []),
        (REPLICAS, []),
    ],
)
def test_what_serves_and_what_belongs_to_its_node_is_no_gang(by: dict[str, Any], things: list[Thing]) -> None:
    assert gangs([pod("a", by), pod("b", by)], *things) == ()


def test_pods_that_have_ended_and_static_ones_do_not_count() -> None:
    static = pod("s", annotations={"kubernetes.io/config.mirror": "x"})
    looking = msgspec.structs.replace(pod("l"), spec=msgspec.convert({"nodeName": "n1"}, type(pod("l").spec)))
    assert gangs([pod("a", JOB, phase="Succeeded"), pod("b", JOB, phase="Failed"), static, looking]) == ()


def test_a_pod_without_an_owner_that_has_gpus_by_a_claim_is_one_too() -> None:
    one = pod("a")
    spec = msgspec.convert({"nodeName": "n1", "resourceClaims": [{"name": "gpu"}]}, type(one.spec))
    (gang,) = gangs([msgspec.structs.replace(one, spec=spec)])
    assert str(gang) == "Pod ml/a"


@pytest.mark.parametrize(
    "named",
    [
        {"labels": {"aliquot.dev/pod-group": "g"}},
        {"labels": {"scheduling.x-k8s.io/pod-group": "g"}},
        {"annotations": {"scheduling.k8s.io/group-name": "g"}},
        {"annotations": {"pod-group-name": "g"}},
        {"labels": {"kueue.x-k8s.io/pod-group-name": "g"}},
    ],
)
def test_a_group_ties_pods_of_several(named: dict[str, Any]) -> None:
    things = [thing(REPLICAS, DEPLOYMENT), thing(DEPLOYMENT), thing(JOB)]
    (gang,) = gangs([pod("a", JOB, **named), pod("b", REPLICAS, "n2", **named), pod("c", JOB, "n3")], *things)
    assert [str(root) for root in gang.roots] == ["Deployment ml/web", "Job ml/job"]
    assert gang.nodes == ("n1", "n2", "n3")
    assert gang.way is Way.SCALE


def test_kubernetes_own_group_ties_too() -> None:
    tied = [
        msgspec.structs.replace(
            one, spec=msgspec.structs.replace(one.spec, scheduling_group={"podGroupName": "g"})
        )
        for one in (pod("a", JOB), pod("b", TORCH))
    ]
    (gang,) = gangs(tied, thing(JOB), thing(TORCH))
    assert len(gang.roots) == 2


def test_a_group_of_one_pod_that_serves_is_none() -> None:
    """KAI names a group for every pod."""
    assert gangs([pod("a", REPLICAS, annotations={"pod-group-name": "g"})], thing(REPLICAS)) == ()


def test_two_jobs_are_two_gangs() -> None:
    found = gangs([pod("a", JOB), pod("b", TORCH), pod("c", JOB)], thing(JOB), thing(TORCH))
    assert [len(gang.pods) for gang in found] == [2, 1]


@pytest.mark.parametrize(
    ("by", "spec", "suspended"),
    [
        (JOB, {}, False),
        (JOB, {"suspend": True}, True),
        (TORCH, {"suspend": True}, False),
        (TORCH, {"runPolicy": {"suspend": True}}, True),
        (TORCH, {"runPolicy": {"suspend": False}}, False),
        (LWS, {"replicas": 0}, True),
        (LWS, {"replicas": 2}, False),
        (LWS, {}, False),
        (VOLCANO, {"suspend": True}, False),
    ],
)
def test_whether_it_is_suspended(by: dict[str, Any], spec: dict[str, Any], suspended: bool) -> None:
    (gang,) = gangs([pod("a", by)], thing(by, **spec))
    assert gang.roots[0].is_suspended is suspended


def test_a_workload_of_kueue_says_whether_it_is_suspended() -> None:
    (gang,) = gangs([pod("a", JOB)], thing(JOB), workload(JOB, active=False))
    assert gang.roots[0].is_suspended


def test_node_groups_that_have_to_go_together() -> None:
    of_node = {"n1": "a", "n2": "b", "n3": "c", "n4": "d"}
    found = gangs(
        [pod("p1", JOB, "n1"), pod("p2", JOB, "n3"), pod("p3", TORCH, "n3"), pod("p4", TORCH, "n4")],
        thing(JOB),
        thing(TORCH),
    )
    assert sets_tied(found, of_node, ["a", "b", "c", "d"]) == [["a", "c", "d"], ["b"]]
    assert sets_tied((), of_node, ["a", "b"]) == [["a"], ["b"]]


def test_which_kinds_are_still_to_be_read() -> None:
    pods = [pod("a", JOB), pod("b", STUDY), pod("c", DAEMONS), pod("d"), pod("e", REPLICAS)]
    assert unread(pods, (), ()) == {("batch", "Job")}
    assert unread(pods, (), {("batch", "Job")}) == set()
    assert unread(pods, [thing(JOB, JOB_SET)], {("batch", "Job")}) == {("jobset.x-k8s.io", "JobSet")}
    grouped = pod("f", REPLICAS, labels={"aliquot.dev/pod-group": "g"})
    assert unread([grouped], (), ()) == {("apps", "ReplicaSet")}


def test_a_pod_may_own_others() -> None:
    """Workers of a LeaderWorkerSet are of a StatefulSet of their leader; Spark's executors of their driver."""
    workers = owner("StatefulSet", "apps/v1", "lws-0-workers")
    spark = owner("SparkApplication", "sparkoperator.k8s.io/v1beta2", "etl")
    found = gangs(
        [
            pod("lws-0", LWS_SET),
            pod("lws-0-1", workers, "n2"),
            pod("driver", spark, "n3"),
            pod("executor", owner("Pod", "v1", "driver"), "n4"),
        ],
        thing(LWS_SET, LWS),
        thing(LWS),
        thing(workers, owner("Pod", "v1", "lws-0")),
        thing(spark),
    )
    assert [(str(gang), gang.nodes) for gang in found] == [
        ("LeaderWorkerSet ml/lws", ("n1", "n2")),
        ("SparkApplication ml/etl", ("n3", "n4")),
    ]


def test_a_set_of_an_estate_leads_to_who_owns_it() -> None:
    lws = {"metadata": {"name": "lws", "namespace": "ml", "uid": LWS["uid"]}, "spec": {"replicas": 1}}
    owned = {"metadata": {"name": "lws-0", "namespace": "ml", "ownerReferences": [LWS]}}
    objects = Objects(
        pods=(pod("a", LWS_SET),),
        workloads={"StatefulSet": (msgspec.convert(owned, Workload),)},
        things={"LeaderWorkerSet.leaderworkerset.x-k8s.io": (lws,)},
    )
    (gang,) = of_objects(objects)
    assert (str(gang), gang.way) == ("LeaderWorkerSet ml/lws", Way.SCALE)


def test_gangs_of_an_estate() -> None:
    meta = {"name": "set", "namespace": "ml", "uid": JOB_SET["uid"]}
    job = {"metadata": {"name": "job", "namespace": "ml", "ownerReferences": [JOB_SET]}, "spec": {}}
    objects = Objects(
        pods=(pod("a", JOB), pod("b", JOB, "n2"), pod("w", REPLICAS)),
        jobs=(msgspec.convert(job, Workload),),
        things={"JobSet.jobset.x-k8s.io": ({"metadata": meta, "spec": {"suspend": False}},)},
    )
    (gang,) = of_objects(objects)
    assert (str(gang), gang.way, gang.nodes) == ("JobSet ml/set", Way.FIELD, ("n1", "n2"))
