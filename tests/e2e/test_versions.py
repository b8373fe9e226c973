"""`aliquot up --kubernetes-version`: a cluster of another version, kept, taken over, refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import GIVEN, Kubectl, aliquot

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="of `aliquot up`: a cluster that is given says nothing about it"),
]

CLAIM = json.dumps(
    {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "c"},
        "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpus"}}]}},
    }
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    aliquot("down", "--state", tmp_path / "state")


def test_a_version_is_kept_taken_over_by_a_newer_one_and_not_by_an_older(state: Path) -> None:
    up = ("up", "--detach", "--state", state)
    kubectl = Kubectl(state / "kubeconfig")

    def version() -> str:
        return str(json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"])

    assert aliquot(*up, "--nodes", "1", "--gpus", "l4:1", "--kubernetes-version", "1.31").code == 0
    assert version() == "v1.31.0+aliquot"
    assert "v1.31.0" in kubectl("get", "nodes")
    assert "resourceclaims" not in kubectl("api-resources")
    kubectl("create", "configmap", "kept")
    assert json.loads(aliquot("status", "--state", state, "-o", "json").out)["kubernetes_version"] == "1.31"
    aliquot("down", "--state", state)

    assert aliquot(*up).code == 0
    assert version() == "v1.31.0+aliquot"
    aliquot("down", "--state", state)

    assert aliquot(*up, "--kubernetes-version", "1.37").code == 0
    assert version() == "v1.37.0+aliquot"
    assert "v1.37.0" in kubectl("get", "nodes")
    kubectl("get", "configmap", "kept")
    kubectl("create", "-f", "-", stdin=CLAIM)
    aliquot("down", "--state", state)

    refused = aliquot(*up, "--kubernetes-version", "1.33")
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    assert (
        "holds 1 resourceclaims.resource.k8s.io of resource.k8s.io/v1, which Kubernetes 1.33" in refused.err
    )
    assert aliquot(*up).code == 0
    assert version() == "v1.37.0+aliquot"
    kubectl("get", "resourceclaim", "c")


def test_an_unknown_version_is_one_line(state: Path) -> None:
    refused = aliquot("up", "--state", state, "--kubernetes-version", "1.12")
    assert refused.code == 1
    assert refused.err == (
        "error: --kubernetes-version: no Kubernetes 1.12; there are 1.31, 1.32, 1.33, 1.34, 1.35, 1.36, 1.37\n"
    )
