"""Helm, unmodified: a chart of its own making through its whole life."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.commands import TOOLS, Kubectl, Result

pytestmark = pytest.mark.e2e

HOOK = """
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "web.fullname" . }}-hook
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
    aliquot.dev/run-for: 100ms
spec:
  restartPolicy: Never
  containers: [{name: main, image: busybox, command: ["true"]}]
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "web.fullname" . }}
data:
  replicas: {{ .Values.replicaCount | quote }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "web.fullname" . }}
stringData:
  # Helm keeps what it finds: the same after every upgrade.
  {{- $found := lookup "v1" "Secret" .Release.Namespace (include "web.fullname" .) }}
  password: {{ if $found }}{{ $found.data.password | b64dec }}{{ else }}{{ randAlphaNum 20 }}{{ end }}
"""


class Helm:
    def __init__(self, kubectl: Kubectl, home: Path) -> None:
        self._kubectl = kubectl
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubectl.kubeconfig),
            **{f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "CACHE", "DATA")},
        }

    def run(self, *args: str | Path) -> Result:
        done = subprocess.run(
            [TOOLS / "helm", "--namespace", self._kubectl.namespace, *args],
            check=False,
            text=True,
            capture_output=True,
            timeout=120,
            env=self._environment,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def __call__(self, *args: str | Path) -> str:
        result = self.run(*args)
        assert result.code == 0, f"helm {' '.join(map(str, args))}: {result.out}{result.err}"
        return result.out


@pytest.fixture
def helm(namespaced: Kubectl, tmp_path: Path) -> Helm:
    return Helm(namespaced, tmp_path)


@pytest.fixture
def chart(helm: Helm, tmp_path: Path) -> Path:
    """What `helm create` makes (Deployment, Service, ServiceAccount, ...), with a hook that ends and some settings."""
    helm("create", tmp_path / "web")
    (tmp_path / "web/templates/tests/test-connection.yaml").write_text(HOOK)
    (tmp_path / "web/templates/settings.yaml").write_text(SETTINGS)
    return tmp_path / "web"


def test_a_chart_lives(helm: Helm, chart: Path, namespaced: Kubectl) -> None:
    kubectl = namespaced
    helm("lint", chart)
    helm("install", "web", chart, "--wait", "--timeout", "60s")
    assert kubectl.json("get", "deployment", "web")["status"]["readyReplicas"] == 1
    password = kubectl.json("get", "secret", "web")["data"]["password"]
    assert [(one["name"], one["status"]) for one in json.loads(helm("list", "-o", "json"))] == [
        ("web", "deployed")
    ]

    helm("upgrade", "web", chart, "--set", "replicaCount=3", "--wait", "--timeout", "60s")
    assert kubectl.json("get", "deployment", "web")["status"]["readyReplicas"] == 3
    assert kubectl.json("get", "configmap", "web")["data"] == {"replicas": "3"}
    assert kubectl.json("get", "secret", "web")["data"]["password"] == password
    assert "Succeeded" in helm("test", "web", "--timeout", "60s")

    helm("rollback", "web", "1", "--wait", "--timeout", "60s")
    assert kubectl.json("get", "configmap", "web")["data"] == {"replicas": "1"}
    assert kubectl.json("get", "deployment", "web")["spec"]["replicas"] == 1
    history = json.loads(helm("history", "web", "-o", "json"))
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed"]

    manifest = list(yaml.safe_load_all(helm("get", "manifest", "web")))
    assert {"ServiceAccount", "Service", "Deployment", "ConfigMap", "Secret"} <= {
        one["kind"] for one in manifest
    }
    helm("uninstall", "web", "--wait", "--timeout", "60s")
    left = kubectl(
        "get", "deployments,services,configmaps,secrets", "-l", "app.kubernetes.io/instance=web", "-o", "name"
    )
    assert left == ""
    assert json.loads(helm("list", "-o", "json")) == []


def test_a_chart_that_the_server_refuses_leaves_the_release_as_it_was(
    helm: Helm, chart: Path, namespaced: Kubectl
) -> None:
    helm("install", "web", chart, "--wait", "--timeout", "60s")
    refused = helm.run("upgrade", "web", chart, "--set", "service.port=70000")
    assert refused.code != 0
    assert "spec.ports[0].port: Invalid value: 70000" in refused.err
    assert namespaced.json("get", "service", "web")["spec"]["ports"][0]["port"] == 80
    history = json.loads(helm("history", "web", "-o", "json"))
    assert [one["status"] for one in history] == ["deployed", "failed"]
