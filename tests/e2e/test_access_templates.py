"""What a shipped template gives is enough for what it is for, with kubectl, and for nothing beside it."""

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from aliquot.access.core.templates.catalogue import shipped
from aliquot.access.core.templates.resolving import resolve
from tests.e2e.commands import RUNS, SHELL, Kubectl, eventually
from tests.e2e.manifests import workload

pytestmark = pytest.mark.e2e

TEMPLATES = {one.name: one for one in shipped({})}
Holder = Callable[..., Kubectl]


class _As(Kubectl):
    """kubectl as somebody else."""

    user = ""

    def run(self, *args: str, **more: object) -> object:  # type: ignore[override]
        return super().run(f"--as={self.user}", *args, **more)  # type: ignore[arg-type]


@pytest.fixture
def holder(namespaced: Kubectl) -> Iterator[Holder]:
    """Somebody who has a grant of a template, in the test's namespace or in the cluster, and nothing else."""
    admin = namespaced
    made: list[tuple[str, str]] = []

    def of(name: str, **parameters: str) -> Kubectl:
        template = TEMPLATES[name]
        wide = template.cluster_wide
        place = "" if wide else template.namespaces[0].replace("*", "shop")
        rules = [msgspec.to_builtins(one) for one in resolve(template, parameters, place)]
        of_cluster = "Cluster" if wide else ""
        user = f"{admin.namespace}-{name}"
        api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"kind": f"{of_cluster}Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        for one in (
            {**api, "kind": f"{of_cluster}Role", "rules": rules},
            {**api, "kind": f"{of_cluster}RoleBinding", "roleRef": ref, "subjects": [subject]},
        ):
            admin("apply", "-f", "-", stdin=json.dumps(one))
            made.append((str(one["kind"]), user))
        found = _As(admin.kubeconfig, admin.namespace, admin.binary)
        found.user = user
        return found

    yield of
    for kind, user in made:
        admin("delete", kind, user)


def _pod(admin: Kubectl, name: str, **spec: object) -> None:
    container = {"name": "main", "image": SHELL, "command": ["sh", "-c", "echo words; sleep 1000"]}
    body = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": body,
    }
    admin("apply", "-f", "-", stdin=json.dumps(pod))
    admin("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=30s")


def _forbidden(kubectl: Kubectl, *args: str) -> None:
    assert "forbidden" in kubectl.refused(*args).lower()


def test_pod_logs(namespaced: Kubectl, holder: Holder) -> None:
    _pod(namespaced, "web")
    of = holder("pod-logs")
    assert of("logs", "web")
    assert "web" in of("get", "pods")
    of("get", "events")
    _forbidden(of, "delete", "pod", "web")
    _forbidden(of, "get", "secrets")


def test_pod_restart(namespaced: Kubectl, holder: Holder) -> None:
    _pod(namespaced, "web")
    _pod(namespaced, "db")
    of = holder("pod-restart", pod="web")
    assert of("delete", "pod", "web") == f'pod "web" deleted from {namespaced.namespace} namespace\n'
    _forbidden(of, "delete", "pod", "db")
    _forbidden(of, "delete", "pods", "--all")


def test_pod_exec_and_port_forward(namespaced: Kubectl, holder: Holder) -> None:
    _pod(namespaced, "web")
    for name, sub in (("pod-exec", "exec"), ("port-forward", "portforward")):
        of = holder(name, pod="web")
        for verb in ("create", "get"):
            assert of("auth", "can-i", verb, "pods/web", f"--subresource={sub}") == "yes\n"
            assert of.run("auth", "can-i", verb, "pods/db", f"--subresource={sub}").out == "no\n"
        of("get", "pod", "web")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_restart_rollout(namespaced: Kubectl, holder: Holder, kind: str) -> None:
    more = {"serviceName": "web"} if kind == "StatefulSet" else {}
    namespaced("apply", "-f", "-", stdin=workload(kind, "web", RUNS, **more))
    named = f"{kind.lower()}/web"
    of = holder("restart-rollout", workload="web")
    of("rollout", "status", named, "--timeout=30s")
    of("rollout", "restart", named)
    of("rollout", "status", named, "--timeout=60s")
    assert "REVISION" in of("rollout", "history", named)
    of("rollout", "undo", named)
    of("rollout", "status", named, "--timeout=60s")
    _forbidden(of, "delete", named)
    _forbidden(of, "create", "deployment", "other", "--image=other")


