"""Workloads of every kind as their users write them: what is needed together, and which part of it a pod is."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from aliquot.scheduler.grouping.owners import OWNER_KINDS
from tests.scheduler.grouping.objects import STAMP_S, Cluster, owner, pod, refusal, shown

PYTORCH = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: mnist}
spec:
  pytorchReplicaSpecs:
    Master: {replicas: 1, restartPolicy: OnFailure, template: {spec: {containers: [{name: pytorch}]}}}
    Worker: {replicas: 8, template: {spec: {containers: [{name: pytorch}]}}}
"""
PYTORCH_AVAILABLE = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: mnist}
spec:
  runPolicy:
    activeDeadlineSeconds: 3600
    schedulingPolicy: {minAvailable: 5, queue: research, priorityClass: high}
  pytorchReplicaSpecs: {Master: {replicas: 1}, Worker: {replicas: 8}}
"""
PYTORCH_ELASTIC = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: mnist}
spec:
  elasticPolicy: {minReplicas: 2, maxReplicas: 8, rdzvBackend: c10d}
  runPolicy: {schedulingPolicy: {minAvailable: 5}}
  pytorchReplicaSpecs: {Worker: {replicas: 4}}
"""
TF = """
apiVersion: kubeflow.org/v1
kind: TFJob
metadata: {name: dist}
spec:
  tfReplicaSpecs:
    Chief: {template: {spec: {containers: [{name: tensorflow}]}}}
    PS: {replicas: 2}
    Worker: {replicas: 4}
"""
TF_FEW = TF.replace("spec:\n  tf", "spec:\n  runPolicy: {schedulingPolicy: {minAvailable: 2}}\n  tf")
XGBOOST = """
apiVersion: kubeflow.org/v1
kind: XGBoostJob
metadata: {name: iris}
spec: {xgbReplicaSpecs: {Master: {replicas: 1}, Worker: {replicas: 2}}}
"""
JAX = """
apiVersion: kubeflow.org/v1
kind: JAXJob
metadata: {name: spmd}
spec: {jaxReplicaSpecs: {Worker: {replicas: 4}}}
"""
MPI = """
apiVersion: kubeflow.org/v2beta1
kind: MPIJob
metadata: {name: pi}
spec:
  slotsPerWorker: 8
  mpiReplicaSpecs: {Launcher: {replicas: 1}, Worker: {replicas: 2}}
"""
MPI_LATER = MPI.replace("slotsPerWorker: 8", "launcherCreationPolicy: WaitForWorkersReady")
MPI_RUNNING = MPI_LATER + "status: {replicaStatuses: {Launcher: {active: 1}}}\n"
RAY = """
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray, labels: {ray.io/priority-class-name: high}}
spec:
  headGroupSpec: {rayStartParams: {}, template: {spec: {containers: [{name: ray-head}]}}}
  workerGroupSpecs:
  - {groupName: gpu, replicas: 4, minReplicas: 2, maxReplicas: 8}
  - {groupName: tpu, replicas: 3, minReplicas: 0, maxReplicas: 8, numOfHosts: 2}
  - {groupName: paused, replicas: 5, suspend: true}
"""
RAY_AUTOSCALED = RAY.replace("spec:\n  head", "spec:\n  enableInTreeAutoscaling: true\n  head")
JOBSET = """
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: llm}
spec:
  replicatedJobs:
  - name: driver
    template: {spec: {completions: 1, template: {spec: {restartPolicy: Never}}}}
  - name: workers
    replicas: 2
    template: {spec: {parallelism: 4, completions: 4}}
"""
JOBSET_IN_ORDER = JOBSET.replace(
    "spec:\n  repl", "spec:\n  startupPolicy: {startupPolicyOrder: InOrder}\n  repl"
)
JOBSET_DEPENDENT = JOBSET.replace(
    "  - name: workers\n", "  - name: workers\n    dependsOn: [{name: driver, status: Ready}]\n"
)
LWS = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: vllm}
spec:
  replicas: 3
  leaderWorkerTemplate: {size: 4, restartPolicy: RecreateGroupOnPodRestart, workerTemplate: {spec: {}}}
