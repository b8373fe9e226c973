"""kubectl get: tables, forms, selectors, watches."""

import json

import pytest

from tests.e2e.commands import RUNS, Kubectl, eventually
from tests.e2e.manifests import config, manifest, pod, workload

pytestmark = pytest.mark.e2e


def test_tables_have_the_usual_columns(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", f"--image={RUNS}", "--replicas=2")
    kubectl("expose", "deployment", "d", "--port=80", "--target-port=8080")
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    wide = ("-o", "wide")
    header, row = kubectl.cells("get", "deployment", *wide)
    assert header == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert [*row[:4], *row[5:]] == ["d", "2/2", "2", "2", "pause", RUNS, "app=d"]
    assert kubectl.cells("get", "rs", *wide)[0] == (
        ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    )
    columns = [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED NODE",
        "READINESS GATES",
    ]
    assert kubectl.cells("get", "pods", *wide)[0] == columns
    assert kubectl.cells("get", "svc", *wide)[0] == (
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    )
    assert kubectl.cells("get", "nodes", *wide)[0] == [
        *("NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP"),
        *("OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"),
    ]
    everything = kubectl("get", "all")
    for named in ("pod/d-", "service/d", "deployment.apps/d", "replicaset.apps/d-"):
        assert named in everything


def test_forms(kubectl: Kubectl) -> None:
    for name, app in (("a", "web"), ("b", "db")):
        kubectl("apply", "-f", "-", stdin=pod(name, labels={"app": app}))

    def shown(form: str, *more: str) -> str:
        return kubectl("get", "pods", "-o", form, *more)

    assert shown("name").splitlines() == ["pod/a", "pod/b"]
    assert shown("jsonpath={.items[*].metadata.name}", "-l", "app in (db)") == "b"
    assert shown("go-template={{range .items}}{{.metadata.name}};{{end}}") == "a;b;"
    assert shown("custom-columns=N:.metadata.name,A:.metadata.labels.app").split() == [
        "N",
        "A",
        "a",
        "web",
        "b",
        "db",
    ]
    assert json.loads(shown("json"))["kind"] == "List"
    assert shown("yaml").startswith("apiVersion: v1\nitems:\n")
    assert "managedFields" not in shown("yaml")
    assert "managedFields" in shown("yaml", "--show-managed-fields")
    assert (
        kubectl("get", "pods", "--sort-by={.metadata.labels.app}", "--no-headers", "-o", "name")
        == "pod/b\npod/a\n"
    )
    assert kubectl.cells("get", "pods", "-L", "app")[1][-1] == "web"
    assert kubectl.cells("get", "pods", "--show-labels")[2][-1] == "app=db"
    assert kubectl.cells("get", "pods", "--server-print=false")[0] == ["NAME", "AGE"]


def test_selectors_and_pages(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=pod("a", labels={"tier": "front"}))
    kubectl("apply", "-f", "-", stdin=pod("b", labels={"tier": "back"}))
    kubectl("wait", "pod/a", "pod/b", "--for=condition=Ready", "--timeout=30s")

    def names(*arguments: str) -> list[str]:
        return kubectl("get", "pods", "-o", "name", *arguments).split()

    assert names("-l", "tier notin (front),tier") == ["pod/b"]
    assert names("-l", "!tier") == []
    assert names("--field-selector", "status.phase=Running,metadata.name!=b") == ["pod/a"]
    assert names("--chunk-size=1") == ["pod/a", "pod/b"]
    assert "pod/a" in names("-A", "--field-selector", f"metadata.namespace={kubectl.namespace}")
    assert "field label not supported: spec.nonsense" in kubectl.refused(
        "get", "pods", "--field-selector", "spec.nonsense=x"
    )
    assert "unable to parse requirement" in kubectl.refused("get", "pods", "-l", "a in b")


def test_several_kinds_and_what_is_not_there(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=config("c", k="v"))
    assert kubectl("get", "configmap/c", "serviceaccount/default", "-o", "name").split() == (
        ["configmap/c", "serviceaccount/default"]
    )
    assert "configmap/c" in kubectl("get", "configmaps,secrets", "-o", "name")
    missing = kubectl.run("get", "pod", "nope")
    assert (missing.code, missing.err) == (1, 'Error from server (NotFound): pods "nope" not found\n')
    ignored = kubectl.run("get", "pod", "nope", "--ignore-not-found")
    assert (ignored.code, ignored.out) == (0, "")
    assert 'the server doesn\'t have a resource type "nopes"' in kubectl.refused("get", "nopes")
    assert kubectl.run("get", "pods").err == f"No resources found in {kubectl.namespace} namespace.\n"


def test_one_subresource_alone(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=3))
    assert kubectl("get", "deployment", "d", "--subresource=scale", "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("get", "deployment", "d", "--subresource=status", "-o", "jsonpath={.kind}") == "Deployment"
    refused = kubectl.refused("get", "configmap", "kube-root-ca.crt", "--subresource=status")
    assert refused == "Error from server (NotFound): the server could not find the requested resource\n"


def test_a_watch_shows_changes_as_they_happen(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=config("before"))
    form = 'jsonpath={.type} {.object.metadata.name}{"\\n"}'
    arguments = ("get", "configmaps", "-w", "--output-watch-events", "-o", form)
    with kubectl.running(*arguments) as lines:
        assert lines.readline() == "ADDED before\n"
        assert lines.readline() == "ADDED kube-root-ca.crt\n"
        kubectl("apply", "-f", "-", stdin=config("c"))
        assert lines.readline() == "ADDED c\n"
        kubectl("label", "configmap", "c", "a=b")
        assert lines.readline() == "MODIFIED c\n"
        kubectl("delete", "configmap", "c")
        assert lines.readline() == "DELETED c\n"


def test_watch_only_leaves_out_what_was_there(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=config("before"))
    with kubectl.running("get", "configmaps", "--watch-only", "-o", "name") as lines:
        # It cannot be seen from outside when the watch begins.
        eventually(lambda: kubectl("annotate", "--overwrite", "configmap", "before", "a=b"))
        kubectl("apply", "-f", "-", stdin=config("c"))
        assert lines.readline() in ("configmap/before\n", "configmap/c\n")


def test_raw(kubectl: Kubectl) -> None:
    listed = json.loads(kubectl("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/configmaps?limit=1"))
    assert listed["kind"] == "ConfigMapList"
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert kubectl("get", "--raw", "/readyz?verbose").endswith("readyz check passed\n")
    refused = "Error from server (NotFound): the server could not find the requested resource\n"
    assert kubectl.refused("get", "--raw", "/nowhere") == refused


def test_a_custom_kind_is_served_as_soon_as_it_is_established(kubectl: Kubectl) -> None:
    group = f"{kubectl.namespace}.example.com"
    sizes = {"type": "object", "properties": {"size": {"type": "string", "enum": ["s", "l"]}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": sizes}}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    crd = manifest("CustomResourceDefinition", f"widgets.{group}", spec, api="apiextensions.k8s.io/v1")
    kubectl("apply", "-f", "-", stdin=crd)
    kubectl("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=10s")
    kubectl("apply", "-f", "-", stdin=manifest("Widget", "w", {"size": "l"}, api=f"{group}/v1"))
    assert kubectl("get", f"widgets.{group}").splitlines()[1].split()[:2] == ["w", "l"]
    assert "enum: s, l" in kubectl("explain", f"widgets.{group}", "--recursive")
    described = kubectl("describe", f"widgets.{group}", "w")
    assert "Size:  l" in described
    huge = manifest("Widget", "x", {"size": "huge"}, api=f"{group}/v1")
    refused = kubectl.refused("apply", "-f", "-", stdin=huge)
    assert 'spec.size: Unsupported value: "huge": supported values: "s", "l"' in refused
    kubectl("delete", "crd", f"widgets.{group}")