def test_scale(namespaced: Kubectl, holder: Holder) -> None:
    namespaced("apply", "-f", "-", stdin=workload("Deployment", "web", RUNS))
    of = holder("scale", workload="web")
    of("scale", "deployment/web", "--replicas=2")
    assert namespaced("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    _forbidden(of, "set", "image", "deployment/web", "main=other")


def test_configmap_edit_and_secret_read(namespaced: Kubectl, holder: Holder) -> None:
    for name in ("mine", "other"):
        namespaced("create", "configmap", name, "--from-literal=a=before")
        namespaced("create", "secret", "generic", name, "--from-literal=a=before")
    of = holder("configmap-edit", configMap="mine")
    of("edit", "configmap", "mine", env={"KUBE_EDITOR": "sed -i s/before/after/"})
    assert namespaced("get", "configmap", "mine", "-o", "jsonpath={.data.a}") == "after"
    _forbidden(of, "edit", "configmap", "other")
    reader = holder("secret-read", secret="mine")
    assert reader("get", "secret", "mine", "-o", "jsonpath={.data.a}") == "YmVmb3Jl"
    _forbidden(reader, "get", "secret", "other")
    _forbidden(reader, "get", "secrets")
    _forbidden(reader, "get", "secrets", "--field-selector=metadata.name=mine")
    _forbidden(reader, "patch", "secret", "mine", "--type=merge", "-p", '{"data":{"a":"Mg=="}}')


def test_node_drain(namespaced: Kubectl, holder: Holder) -> None:
    node, other = namespaced("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()[:2]
    _pod(namespaced, "web", nodeName=node)
    of = holder("node-drain", node=node)
    try:
        of("drain", node, "--pod-selector=app=web", "--force", "--ignore-daemonsets", "--timeout=30s")
        assert namespaced("get", "pods", "-o", "name") == ""
        _forbidden(of, "cordon", other)
    finally:
        of("uncordon", node)
    _forbidden(of, "delete", "node", node)


def test_gpu_node_inspect(holder: Holder) -> None:
    of = holder("gpu-node-inspect")
    of("get", "nodes,gpunodes,gpuclasses")
    node = of("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    _forbidden(of, "label", "node", node, "a=b")
    _forbidden(of, "get", "pods", "-A")


def test_a_vetted_job_is_started(namespaced: Kubectl, holder: Holder) -> None:
    container = {"name": "main", "image": SHELL, "command": ["sh", "-c", "echo reset"]}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    for name in ("gpu-reset-1", "gpu-reset-2"):
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
        namespaced(
            "apply", "-f", "-", stdin=json.dumps({**job, "spec": {"suspend": True, "template": template}})
        )
    of = holder("gpu-reset-workflow", job="gpu-reset-1")
    resume = ("--type=merge", "-p", '{"spec":{"suspend":false}}')
    of("patch", "job", "gpu-reset-1", *resume)
    eventually(lambda: of("logs", "job/gpu-reset-1"))
    _forbidden(of, "patch", "job", "gpu-reset-2", *resume)
    other = [{"name": "main", "image": "evil"}]
    refused = of.refused(
        "patch",
        "job",
        "gpu-reset-1",
        "-p",
        json.dumps({"spec": {"template": {"spec": {"containers": other}}}}),
    )
    assert "field is immutable" in refused
    _forbidden(of, "create", "job", "evil", "--image=evil")


def test_stuck_job_kill(namespaced: Kubectl, holder: Holder) -> None:
    for name in ("stuck", "fine"):
        namespaced("create", "job", name, f"--image={SHELL}", "--", "sleep", "1000")
    eventually(lambda: len(namespaced.json("get", "pods")["items"]) == 2)
    of = holder("stuck-job-kill", job="stuck")
    of("delete", "job", "stuck")
    of("delete", "pods", "-l", "job-name=stuck", "--ignore-not-found", "--now")
    eventually(lambda: len(namespaced.json("get", "pods")["items"]) == 1)
    _forbidden(of, "delete", "job", "fine")


def test_queues_and_mig(namespaced: Kubectl, holder: Holder) -> None:
    name = namespaced.namespace
    queue = {"apiVersion": "aliquot.dev/v1alpha1", "kind": "Queue", "metadata": {"name": name}, "spec": {}}
    namespaced("apply", "-f", "-", stdin=json.dumps(queue))
    try:
        of = holder("queue-admin", queue=name)
        of("label", "queue", name, "a=b")
        _forbidden(of, "delete", "queue", name)
    finally:
        namespaced("delete", "queue", name)
    first, second = namespaced("get", "gpunodes", "-o", "jsonpath={.items[*].metadata.name}").split()[:2]
    cutting = holder("mig-change", node=first)
    cutting("label", "gpunode", first, "a=b", "--dry-run=server")
    _forbidden(cutting, "label", "gpunode", second, "a=b", "--dry-run=server")
    _forbidden(cutting, "label", "node", first, "a=b", "--dry-run=server")


def test_the_emergency_repairs_and_does_not_stay(namespaced: Kubectl, holder: Holder) -> None:
    of = holder("cluster-admin-emergency")
    of("create", "deployment", "web", f"--image={RUNS}")
    of("scale", "deployment/web", "--replicas=2")
    of("rollout", "restart", "deployment/web")
    of("delete", "deployment", "web")
    of("create", "namespace", f"{namespaced.namespace}-x")
    of("delete", "namespace", f"{namespaced.namespace}-x", "--wait=false")
    _forbidden(of, "get", "secrets", "-A")
    _forbidden(of, "create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--user=eve")
    _forbidden(of, "create", "token", "default")
    _forbidden(of, "get", "pods", "--as=eve")
    for asked in (
        ("delete", "validatingwebhookconfigurations"),
        ("get", "nodes", "--subresource=proxy"),
        ("bind", "clusterroles"),
    ):
        assert of.run("auth", "can-i", *asked, "-A").out == "no\n"