"""
LWS_LEADER_FIRST = LWS.replace("replicas: 3", "startupPolicy: LeaderReady")
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: sweep}
spec: {parallelism: 8, completions: 16, completionMode: Indexed, activeDeadlineSeconds: 600}
"""
JOB_OF_FOUR = JOB.replace("{name: sweep}", "{name: sweep, annotations: {aliquot.dev/min-member: '4'}}")
JOB_OF_KAI = JOB.replace("{name: sweep}", "{name: sweep, annotations: {kai.scheduler/batch-min-member: '4'}}")
JOB_AT_ITS_END = JOB_OF_FOUR + "status: {succeeded: 14}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {kai.scheduler/queue: serving}}
spec: {replicas: 3}
"""
DEPLOYMENT_OF_TWO = DEPLOYMENT.replace("labels:", "annotations: {aliquot.dev/min-member: '2'}, labels:")
REPLICASET = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-5d8}
spec: {replicas: 3}
"""
STATEFULSET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {replicas: 3}
"""
DAEMONSET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
"""
NODE = """
apiVersion: v1
kind: Node
metadata: {name: a}
"""
UNKNOWN = """
apiVersion: example.com/v1
kind: Simulation
metadata: {name: wind}
"""
CRONJOB = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, labels: {aliquot.dev/queue: night}}
"""
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: pipeline, labels: {aliquot.dev/queue: steps}}
"""
RAYJOB = """
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: tune}
"""
TRAINJOB = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: tune}
"""
LEADER = """
apiVersion: v1
kind: Pod
metadata: {name: vllm-1}
"""


def kubeflow(role: str) -> dict[str, str]:
    return {"training.kubeflow.org/replica-type": role, "training.kubeflow.org/replica-index": "0"}


def mpi(role: str) -> dict[str, str]:
    return {"training.kubeflow.org/job-role": role, "training.kubeflow.org/operator-name": "mpi-operator"}


def ray(group: str, kind: str = "worker") -> dict[str, str]:
    return {"ray.io/node-type": kind, "ray.io/group": group, "ray.io/cluster": "ray"}


def jobset(replicated: str, index: int) -> dict[str, str]:
    return {
        "jobset.sigs.k8s.io/jobset-name": "llm",
        "jobset.sigs.k8s.io/replicatedjob-name": replicated,
        "jobset.sigs.k8s.io/job-index": str(index),
    }


def lws(replica: int, worker: int) -> dict[str, str]:
    return {
        "leaderworkerset.sigs.k8s.io/name": "vllm",
        "leaderworkerset.sigs.k8s.io/group-index": str(replica),
        "leaderworkerset.sigs.k8s.io/worker-index": str(worker),
    }


LLM = "2[driver:1[driver/0:1] workers:2[workers/0:4 workers/1:4]]"


@pytest.mark.parametrize(
    ("owners", "labels", "key", "tree", "leaf"),
    [
        ([PYTORCH], kubeflow("worker"), "pytorchjob.kubeflow.org:mnist", "2[master:1 worker:8]", "worker"),
        ([PYTORCH], kubeflow("master"), "pytorchjob.kubeflow.org:mnist", "2[master:1 worker:8]", "master"),
        (
            [PYTORCH_AVAILABLE],
            kubeflow("worker"),
            "pytorchjob.kubeflow.org:mnist",
            "2[master:1 worker:4]",
            "worker",
        ),
        ([PYTORCH_ELASTIC], kubeflow("worker"), "pytorchjob.kubeflow.org:mnist", "1[worker:2]", "worker"),
        ([TF], kubeflow("ps"), "tfjob.kubeflow.org:dist", "3[chief:1 ps:2 worker:4]", "ps"),
        ([TF_FEW], kubeflow("ps"), "tfjob.kubeflow.org:dist", "2", ""),
        ([XGBOOST], kubeflow("Worker"), "xgboostjob.kubeflow.org:iris", "2[master:1 worker:2]", "worker"),
        ([JAX], kubeflow("worker"), "jaxjob.kubeflow.org:spmd", "1[worker:4]", "worker"),
        ([MPI], mpi("worker"), "mpijob.kubeflow.org:pi", "2[launcher:1 worker:2]", "worker"),
        ([JOB, MPI], mpi("launcher"), "mpijob.kubeflow.org:pi", "2[launcher:1 worker:2]", "launcher"),
        ([MPI_LATER], mpi("worker"), "mpijob.kubeflow.org:pi", "2[launcher:0 worker:2]", "worker"),
        ([MPI_RUNNING], mpi("worker"), "mpijob.kubeflow.org:pi", "2[launcher:1 worker:2]", "worker"),
        (
            [RAY],
            ray("headgroup", "head"),
            "raycluster.ray.io:ray",
            "4[headgroup:1 gpu:2 tpu:6 paused:0]",
            "headgroup",
        ),
        ([RAY], ray("gpu"), "raycluster.ray.io:ray", "4[headgroup:1 gpu:2 tpu:6 paused:0]", "gpu"),
        ([RAY_AUTOSCALED], ray("tpu"), "raycluster.ray.io:ray", "4[headgroup:1 gpu:2 tpu:0 paused:0]", "tpu"),
        ([RAY, RAYJOB], ray("gpu"), "raycluster.ray.io:ray", "4[headgroup:1 gpu:2 tpu:6 paused:0]", "gpu"),
        ([JOB, JOBSET], jobset("workers", 1), "jobset.jobset.x-k8s.io:llm", LLM, "workers/1"),
        ([JOB, JOBSET], jobset("driver", 0), "jobset.jobset.x-k8s.io:llm", LLM, "driver/0"),
        (
            [JOB, JOBSET_IN_ORDER],
            jobset("driver", 0),
            "jobset.jobset.x-k8s.io:llm",
            "1" + LLM[1:],
            "driver/0",
        ),
        (
            [JOB, JOBSET_DEPENDENT],
            jobset("driver", 0),
            "jobset.jobset.x-k8s.io:llm",
            "1" + LLM[1:],
            "driver/0",
        ),
        ([JOB, JOBSET, TRAINJOB], jobset("workers", 0), "jobset.jobset.x-k8s.io:llm", LLM, "workers/0"),
        (
            [STATEFULSET, LWS],
            lws(1, 0),
            "leaderworkerset.leaderworkerset.x-k8s.io:vllm:1",
            "2[leader:1 workers:3]",
            "leader",
        ),
        (
            [STATEFULSET, LEADER, STATEFULSET, LWS],
            lws(1, 2),
            "leaderworkerset.leaderworkerset.x-k8s.io:vllm:1",
            "2[leader:1 workers:3]",
            "workers",
        ),
        (
            [STATEFULSET, LWS_LEADER_FIRST],
            lws(0, 0),
            "leaderworkerset.leaderworkerset.x-k8s.io:vllm:0",
            "1[leader:1 workers:3]",
            "leader",
        ),
        (
            [STATEFULSET, LEADER, STATEFULSET, LWS_LEADER_FIRST],
            lws(0, 1),
            "leaderworkerset.leaderworkerset.x-k8s.io:vllm:0",
            "2[leader:1 workers:3]",
            "workers",
        ),
        (
            [STATEFULSET, LWS],
            {**lws(0, 0), "leaderworkerset.sigs.k8s.io/size": "2"},
            "leaderworkerset.leaderworkerset.x-k8s.io:vllm:0",
            "2[leader:1 workers:1]",
            "leader",
        ),
        ([JOB], {}, "job.batch:sweep", "1", ""),
        ([JOB_OF_FOUR], {}, "job.batch:sweep", "4", ""),
        ([JOB_OF_KAI], {}, "job.batch:sweep", "4", ""),
        ([JOB_AT_ITS_END], {}, "job.batch:sweep", "2", ""),
        ([JOB, CRONJOB], {}, "job.batch:sweep", "1", ""),
        ([REPLICASET, DEPLOYMENT], {}, "p", "alone", ""),
        ([REPLICASET, DEPLOYMENT_OF_TWO], {}, "deployment.apps:web", "2", ""),
        ([REPLICASET], {}, "p", "alone", ""),
        ([STATEFULSET], {}, "p", "alone", ""),
        ([DAEMONSET], {}, "p", "alone", ""),
        ([NODE], {}, "p", "alone", ""),
        ([], {}, "p", "alone", ""),
        ([WORKFLOW], {}, "p", "alone", ""),
        (
            [PYTORCH, WORKFLOW],
            kubeflow("worker"),
            "pytorchjob.kubeflow.org:mnist",
            "2[master:1 worker:8]",
            "worker",
        ),
        ([UNKNOWN], {}, "simulation.example.com:wind", "1", ""),
        ([UNKNOWN, WORKFLOW], {}, "simulation.example.com:wind", "1", ""),
        (
            [PYTORCH, UNKNOWN],
            kubeflow("worker"),
            "pytorchjob.kubeflow.org:mnist",
            "2[master:1 worker:8]",
            "worker",
        ),
        (
            [],
            {"spark-app-selector": "spark-1", "spark-role": "driver"},
            "application.spark.apache.org:spark-1",
            "2[driver:1 executor:0]",
            "driver",
        ),
        (
            [LEADER],
            {"spark-app-selector": "spark-1", "spark-role": "executor"},
            "application.spark.apache.org:spark-1",
            "2[driver:1 executor:0]",
            "executor",
        ),
    ],
)
def test_what_a_workload_needs(
    owners: list[str], labels: Mapping[str, str], key: str, tree: str, leaf: str
) -> None:
    cluster = Cluster(priorities={"high": 1000})
    found = cluster.membership(pod("p", labels), *map(owner, owners))
    assert refusal(found) == ""
    assert (found.job.key, shown(found.job.root), found.leaf) == (f"team-a/{key}", tree, leaf)
    assert found.job.created_s == STAMP_S


@pytest.mark.parametrize(
    ("owners", "labels"),
    [
        ([RAY], ray("", "redis-cleanup")),
        ([RAY], ray("gone")),
        ([JOB, JOBSET], jobset("workers", 2)),
        ([JOB, JOBSET], {}),
        ([STATEFULSET, LWS], {}),
    ],
)
def test_a_pod_of_no_part_of_its_workload_stands_for_itself(
    owners: list[str], labels: Mapping[str, str]
) -> None:
    found = Cluster(priorities={"high": 1}).membership(pod("p", labels), *map(owner, owners))
    assert (found.job.key, refusal(found)) == ("team-a/p", "")


@pytest.mark.parametrize(
    ("manifest", "labels", "reason"),
    [
        (
            PYTORCH_AVAILABLE.replace("minAvailable: 5", "minAvailable: 10"),
            kubeflow("worker"),
            "runPolicy.schedulingPolicy.minAvailable is 10, above its 9 pods: lower it",
        ),
        (
            PYTORCH_AVAILABLE.replace("minAvailable: 5", "minAvailable: 0"),
            kubeflow("worker"),
            "runPolicy.schedulingPolicy.minAvailable is 0: give at least 1",
        ),
        (
            PYTORCH_ELASTIC.replace("minReplicas: 2", "minReplicas: 5"),
            kubeflow("worker"),
            "elasticPolicy.minReplicas is 5, above its 4 pods: lower it",
        ),
        (
            PYTORCH,
            {},
            "its role is not known: it has no label training.kubeflow.org/replica-type",
        ),
        (
            PYTORCH,
            kubeflow("ps"),
            "its role (training.kubeflow.org/replica-type is 'ps') is none of its workload's: master, worker",
        ),
        (
            RAY.replace("minReplicas: 2", "minReplicas: 9"),
            ray("gpu"),
            "minReplicas of the group of workers 'gpu' is 9, above its maxReplicas 8",
        ),
        (
            RAY.replace("labels:", "annotations: {aliquot.dev/min-member: '2'}, labels:"),
            ray("gpu"),
            "aliquot.dev/min-member is not for a RayCluster: give minReplicas to its groups of workers",
        ),
        (
            JOB_OF_FOUR.replace("'4'", "'9'"),
            {},
            "aliquot.dev/min-member is 9, above the 8 pods of a Job: lower it",
        ),
        (
            JOB_OF_FOUR.replace("'4'", "all"),
            {},
            "aliquot.dev/min-member is 'all': give a whole number",
        ),
        (JOB_OF_FOUR.replace("'4'", "'0'"), {}, "aliquot.dev/min-member is 0: give at least 1"),
        (
            DEPLOYMENT_OF_TWO.replace("replicas: 3", "replicas: 1"),
            {},
            "aliquot.dev/min-member is 2, above its 1 replicas: lower it",
        ),
        (
            JOBSET.replace("{name: llm}", "{name: llm, annotations: {aliquot.dev/min-member: '5'}}"),
            jobset("workers", 0),
            "aliquot.dev/min-member is 5, above the 1 pods of a Job: lower it",
        ),
        (
            LWS.replace("{name: vllm}", "{name: vllm, annotations: {aliquot.dev/min-member: '5'}}"),
            lws(0, 0),
            "aliquot.dev/min-member is not for a LeaderWorkerSet: its size says how many are needed",
        ),
        (
            WORKFLOW.replace("labels:", "annotations: {aliquot.dev/min-member: '2'}, labels:"),
            {},
            "aliquot.dev/min-member is 2, and nothing tells the others: name their PodGroup",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(manifest: str, labels: Mapping[str, str], reason: str) -> None:
    found = Cluster(priorities={"high": 1}).membership(pod("p", labels), owner(manifest))
    assert refusal(found) == reason
    assert found.job.key == "team-a/p"


def test_what_the_workload_says_of_its_job() -> None:
    cluster = Cluster(priorities={"high": 1000})
    job = cluster.membership(pod("p", kubeflow("worker"), priority=7), owner(PYTORCH_AVAILABLE)).job
    assert (job.queue, job.priority, job.max_runtime_s) == ("research", 1000, 3600)
    assert cluster.membership(pod("p", ray("gpu")), owner(RAY)).job.priority == 1000
    assert cluster.membership(pod("p", priority=7), owner(JOB)).job.priority == 7
    assert cluster.membership(pod("p"), owner(JOB)).job.max_runtime_s == 600


@pytest.mark.parametrize(
    ("owners", "queue"),
    [
        ([REPLICASET, DEPLOYMENT], "serving"),
        ([JOB, CRONJOB], "night"),
        ([WORKFLOW], "steps"),
        ([JOB_OF_FOUR], "pods"),
    ],
)
def test_the_queue_is_what_the_highest_owner_says(owners: list[str], queue: str) -> None:
    labels = {"kai.scheduler/queue": "pods"}
    assert Cluster().membership(pod("p", labels), *map(owner, owners)).job.queue == queue


def test_a_workload_that_cannot_be_read_is_not_guessed_at() -> None:
    unread = replace(owner(PYTORCH), body=None, problem="not yours to see")
    found = Cluster().membership(pod("p", kubeflow("worker")), unread)
    assert refusal(found) == "how many pods its PyTorchJob needs is not known: not yours to see"


def test_every_kind_that_is_passed_over_or_grouped_has_a_path() -> None:
    for (group, kind), known in OWNER_KINDS.items():
        assert known.resource("v1").kind == kind
        assert known.resource("v1").group == group
        assert known.plural.islower()
