"""kubectl rollout, of the workloads that have revisions."""

import pytest

from tests.e2e.commands import RUNS, RUNS_ANOTHER, SHELL, Kubectl, eventually
from tests.e2e.manifests import manifest, workload

pytestmark = pytest.mark.e2e


def _image(kubectl: Kubectl, kind: str) -> str:
    return kubectl("get", kind, "d", "-o", "jsonpath={.spec.template.spec.containers[0].image}")


def test_a_deployment_rolls_out_and_its_pods_go_with_it(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", RUNS, replicas=3))
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", RUNS_ANOTHER, replicas=3))
    assert kubectl("rollout", "status", "deployment/d", "--timeout=30s").endswith(
        'deployment "d" successfully rolled out\n'
    )
    running = "jsonpath={.items[?(@.status.phase=='Running')].spec.containers[0].image}"
    assert set(kubectl("get", "pods", "-l", "app=d", "-o", running).split()) == {RUNS_ANOTHER}
    kubectl("delete", "deployment", "d")
    eventually(lambda: not kubectl.json("get", "pods,replicasets", "-l", "app=d")["items"])


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_history_undo_and_restart(kubectl: Kubectl, kind: str) -> None:
    more = {"serviceName": "d"} if kind == "StatefulSet" else {}
    named = f"{kind.lower()}/d"
    kubectl("apply", "-f", "-", stdin=workload(kind, "d", RUNS, **more))
    kubectl("annotate", named, "kubernetes.io/change-cause=the first")
    kubectl("rollout", "status", named, "--timeout=30s")
    kubectl("set", "image", named, f"main={RUNS_ANOTHER}")
    kubectl("annotate", named, "kubernetes.io/change-cause=the second", "--overwrite")
    kubectl("rollout", "status", named, "--timeout=60s")
    history = [line.split(maxsplit=1) for line in kubectl("rollout", "history", named).splitlines()]
    assert [row[0] for row in history if row and row[0].isdigit()] == ["1", "2"]
    assert f"Image:\t{RUNS}\n" in kubectl("rollout", "history", named, "--revision=1")
    assert kubectl("rollout", "undo", named) == f"{kind.lower()}.apps/d rolled back\n"
    assert _image(kubectl, kind) == RUNS
    assert "unable to find specified revision 99" in kubectl.refused(
        "rollout", "undo", named, "--to-revision=99"
    )
    kubectl("rollout", "status", named, "--timeout=60s")
    assert kubectl("rollout", "restart", named) == f"{kind.lower()}.apps/d restarted\n"
    assert "kubectl.kubernetes.io/restartedAt" in kubectl("get", named, "-o", "yaml")
    kubectl("rollout", "status", named, "--timeout=60s")


def test_a_paused_deployment_waits(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", RUNS))
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    assert kubectl("rollout", "pause", "deployment/d") == "deployment.apps/d paused\n"
    assert "is already paused" in kubectl.refused("rollout", "pause", "deployment/d")
    kubectl("set", "image", "deployment/d", f"main={RUNS_ANOTHER}")
    assert "can't restart paused deployment" in kubectl.refused("rollout", "restart", "deployment/d")
    assert len(kubectl.json("get", "replicasets", "-l", "app=d")["items"]) == 1
    kubectl("rollout", "resume", "deployment/d")
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    assert len(kubectl.json("get", "replicasets", "-l", "app=d")["items"]) == 2


def test_a_job_runs_to_its_end(kubectl: Kubectl) -> None:
    template = {
        "metadata": {"annotations": {"aliquot.dev/run-for": "200ms"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": SHELL, "command": ["sleep", "0.2"]}],
        },
    }
    spec = {"completions": 3, "parallelism": 2, "template": template}
    kubectl("apply", "-f", "-", stdin=manifest("Job", "j", spec, api="batch/v1"))
    kubectl("wait", "job/j", "--for=condition=Complete", "--timeout=30s")
    assert kubectl.cells("get", "job", "j")[1][:3] == ["j", "Complete", "3/3"]
