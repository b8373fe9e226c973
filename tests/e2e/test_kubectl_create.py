"""kubectl create, run and expose, in each of their forms."""

import base64
import json
import re
from pathlib import Path

import pytest

from tests.e2e.commands import RUNS, SHELL, Kubectl

pytestmark = pytest.mark.e2e


def test_configmaps_and_secrets(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "env.txt").write_text("a=1\n# no line\nb=2\n")
    kubectl(
        "create",
        "configmap",
        "files",
        f"--from-file={tmp_path / 'file.txt'}",
        f"--from-file=k={tmp_path / 'env.txt'}",
    )
    assert sorted(kubectl.json("get", "configmap", "files")["data"]) == ["file.txt", "k"]
    kubectl("create", "configmap", "env", f"--from-env-file={tmp_path / 'env.txt'}")
    assert kubectl.json("get", "configmap", "env")["data"] == {"a": "1", "b": "2"}
    hashed = kubectl("create", "configmap", "hashed", "--from-literal=k=v", "--append-hash", "-o", "name")
    assert re.fullmatch(r"configmap/hashed-[0-9a-z]{10}\n", hashed)
    kubectl("create", "secret", "generic", "plain", "--from-literal=password=hunter2")
    assert (
        kubectl("get", "secret", "plain", "-o", "jsonpath={.data.password}")
        == base64.b64encode(b"hunter2").decode()
    )
    kubectl(
        "create",
        "secret",
        "docker-registry",
        "pull",
        "--docker-server=r.example",
        "--docker-username=u",
        "--docker-password=p",
    )
    assert kubectl("get", "secret", "pull", "-o", "jsonpath={.type}") == "kubernetes.io/dockerconfigjson"
    again = kubectl.refused("create", "configmap", "env")
    assert again == 'error: failed to create configmap: configmaps "env" already exists\n'


def test_workloads(kubectl: Kubectl) -> None:
    created = kubectl("create", "deployment", "d", f"--image={RUNS}", "--replicas=2", "--port=80")
    assert created == "deployment.apps/d created\n"
    kubectl("create", "cronjob", "c", f"--image={SHELL}", "--schedule=0 0 1 1 *", "--", "date")
    kubectl("create", "job", "j", "--from=cronjob/c")
    job = kubectl.json("get", "job", "j")
    assert job["metadata"]["ownerReferences"][0]["name"] == "c"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["date"]
    kubectl("create", "serviceaccount", "sa")
    kubectl("create", "poddisruptionbudget", "p", "--selector=app=d", "--max-unavailable=50%")
    kubectl("create", "quota", "q", "--hard=pods=100")
    kubectl("create", "ingress", "i", "--class=nginx", "--rule=a.example/path*=d:80,tls=s")
    assert kubectl.cells("get", "ingress")[1][:3] == ["i", "nginx", "a.example"]


def test_services(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "a", "--tcp=80:8080")
    kubectl("create", "service", "clusterip", "headless", "--clusterip=None")
    kubectl("create", "service", "nodeport", "b", "--tcp=80")
    kubectl("create", "service", "loadbalancer", "c", "--tcp=80")
    kubectl("create", "service", "externalname", "d", "--external-name=example.com")
    rows = {row[0]: row for row in kubectl.cells("get", "services")}
    assert [rows[name][1] for name in "abcd"] == ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
    assert rows["headless"][2] == "None"
    assert rows["b"][4].startswith("80:3")
    assert rows["d"][2:5] == ["<none>", "example.com", "<none>"]


def test_of_the_whole_cluster(kubectl: Kubectl) -> None:
    name = kubectl.namespace
    kubectl("create", "clusterrole", name, "--verb=get", "--non-resource-url=/healthz")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=ann")
    kubectl("create", "priorityclass", name, "--value=1000", "--description=for a test")
    assert kubectl("get", "priorityclass", name, "-o", "jsonpath={.value}") == "1000"
    deleted = kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}", f"priorityclass/{name}")
    assert len(deleted.splitlines()) == 3


def test_tokens(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "sa")
    token = kubectl("create", "token", "sa", "--duration=10m", "--audience=https://vault.example").strip()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["https://vault.example"]
    assert claims["sub"] == f"system:serviceaccount:{kubectl.namespace}:sa"
    assert claims["exp"] - claims["iat"] == 600
    refused = kubectl.refused("create", "token", "sa", "--duration=1m")
    assert "may not specify a duration less than 10 minutes" in refused


def test_run_and_expose(kubectl: Kubectl) -> None:
    made = kubectl("run", "p", f"--image={RUNS}", "--port=80", "--expose", "--env=A=1", "--labels=run=p,x=y")
    assert sorted(made.splitlines()) == ["pod/p created", "service/p created"]
    container = kubectl.json("get", "pod", "p")["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert kubectl.json("get", "service", "p")["spec"]["selector"] == {"run": "p", "x": "y"}
    kubectl("expose", "pod", "p", "--name=q", "--port=81", "--type=NodePort")
    assert kubectl.json("get", "service", "q")["spec"]["ports"][0]["targetPort"] == 81


def test_a_dry_run_makes_nothing(kubectl: Kubectl) -> None:
    arguments = ("create", "deployment", "d", f"--image={RUNS}")
    assert kubectl(*arguments, "--dry-run=client") == "deployment.apps/d created (dry run)\n"
    assert kubectl(*arguments, "--dry-run=server") == "deployment.apps/d created (server dry run)\n"
    defaulted = json.loads(kubectl(*arguments, "--dry-run=server", "-o", "json"))
    assert defaulted["spec"]["revisionHistoryLimit"] == 10
    assert not kubectl.json("get", "deployments")["items"]
