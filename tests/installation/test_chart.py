"""The chart in deploy/ says what `aliquot install` applies: judged by the real helm."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.installation import rendering
from aliquot.installation.chart.files import files
from aliquot.installation.labels import MANAGED_BY
from aliquot.installation.rendering import Offers
from aliquot.installation.values import merged
from aliquot.kube import crds
from tests.e2e.commands import TOOLS

Json = dict[str, Any]

CHART = Path(__file__).parents[2] / "deploy/chart/aliquot"
MUTATING = "admissionregistration.k8s.io/{}/MutatingAdmissionPolicy"
MONITORS = "monitoring.coreos.com/v1/PodMonitor"
OF_HELM = ("app.kubernetes.io/instance", "helm.sh/chart", MANAGED_BY)


def helm(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOLS / "helm", *args], check=False, text=True, capture_output=True, timeout=60)


def templated(tmp_path: Path, values: Json, *more: str) -> list[Json]:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    # What Helm takes to be served without a cluster is its own age's: say a version that serves none of ours.
    done = helm(
        "template", "aliquot", str(CHART), "-f", str(tmp_path / "values.yaml"), "--include-crds", *more
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def compared(objects: list[Json]) -> dict[str, Json]:
    """By kind and name, without what says who has installed it."""
    found = {}
    for one in objects:
        metadata = one["metadata"]
        labels = {name: value for name, value in metadata.get("labels", {}).items() if name not in OF_HELM}
        annotations = {
            name: value
            for name, value in metadata.get("annotations", {}).items()
            if name != "helm.sh/resource-policy"
        }
        plain = {
            **{name: value for name, value in metadata.items() if name not in ("labels", "annotations")},
            **({"labels": labels} if labels else {}),
            **({"annotations": annotations} if annotations else {}),
        }
        name = f"{one['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        assert name not in found, f"{name} is there twice"
        found[name] = {**one, "metadata": plain}
    return found


def is_hook(obj: Json) -> bool:
    return "helm.sh/hook" in (obj["metadata"].get("annotations") or {})


def test_the_chart_is_what_the_code_says() -> None:
    """`make generate` writes it."""
    there = {str(path.relative_to(CHART)): path.read_text() for path in CHART.rglob("*") if path.is_file()}
    assert there == files()


def test_lint() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("given", "served"),
    [
        pytest.param({}, Offers("v1beta1"), id="defaults"),
        pytest.param({}, Offers("v1"), id="policies as of 1.36"),
        pytest.param({"monitors": True}, Offers("v1", pod_monitors=True), id="monitors"),
        pytest.param({"monitors": False}, Offers("v1", pod_monitors=True), id="no monitors"),
        pytest.param(
            {
                "image": "registry.example.com/team/aliquot@sha256:" + "0" * 64,
                "imagePullSecrets": ["one", "two"],
            },
            Offers("v1"),
            id="images",
        ),
        pytest.param(
            {name: {"enabled": False} for name in ("scheduler", "partitioner", "admission", "discovery")},
            Offers("v1"),
            id="the operator alone",
        ),
        pytest.param({"network": {"policies": False}}, Offers("v1"), id="no network policies"),
        pytest.param({"network": {"apiPorts": [16443]}}, Offers("v1"), id="another port"),
        pytest.param(
            {
                "scheduler": {
                    "replicas": 3,
                    "args": ["--placement", "pack", "--ageing=1h"],
                    "resources": {"limits": {"cpu": "2"}},
                    "nodeSelector": {"pool": "system"},
                    "tolerations": [{"key": "system", "operator": "Exists"}],
                },
                "discovery": {"tolerations": [], "args": ["--sys-root", "/host-sys"]},
            },
            Offers("v1"),
            id="pods",
        ),
        pytest.param(
            {"policy": {"create": True, "name": "all", "spec": {"driver": {"version": "580.95.05"}}}},
            Offers("v1"),
            id="a policy",
        ),
    ],
)
def test_the_same_objects_as_the_command(tmp_path: Path, given: Json, served: Offers) -> None:
    versions = ["--api-versions", MUTATING.format(served.mutating)] if served.mutating else []
    if served.pod_monitors:
        versions += ["--api-versions", MONITORS]
    found = [one for one in templated(tmp_path, given, *versions) if not is_hook(one)]
    values = merged(given)
    policy = [rendering.policy(values.policy)] if values.policy.create else []
    wanted = compared([*crds.ALL, *rendering.objects(values, served), *policy])
    has = compared(found)
    assert has == wanted


def test_without_policies_there_is_the_webhook(tmp_path: Path) -> None:
    """As templates: a helm without a cluster takes its own age's policies to be served."""
    text = files()["templates/admission.yaml"]
    assert text.count("kind: MutatingAdmissionPolicy\n") == 3
    webhook = text[text.rindex("{{- else }}") :]
    assert "kind: Deployment" in webhook
    assert "MutatingAdmissionPolicy" not in webhook


def test_a_release_in_our_own_namespace_leaves_it_to_its_user(tmp_path: Path) -> None:
    found = templated(tmp_path, {}, "--namespace", "aliquot-system")
    assert not [one for one in found if one["kind"] == "Namespace"]


def test_nodes_are_given_back_before_a_release_goes(tmp_path: Path) -> None:
    hooks = [one for one in templated(tmp_path, {}) if is_hook(one)]
    assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooks} == {"pre-delete"}
    (job,) = [one for one in hooks if one["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["uninstall", "--nodes-only", "--yes"]
    weights = {int(one["metadata"]["annotations"]["helm.sh/hook-weight"]): one["kind"] for one in hooks}
    assert weights[max(weights)] == "Job"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedular": {}}, "schedular"),
        ({"scheduler": {"replicas": 0}}, "replicas"),
        ({"scheduler": {"replica": 2}}, "replica"),
        ({"image": ""}, "image"),
        ({"network": {"apiPorts": []}}, "apiPorts"),
        ({"policy": {"spec": {"driver": {"versoin": "1"}}}}, "versoin"),
        ({"policy": {"name": "Upper"}}, "name"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_values_are_judged_by_the_schema(tmp_path: Path, given: Json, said: str) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(given))
    done = helm("template", "aliquot", str(CHART), "-f", str(tmp_path / "values.yaml"))
    assert done.returncode != 0
    assert said in done.stderr
