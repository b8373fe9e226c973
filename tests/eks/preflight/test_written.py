"""Manifests alone: what is known to be wrong without a cluster, where it is written, and what nobody looked at."""

import json
from datetime import date
from typing import Any
from xml.etree import ElementTree

import pytest

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks.table import CHECKS, TITLES
from aliquot.eks.preflight.findings import Severity
from aliquot.eks.preflight.judging import judge
from aliquot.eks.preflight.reports import as_json, html, junit, sarif, text
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.preflight.verdict import Code, FailOn, Preflight
from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.helm import encode, in_releases
from aliquot.eks.sightings.sighting import Sighting
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import estate, workloads

BLOCK, WARN = Severity.BLOCK, Severity.WARN


def manifest(api_version: str, kind: str, name: str = "x", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **body}


def volume(**spec: Any) -> dict[str, Any]:
    return manifest("v1", "PersistentVolume", spec=spec)


def pod(**source: Any) -> dict[str, Any]:
    return manifest("v1", "Pod", spec={"containers": [], "volumes": [{"name": "d", **source}]})


def storage_class(provisioner: str) -> dict[str, Any]:
    return manifest("storage.k8s.io/v1", "StorageClass", provisioner=provisioner)


def budget(**spec: Any) -> dict[str, Any]:
    return manifest("policy/v1", "PodDisruptionBudget", spec=spec)


def node_class(**spec: Any) -> dict[str, Any]:
    return manifest("karpenter.k8s.aws/v1", "EC2NodeClass", spec=spec)


def binding(group: str, name: str = "x") -> dict[str, Any]:
    return manifest(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        name,
        subjects=[{"kind": "Group", "name": group}],
    )


def files(*written: dict[str, Any]) -> tuple[Sighting, ...]:
    found = (one for body in written for one in in_text(json.dumps(body), "f.json"))
    return tuple(one for one in found if isinstance(one, Sighting))


def released(body: dict[str, Any]) -> tuple[Sighting, ...]:
    payload = encode({"name": "db", "namespace": "shop", "manifest": json.dumps(body)})
    secret = {
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "data": {"release": payload},
    }
    return tuple(one for one in in_releases([secret]) if isinstance(one, Sighting))


def preflight(sightings: tuple[Sighting, ...], now: str, to: str, there: Estate | None = None) -> Preflight:
    subject = Subject(
        name="deploy",
        now=Minor.parse(now),
        to=Minor.parse(to),
        today=date(2026, 11, 29),
        has=frozenset({Need.SIGHTINGS} | ({Need.OBJECTS, Need.AWS} if there is not None else set())),
        sightings=sightings,
        estate=there,
    )
    return judge(subject, CHECKS)


WRONG: list[tuple[str, dict[str, Any], str, str, Severity]] = [
    ("rbd-volume", volume(rbd={}), "1.31", "cluster-behaviour", BLOCK),
    ("cephfs-volume", volume(cephfs={}), "1.31", "cluster-behaviour", BLOCK),
    ("cinder-volume", volume(cinder={}), "1.31", "cluster-behaviour", WARN),
    ("ebs-volume", volume(awsElasticBlockStore={}), "1.31", "cluster-behaviour", WARN),
    ("rbd-class", storage_class("kubernetes.io/rbd"), "1.31", "cluster-behaviour", BLOCK),
    ("ebs-class", storage_class("kubernetes.io/aws-ebs"), "1.31", "cluster-behaviour", WARN),
    ("anonymous", binding("system:anonymous"), "1.32", "cluster-behaviour", BLOCK),
    (
        "external-ips",
        manifest("v1", "Service", spec={"externalIPs": ["1.2.3.4"]}),
        "1.36",
        "cluster-behaviour",
        WARN,
    ),
    (
        "ipvs",
        manifest("v1", "ConfigMap", "kube-proxy", data={"c": "mode: ipvs\n"}),
        "1.35",
        "cluster-behaviour",
        WARN,
    ),
    (
        "limit-plugins",
        manifest("v1", "ConfigMap", data={"c": "kind: KubeSchedulerConfiguration\n- EBSLimits"}),
        "1.31",
        "cluster-behaviour",
        WARN,
    ),
    ("ebs-pod", pod(awsElasticBlockStore={"volumeID": "v"}), "1.31", "pod-behaviour", WARN),
    ("cinder-pod", pod(cinder={}), "1.31", "pod-behaviour", WARN),
    ("no-unavailable", budget(maxUnavailable=0), "1.31", "budgets", BLOCK),
    ("no-unavailable-percent", budget(maxUnavailable="0%"), "1.31", "budgets", BLOCK),
    ("all-available", budget(minAvailable="100%"), "1.31", "budgets", BLOCK),
    ("al2-alias", node_class(amiSelectorTerms=[{"alias": "al2@latest"}]), "1.33", "karpenter", BLOCK),
    ("al2-family", node_class(amiFamily="AL2"), "1.32", "karpenter", WARN),
]


