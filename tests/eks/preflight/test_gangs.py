"""Gangs that a roll would cut: what holds the pods together, how it is stopped, and what it has saved."""

from typing import Any

import pytest

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import gangs
from aliquot.eks.preflight.findings import Finding, Severity
from tests.eks.preflight.estates import estate, group, nodes, pods, workloads

BLOCK, WARN = Severity.BLOCK, Severity.WARN


def node(name: str, of: str = "gpu") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"eks.amazonaws.com/nodegroup": of}}}


NODES = (node("n1"), node("n2"), node("n3", "batch"))


def owner(kind: str, api_version: str, name: str = "train") -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": api_version,
        "name": name,
        "uid": f"u-{kind}-{name}",
        "controller": True,
    }


def pod(number: int, on: str, *owners: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"train-{number}",
            "namespace": "ml",
            "labels": more.pop("labels", {}),
            "annotations": more.pop("annotations", {}),
            "ownerReferences": list(owners),
        },
        "spec": {
            "nodeName": on,
            "containers": [{"name": "c", "image": "x", "resources": {"limits": {"nvidia.com/gpu": "8"}}}],
            **more,
        },
        "status": {"phase": "Running" if on else "Pending"},
    }


def thing(kind: str, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "train", "namespace": "ml", "uid": f"u-{kind}-train", **metadata},
        "spec": spec or {},
    }


def judged(*there: dict[str, Any], **objects: Any) -> list[Finding]:
    read = Objects(nodes=nodes(*NODES), pods=pods(*there), **objects)
    found = list(gangs.judge(estate(nodegroups=(group("gpu"), group("batch")), objects=read)))
    assert all(one.why and one.fix and "\n" not in one.why for one in found)
    return found


JOBSET = owner("JobSet", "jobset.x-k8s.io/v1alpha2")
PYTORCH = owner("PyTorchJob", "kubeflow.org/v1")
BY_JOBSET = {"things": {"JobSet.jobset.x-k8s.io": (thing("JobSet"),)}}
BY_PYTORCH = {"things": {"PyTorchJob.kubeflow.org": (thing("PyTorchJob"),)}}


def test_a_jobset_is_found_through_its_jobs() -> None:
    job = owner("Job", "batch/v1", "train-workers-0")
    made = workloads(
        {"metadata": {"name": "train-workers-0", "namespace": "ml", "ownerReferences": [JOBSET]}}
    )
    (found,) = judged(pod(0, "n1", job), pod(1, "n2", job), jobs=made, **BY_JOBSET)
    assert (found.severity, found.what) == (WARN, "JobSet ml/train")
    assert found.where == "2 nodes of node group gpu"
    assert "2 pods run that need each other" in found.why
    assert "tells of no checkpoint" in found.why
    assert (
        """kubectl patch jobsets.jobset.x-k8s.io -n ml train --type merge -p '{"spec": {"suspend": true}}'"""
        in (found.fix)
    )


