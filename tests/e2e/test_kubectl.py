"""What a user does with kubectl, on any cluster."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.commands import RUNS, RUNS_ANOTHER, SHELL, Kubectl, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def pod(name: str, *, labels: dict[str, str] | None = None) -> str:
    return manifest("Pod", name, {"containers": [{"name": "main", "image": RUNS}]}, labels=labels)


def manifest(kind: str, name: str, spec: dict[str, Any], *, api: str = "v1", **metadata: Any) -> str:
    return json.dumps(
        {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": name, **{k: v for k, v in metadata.items() if v is not None}},
            "spec": spec,
        }
    )


def test_a_pod_is_applied_runs_and_is_deleted(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=pod("a")) == "pod/a created\n"
    assert kubectl("apply", "-f", "-", stdin=pod("a")) == "pod/a unchanged\n"
    kubectl("wait", "pod/a", "--for=condition=Ready", "--timeout=20s")
    header, row = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["a", "1/1", "Running", "0"]
    assert "Successfully assigned" in eventually(lambda: _described(kubectl, "pod", "a", "Scheduled"))
    assert kubectl("delete", "pod", "a", "--grace-period=1").startswith('pod "a" deleted')
    assert kubectl.run("get", "pod", "a").err.startswith('Error from server (NotFound): pods "a" not found')


def _described(kubectl: Kubectl, kind: str, name: str, awaited: str) -> str:
    text = kubectl("describe", kind, name)
    return text if awaited in text else ""


def test_outputs_and_selectors(kubectl: Kubectl) -> None:
    for name, app in (("a", "web"), ("b", "db")):
        kubectl("apply", "-f", "-", stdin=pod(name, labels={"app": app}))
    assert kubectl("get", "pods", "-o", "name").splitlines() == ["pod/a", "pod/b"]
    assert kubectl("get", "pods", "-l", "app in (db)", "-o", "jsonpath={.items[*].metadata.name}") == "b"
    kubectl("wait", "pod/a", "pod/b", "--for=condition=Ready", "--timeout=20s")
    wide = kubectl("get", "pods", "-o", "wide", "--field-selector", "status.phase=Running").splitlines()
    assert len(wide) == 3
    assert "NODE" in wide[0]


def test_watch_shows_changes_as_they_happen(kubectl: Kubectl) -> None:
    watching = subprocess.Popen(
        [
            kubectl.binary,
            "--kubeconfig",
            str(kubectl.kubeconfig),
            "-n",
            kubectl.namespace,
            "get",
            "pods",
            "-w",
            "-o",
            "name",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        kubectl("apply", "-f", "-", stdin=pod("w"))
        assert watching.stdout is not None
        assert watching.stdout.readline() == "pod/w\n"
    finally:
        watching.kill()
        watching.communicate()


def test_server_side_apply_tells_whose_field_it_is(kubectl: Kubectl) -> None:
    def config(value: str) -> str:
        return json.dumps(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}}
        )

    kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=config("1"))
    refused = kubectl.run("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=config("2"))
    assert refused.code == 1
    assert 'conflict with "one": .data.k' in refused.err
    kubectl(
        "apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-", stdin=config("2")
    )
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data.k}") == "2"


def test_a_custom_kind_is_served_as_soon_as_it_is_established(kubectl: Kubectl) -> None:
    group = f"{kubectl.namespace}.example.com"
    crd = manifest(
        "CustomResourceDefinition",
        f"widgets.{group}",
        {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "string", "jsonPath": ".spec.size"}
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "properties": {"size": {"type": "string", "enum": ["s", "l"]}},
                                }
                            },
                        }
                    },
                }
            ],
        },
        api="apiextensions.k8s.io/v1",
    )
    kubectl("apply", "-f", "-", stdin=crd)
    kubectl("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=10s")
    kubectl("apply", "-f", "-", stdin=manifest("Widget", "w", {"size": "l"}, api=f"{group}/v1"))
    assert kubectl("get", f"widgets.{group}").splitlines()[1].split()[:2] == ["w", "l"]
    refused = kubectl.run(
        "apply", "-f", "-", stdin=manifest("Widget", "x", {"size": "huge"}, api=f"{group}/v1")
    )
    assert 'spec.size: Unsupported value: "huge": supported values: "s", "l"' in refused.err
    kubectl("delete", "crd", f"widgets.{group}")


def test_patch_of_each_kind(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=pod("p"))
    kubectl("patch", "pod", "p", "-p", '{"metadata":{"labels":{"a":"1"}}}')
    kubectl("patch", "pod", "p", "--type=merge", "-p", '{"metadata":{"labels":{"a":null,"b":"2"}}}')
    kubectl(
        "patch", "pod", "p", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/c","value":"3"}]'
    )
    assert json.loads(kubectl("get", "pod", "p", "-o", "jsonpath={.metadata.labels}")) == {"b": "2", "c": "3"}


def test_a_deployment_rolls_out_and_its_pods_go_with_it(kubectl: Kubectl) -> None:
    def deployment(image: str) -> str:
        template = {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 0},
        }
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "d"}}, "template": template}
        return manifest("Deployment", "d", spec, api="apps/v1")

    kubectl("apply", "-f", "-", stdin=deployment(RUNS))
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    kubectl("apply", "-f", "-", stdin=deployment(RUNS_ANOTHER))
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    images = kubectl(
        "get",
        "pods",
        "-l",
        "app=d",
        "-o",
        "jsonpath={.items[?(@.status.phase=='Running')].spec.containers[0].image}",
    )
    assert set(images.split()) == {RUNS_ANOTHER}
    kubectl("delete", "deployment", "d")
    eventually(lambda: not kubectl.json("get", "pods,replicasets", "-l", "app=d")["items"])


def test_a_job_runs_to_its_end(kubectl: Kubectl) -> None:
    template = {
        "metadata": {"annotations": {"aliquot.dev/run-for": "200ms"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": SHELL, "command": ["sleep", "0.2"]}],
        },
    }
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=manifest(
            "Job", "j", {"completions": 3, "parallelism": 2, "template": template}, api="batch/v1"
        ),
    )
    kubectl("wait", "job/j", "--for=condition=Complete", "--timeout=30s")
    assert kubectl.json("get", "job", "j")["status"]["succeeded"] == 3


def test_a_broken_manifest_changes_nothing(kubectl: Kubectl) -> None:
    unknown = kubectl.run(
        "apply",
        "-f",
        "-",
        stdin='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"contaners":[]}}',
    )
    assert 'unknown field "spec.contaners"' in unknown.err
    missing = kubectl.run("create", "-f", "-", stdin=manifest("Pod", "x", {"containers": [{"name": "main"}]}))
    assert "spec.containers[0].image: Required value" in missing.err
    assert not kubectl.json("get", "pods")["items"]
