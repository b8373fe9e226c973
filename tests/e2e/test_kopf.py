"""kopf, an operator framework with watches, finalizers and progress annotations of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import Kubectl, eventually

pytestmark = pytest.mark.e2e

OPERATOR = Path(__file__).parent / "kopf_operator.py"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: greetings.e2e.aliquot.dev}
spec:
  group: e2e.aliquot.dev
  scope: Namespaced
  names: {plural: greetings, singular: greeting, kind: Greeting}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {to: {type: string}}}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
GREETING = """
apiVersion: e2e.aliquot.dev/v1
kind: Greeting
metadata: {name: first}
spec: {to: world}
"""


@pytest.fixture
def operator(namespaced: Kubectl, tmp_path: Path) -> Iterator[Path]:
    """What it printed."""
    namespaced("apply", "-f", "-", stdin=CRD)
    namespaced("wait", "--for=condition=Established", "crd/greetings.e2e.aliquot.dev")
    # Discovery follows a moment later, and kopf looks once.
    eventually(lambda: namespaced.run("get", "greetings").code == 0)
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "kopf",
        "run",
        "--standalone",
        "--verbose",
        "-n",
        namespaced.namespace,
        str(OPERATOR),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "KUBECONFIG": str(namespaced.kubeconfig)},
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(30)
        namespaced("delete", "crd", "greetings.e2e.aliquot.dev")


def test_an_operator_works(operator: Path, namespaced: Kubectl) -> None:
    kubectl = namespaced
    kubectl("apply", "-f", "-", stdin=GREETING)

    def status() -> dict[str, object]:
        return kubectl.json("get", "greeting", "first").get("status", {})  # type: ignore[no-any-return]

    said = eventually(lambda: status().get("created"))
    assert said == {"said": "hello world, says first"}
    assert kubectl.json("get", "greeting", "first")["metadata"]["finalizers"] == ["e2e.aliquot.dev/kopf"]
    kubectl("patch", "greeting", "first", "--type=merge", "-p", '{"spec":{"to":"moon"}}')
    assert eventually(lambda: status().get("to") == ["world", "moon"])
    kubectl("create", "configmap", "c")
    kubectl("label", "configmap", "c", "greeted=yes")
    assert eventually(lambda: "noticed c" in operator.read_text())
    kubectl("delete", "greeting", "first", "--timeout=30s")
    reasons = [one["reason"] for one in kubectl.json("get", "events")["items"]]
    assert eventually(lambda: "Goodbye" in reasons or "Goodbye" in kubectl("get", "events"))
    assert "Traceback" not in operator.read_text()
