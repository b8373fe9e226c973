"""A running cluster and the real kubectl.

By default an emulated cluster of the demo's three nodes; `make e2e KUBECONFIG=...` names another.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import (
    AUDIT_LOG,
    BIN,
    GIVEN,
    KUBECTLS,
    THREE_NODES,
    Kubectl,
    aliquot,
    eventually,
    kubectl_name,
)

__all__ = ["cluster", "kubectl", "namespaced"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster that is ready."""
    if GIVEN:
        yield Path(GIVEN)
        return
    state = tmp_path_factory.mktemp("cluster")
    policy = state / "audit-policy.yaml"
    policy.write_text(aliquot("access", "audit", "policy").out)
    audit = ("--audit-policy", policy, "--audit-log", state / AUDIT_LOG)
    up = aliquot("up", "--detach", "--state", state, "--inventory", THREE_NODES, *audit)
    assert up.code == 0, up.err
    yield state / "kubeconfig"
    down = aliquot("down", "--state", state)
    assert down.code == 0, down.err


@pytest.fixture(params=KUBECTLS, ids=kubectl_name)
def kubectl(cluster: Path, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a fresh namespace; runs once for each kubectl at hand."""
    yield from _in_namespace(cluster, request)


@pytest.fixture
def namespaced(cluster: Path, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """The pinned kubectl in a fresh namespace, for tests of other clients."""
    yield from _in_namespace(cluster, request)


def _in_namespace(cluster: Path, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:50].strip("-")
    admin = Kubectl(cluster, binary=getattr(request, "param", str(BIN / "kubectl")))
    namespace = f"{name}-{time.monotonic_ns() % 100_000}"
    admin("create", "namespace", namespace)
    eventually(lambda: admin.run("get", "serviceaccount", "default", "-n", namespace).code == 0)
    yield Kubectl(cluster, namespace, admin.binary)
    admin("delete", "namespace", namespace, "--wait=false")