@pytest.mark.parametrize(
    ("of", "objects", "fix"),
    [
        (PYTORCH, BY_PYTORCH, '{"spec": {"runPolicy": {"suspend": true}}}'),
        (PYTORCH, {}, "it could not be read"),
        (
            owner("Job", "batch.volcano.sh/v1alpha1"),
            {"things": {"Job.batch.volcano.sh": (thing("Job"),)}},
            "vcctl job suspend",
        ),
        (
            owner("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
            {"things": {"LeaderWorkerSet.leaderworkerset.x-k8s.io": (thing("LeaderWorkerSet"),)}},
            "whom it serves has nobody meanwhile",
        ),
        (
            PYTORCH,
            {
                "things": {
                    **BY_PYTORCH["things"],
                    "Workload.kueue.x-k8s.io": (
                        thing("Workload", name="pytorch-train", ownerReferences=[PYTORCH]),
                    ),
                }
            },
            'workloads.kueue.x-k8s.io -n ml pytorch-train --type merge -p \'{"spec": {"active": false}}',
        ),
    ],
)
def test_how_each_kind_is_stopped(of: dict[str, Any], objects: dict[str, Any], fix: str) -> None:
    (found,) = judged(pod(0, "n1", of), pod(1, "n2", of), **objects)
    assert fix in found.fix


def test_a_gang_on_two_groups_and_one_on_one_node() -> None:
    (found,) = judged(pod(0, "n1", PYTORCH), pod(1, "n3", PYTORCH), **BY_PYTORCH)
    assert found.where == "2 nodes of node group batch, node group gpu"
    (found,) = judged(pod(0, "n1", PYTORCH), pod(1, "n1", PYTORCH), **BY_PYTORCH)
    assert found.where == "node n1, node group gpu"


def test_a_pod_group_ties_pods_of_several() -> None:
    labels = {"aliquot.dev/pod-group": "big"}
    first, second = (owner("Job", "batch/v1", name) for name in ("a", "b"))
    made = workloads(*({"metadata": {"name": name, "namespace": "ml"}} for name in ("a", "b")))
    (found,) = judged(pod(0, "n1", first, labels=labels), pod(1, "n2", second, labels=labels), jobs=made)
    assert found.what == "Job ml/a, Job ml/b"
    assert found.fix.count("kubectl patch jobs.batch") == 2


@pytest.mark.parametrize(
    "there",
    [
        (),
        (pod(0, "n1", PYTORCH),),
        (pod(0, "n1", PYTORCH), pod(1, "", PYTORCH)),
        (pod(0, "n1", PYTORCH), {**pod(1, "n2", PYTORCH), "status": {"phase": "Succeeded"}}),
        (pod(0, "n1", owner("ReplicaSet", "apps/v1")), pod(1, "n2", owner("ReplicaSet", "apps/v1"))),
        (pod(0, "n1", owner("DaemonSet", "apps/v1")), pod(1, "n2", owner("DaemonSet", "apps/v1"))),
        (pod(0, "n1"), pod(1, "n2")),
    ],
)
def test_what_is_no_gang_that_could_be_cut(there: tuple[dict[str, Any], ...]) -> None:
    assert judged(*there, **BY_PYTORCH) == []


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        (
            {"aliquot.dev/last-checkpoint": "2026-10-01T07:30:00Z"},
            "since its checkpoint of 2026-10-01 07:30 UTC",
        ),
        ({"aliquot.dev/last-checkpoint": "yesterday"}, "tells of no checkpoint"),
        ({"aliquot.dev/checkpoint-on-request": "true"}, "saves when it is asked"),
        ({"aliquot.dev/checkpoint-on-request": "maybe"}, "tells of no checkpoint"),
    ],
)
def test_what_it_has_saved(annotations: dict[str, str], says: str) -> None:
    (found,) = judged(pod(0, "n1", PYTORCH, annotations=annotations), pod(1, "n2", PYTORCH), **BY_PYTORCH)
    assert says in found.why
    whole = {"things": {"PyTorchJob.kubeflow.org": (thing("PyTorchJob", annotations=annotations),)}}
    (found,) = judged(pod(0, "n1", PYTORCH), pod(1, "n2", PYTORCH), **whole)
    assert says in found.why


@pytest.mark.parametrize(
    ("grace_s", "annotations", "on", "found"),
    [
        (900, {}, "n1", []),
        (901, {}, "n1", [WARN]),
        (3600, {"aliquot.dev/checkpoint-on-request": "true"}, "n1", [BLOCK]),
        (3600, {}, "", []),
        (None, {}, "n1", []),
    ],
)
def test_pods_that_take_longer_to_end_than_eks_waits(
    grace_s: int | None, annotations: dict[str, str], on: str, found: list[Severity]
) -> None:
    one = pod(0, on, owner("ReplicaSet", "apps/v1", "slow"), annotations=annotations)
    one["spec"]["terminationGracePeriodSeconds"] = grace_s
    judgement = judged(one)
    assert [finding.severity for finding in judgement] == found
    assert all(finding.what == "ReplicaSet ml/slow" for finding in judgement)