@pytest.mark.parametrize(
    ("body", "to", "check", "severity"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_what_needs_no_cluster_is_found_where_it_is_written(
    body: dict[str, Any], to: str, check: str, severity: Severity
) -> None:
    before = str(Minor.parse(to).previous)
    (found,) = preflight(files(body), before, to).findings
    assert (found.check, found.severity, found.file, found.line) == (check, severity, "f.json", 1)
    assert found.what == f"{body['kind']} {body['metadata']['name']}"
    (of_chart,) = preflight(released(body), before, to).findings
    assert (of_chart.check, of_chart.severity) == (check, severity)
    assert of_chart.where == "Helm release shop/db"


@pytest.mark.parametrize(
    "body",
    [
        budget(maxUnavailable=1),
        budget(minAvailable="50%"),
        budget(maxUnavailable=None),
        binding("system:unauthenticated", "system:public-info-viewer"),
        volume(csi={}),
        node_class(amiSelectorTerms=[{"alias": "al2023@latest"}]),
        manifest("serving.knative.dev/v1", "Service", spec={"externalIPs": ["1.2.3.4"]}),
    ],
    ids=("one", "half", "null", "public-info", "csi", "al2023", "knative"),
)
def test_what_is_well_is_not_found(body: dict[str, Any]) -> None:
    assert preflight(files(body), "1.31", "1.37").findings == ()


def test_a_driver_among_the_manifests_or_in_the_cluster_serves_volumes_of_ebs() -> None:
    volumes = (volume(awsElasticBlockStore={}), pod(awsElasticBlockStore={}))
    driver = manifest("apps/v1", "Deployment", "ebs-csi-controller", spec={})
    assert preflight(files(*volumes, driver), "1.31", "1.32").findings == ()
    missing = preflight(files(*volumes), "1.31", "1.32", estate())
    assert [one.severity for one in missing.findings if one.file] == [BLOCK, BLOCK]
    node = workloads({"metadata": {"name": "ebs-csi-node"}})
    there = estate(objects=Objects(workloads={"DaemonSet": node}))
    assert not [one for one in preflight(files(*volumes), "1.31", "1.32", there).findings if one.file]


def test_a_budget_of_a_release_is_judged_by_whom_it_selects_in_the_cluster() -> None:
    nobody = budget(maxUnavailable=0)
    assert "budgets" in {one.check for one in preflight(released(nobody), "1.31", "1.32").findings}
    with_cluster = preflight(released(nobody), "1.31", "1.32", estate())
    assert "budgets" not in {one.check for one in with_cluster.findings}
    to_be_applied = preflight(files(nobody), "1.31", "1.32", estate())
    assert "budgets" in {one.check for one in to_be_applied.findings}


def test_what_was_not_asked_is_told_and_is_no_failure() -> None:
    result = preflight(files(volume(csi={})), "1.31", "1.32")
    assert result.code(FailOn.WARN, unchecked_passes=False) is Code.PASSED
    assert result.summary.endswith("nothing speaks against it (no cluster was asked, AWS was not asked)")
    reasons = dict(result.not_made_by_reason)
    assert {"webhooks", "budgets", "karpenter"} <= set(reasons["no cluster was asked"])
    assert {"free-addresses", "calendar"} <= set(reasons["AWS was not asked"])
    assert {one.check for one in result.not_made} <= set(TITLES)
    assert any(line.startswith("not made") and "webhooks" in line for line in text.text(result).splitlines())
    assert {"check": "webhooks", "why": "no cluster was asked"} in as_json.document(result)["notMade"]
    (run,) = sarif.document(result, TITLES)["runs"]
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [(one["level"], "not made: " in one["message"]["text"]) for one in notes] == [("note", True)] * 2
    suite = ElementTree.fromstring(junit.text(result))
    assert len(suite.findall("testcase")) == int(suite.attrib["tests"])
    assert len(suite.findall("testcase/skipped")) == int(suite.attrib["skipped"]) == len(result.not_made)
    assert TITLES["webhooks"] in html.text(result, TITLES).split("Not made")[1]


def test_of_a_whole_cluster_all_is_made() -> None:
    result = preflight((), "1.31", "1.32", estate())
    assert result.not_made == () and "asked" not in result.summary
