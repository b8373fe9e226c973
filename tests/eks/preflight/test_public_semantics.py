"""What users of the public tools count on, in cases of our own: kubent's, pluto's and eksup's semantics, by what they show."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import addresses, budgets, probes_and_spread, removed_apis, version_skew
from aliquot.eks.preflight.components import running
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.reports import as_json
from aliquot.eks.preflight.verdict import Code, FailOn, Preflight
from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.helm import SECRET_TYPE, encode, in_releases
from aliquot.eks.sightings.live import of_object
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import Removals, shipped
from tests.eks.preflight.estates import estate, nodes, pods, subnet, web, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def judged(
    found: Iterable[Sighting | Unchecked],
    to: str = "1.16",
    *,
    known: Removals | None = None,
    cert_manager: str = "",
    istio: str = "",
) -> list[Finding]:
    sightings = [one for one in found if isinstance(one, Sighting)]
    components = {"cert-manager": cert_manager, "istio": istio}
    there = {name: Minor.parse(version) for name, version in components.items() if version}
    target = Minor.parse(to)
    return list(removed_apis.judge(sightings, known or shipped(), target.previous, target, there))


def in_file(text: str, to: str = "1.16", *, cert_manager: str = "", istio: str = "") -> list[Finding]:
    return judged(in_text(text, "planted.yaml"), to, cert_manager=cert_manager, istio=istio)


def manifest(api_version: str, kind: str, name: str = "web", **metadata: Any) -> str:
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}})


# kubent: what is in a cluster goes by what it was applied as


def live(kind: str, api_version: str, annotations: dict[str, str], **metadata: Any) -> dict[str, Any]:
    told = {"name": "web", "namespace": "shop", "annotations": annotations, **metadata}
    return {"apiVersion": api_version, "kind": kind, "metadata": told}


KUBECTL, KAPP = "kubectl.kubernetes.io/last-applied-configuration", "kapp.k14s.io/original"
OLD_DEPLOYMENT = manifest("apps/v1beta1", "Deployment")
OLD_INGRESS = manifest("extensions/v1beta1", "Ingress", annotations={"kubernetes.io/ingress.class": "nginx"})


@pytest.mark.parametrize(
    ("one", "to", "reported"),
    [
        (live("Deployment", "apps/v1", {}), "1.16", False),
        (live("Deployment", "apps/v1beta1", {}), "1.16", False),
        (live("Deployment", "apps/v1", {KUBECTL: OLD_DEPLOYMENT}), "1.16", True),
        (live("Deployment", "apps/v1", {KAPP: OLD_DEPLOYMENT}), "1.16", True),
        (live("Deployment", "apps/v1beta1", {KUBECTL: manifest("apps/v1", "Deployment")}), "1.16", False),
        (
            live("Ingress", "networking.k8s.io/v1", {KUBECTL: OLD_INGRESS, "example.com/rewrite": "/"}),
            "1.22",
            True,
        ),
        (live("Ingress", "networking.k8s.io/v1", {"example.com/rewrite": "/"}), "1.22", False),
    ],
)
def test_only_what_was_applied_in_an_old_version_is_reported(
    one: dict[str, Any], to: str, reported: bool
) -> None:
    found = judged(of_object(one), to)
    assert [(finding.severity, finding.what) for finding in found] == (
        [(BLOCK, f"{one['kind']} shop/web")] if reported else []
    )


def test_two_documents_of_one_file_are_two_findings_with_their_lines() -> None:
    text = "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: b}\n"
    found = in_file(text, "1.22")
    assert [(one.what, one.line) for one in found] == [("Deployment a", 1), ("Ingress b", 5)]


def as_told(*findings: Finding) -> Any:
    result = Preflight(
        subject="x", now=Minor(1, 15), to=Minor(1, 16), findings=findings, unchecked=(), passed=()
    )
    return as_json.document(result)["findings"]


def test_labels_of_the_object_are_in_json() -> None:
    labels = {"app": "nginx", "team": "shop"}
    (in_a_file,) = in_file(manifest("apps/v1beta1", "Deployment", labels=labels))
    (in_a_cluster,) = judged(
        of_object(live("Deployment", "apps/v1", {KUBECTL: OLD_DEPLOYMENT}, labels=labels))
    )
    (without,) = in_file(manifest("apps/v1beta1", "Deployment"))
    assert [one.get("labels") for one in as_told(in_a_file, in_a_cluster, without)] == [labels, labels, None]


ISSUER = manifest("cert-manager.io/v1alpha2", "Issuer")


@pytest.mark.parametrize(
    ("components", "severity", "says"),
    [
        ({"cert_manager": "1.16"}, BLOCK, "cert-manager 1.16 does not serve"),
        ({"cert_manager": "1.5"}, WARN, "deprecated since cert-manager 1.4; 1.6 does not serve it"),
        ({"cert_manager": "1.3"}, None, ""),
        ({}, WARN, "--target cert-manager=VERSION"),
    ],
)
def test_kinds_of_components_go_by_the_components_version(
    components: dict[str, str], severity: Severity | None, says: str
) -> None:
    found = in_file(ISSUER, "1.33", cert_manager=components.get("cert_manager", ""))
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert not found or says in found[0].why
    assert all(one.minor is None for one in found)


def test_a_component_says_its_version_by_its_image() -> None:
    images = ("quay.io/jetstack/cert-manager-controller:v1.16.2", "istio/pilot:1.22.3", "web:2.0")
    made = workloads(
        *(
            {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}
            for image in images
        )
    )
    assert running(Objects(workloads={"Deployment": made})) == {
        "cert-manager": Minor(1, 16),
        "istio": Minor(1, 22),
    }


def test_a_review_that_was_once_asked_for_is_found_in_a_file() -> None:
    (found,) = in_file(manifest("authentication.k8s.io/v1beta1", "TokenReview"), "1.22")
    assert found.severity is BLOCK


# pluto: target versions, Lists, releases, charts, tables, components

EXTENSIONS = manifest("extensions/v1beta1", "Deployment", "utilities")


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("1.7", []),
        ("1.8", [(WARN, "1.16")]),
        ("1.9", [(WARN, "1.16")]),
        ("1.15", [(WARN, "1.16")]),
        ("1.16", [(BLOCK, "1.16")]),
        ("1.25", [(BLOCK, "None")]),
    ],
)
def test_deprecated_removed_or_neither_by_the_target(to: str, found: list[Any]) -> None:
    """A warning names the minor that ends it; of what ended long ago there is no hop to name."""
    assert [(one.severity, str(one.minor)) for one in in_file(EXTENSIONS, to)] == found


@pytest.mark.parametrize(("to", "code"), [("1.7", 0), ("1.15", 5), ("1.16", 4)])
def test_exit_codes_tell_deprecated_from_removed(to: str, code: int) -> None:
    target = Minor.parse(to)
    result = Preflight(
        subject="x",
        now=target.previous,
        to=target,
        findings=tuple(in_file(EXTENSIONS, to)),
        unchecked=(),
        passed=(),
    )
    assert result.code(FailOn.WARN, unchecked_passes=False) == Code(code)


def test_items_of_a_list_are_judged_one_by_one() -> None:
    items = [json.loads(EXTENSIONS), json.loads(manifest("apps/v1", "Deployment", "fine"))]
    found = in_file(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert [one.what for one in found] == ["Deployment utilities"]


def release(name: str, namespace: str, text: str) -> dict[str, Any]:
    labels = {"owner": "helm", "status": "deployed", "name": name}
    body = {
        "name": name,
        "namespace": namespace,
        "manifest": text,
        "chart": {"metadata": {"name": "c", "version": "1.0"}},
    }
    return {
        "kind": "Secret",
        "metadata": {"name": f"sh.helm.release.v1.{name}.v1", "namespace": namespace, "labels": labels},
        "type": SECRET_TYPE,
        "data": {"release": encode(body)},
    }


def test_releases_of_one_name_in_two_namespaces_are_two() -> None:
    both = f"{EXTENSIONS}\n---\n{manifest('apps/v1', 'Deployment', 'fine')}\n"
    found = judged(in_releases([release("test", "default", both), release("test", "demo2", both)]))
    assert [(one.what, one.where) for one in found] == [
        ("Deployment default/utilities", "Helm release default/test"),
        ("Deployment demo2/utilities", "Helm release demo2/test"),
    ]
    assert {one.owner for one in found} == {"chart c-1.0"}


def test_a_release_is_where_its_secret_is_though_its_payload_was_copied() -> None:
    copied = release("test", "default", EXTENSIONS)
    copied["metadata"]["namespace"] = "demo2"
    (found,) = judged(in_releases([copied]))
    assert (found.what, found.where) == ("Deployment demo2/utilities", "Helm release demo2/test")


def test_a_payload_that_was_encoded_with_line_breaks_is_read() -> None:
    folded = release("test", "default", EXTENSIONS)
    inner = base64.b64decode(folded["data"]["release"])
    folded["data"]["release"] = base64.encodebytes(inner + b"\n").decode()
    assert [one.severity for one in judged(in_releases([folded]))] == [BLOCK]


def test_a_chart_that_nobody_rendered_is_unchecked_and_what_it_renders_is_judged() -> None:
    template = "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n"
    (raw,) = in_text(template, "chart/templates/deployment.yaml")
    assert isinstance(raw, Unchecked)
    assert "render it" in raw.why
    (found,) = in_file(template.replace("{{ .Release.Name }}", "release-name"))
    assert found.what == "Deployment release-name"


def test_a_filter_by_component_leaves_the_others_out() -> None:
    text = f"{EXTENSIONS}\n---\n{ISSUER}\n"
    sightings = list(in_text(text, "f.yaml"))
    of_istio = judged(sightings, known=shipped().only(["istio"]), cert_manager="1.16")
    of_cert_manager = judged(sightings, known=shipped().only(["cert-manager"]), cert_manager="1.16")
    assert (of_istio, [one.what for one in of_cert_manager]) == ([], ["Issuer web"])
    assert len(judged(sightings, cert_manager="1.16")) == 2


def test_a_component_that_ends_a_whole_group() -> None:
    (found,) = in_file(manifest("rbac.istio.io/v1alpha1", "AuthorizationPolicies"), istio="1.22")
    assert found.severity is BLOCK


# eksup: subnets by zone, skew, workloads


@pytest.mark.parametrize(
    ("free", "blocks"),
    [((3, 100), True), ((5, 5), False), ((2, 2), True), ((4, 4), True)],
)
def test_fewer_than_two_zones_with_five_addresses_block(free: tuple[int, int], blocks: bool) -> None:
    there = estate(nodegroups=(), subnets=(subnet("s-a", free[0]), subnet("s-b", free[1])))
    zones = [one for one in addresses.judge(there) if one.what == "cluster prod"]
    assert [one.severity for one in zones] == ([BLOCK] if blocks else [])


@pytest.mark.parametrize(
    ("kubelet", "found"),
    [("1.31", []), ("1.30", []), ("1.29", [WARN]), ("1.28", [BLOCK])],
)
def test_a_kubelet_two_minors_behind_is_advised_and_three_behind_is_required(
    kubelet: str, found: list[Severity]
) -> None:
    node = {"metadata": {"name": "a"}, "status": {"nodeInfo": {"kubeletVersion": f"v{kubelet}.4-eks-1"}}}
    there = estate(objects=Objects(nodes=nodes(node)))
    assert [one.severity for one in version_skew.judge_nodes(there, Minor(1, 32))] == found


GOOD: dict[str, Any] = {
    "replicas": 2,
    "minReadySeconds": 10,
    "template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [{"name": "c", "readinessProbe": {"httpGet": {"path": "/"}}}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone"}],
            "terminationGracePeriodSeconds": 30,
        },
    },
}
BUDGET = {"metadata": {"name": "b", "namespace": "shop"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}  # fmt: skip


def workload(namespace: str = "shop", pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {**GOOD["template"], "spec": {**GOOD["template"]["spec"], **(pod or {})}}
    metadata = {"name": "web", "namespace": namespace}
    return {"metadata": metadata, "spec": {**GOOD, "template": template, **spec}}


@pytest.mark.parametrize(
    ("one", "guarded", "says"),
    [
        (workload(), True, ()),
        (workload(minReadySeconds=0), True, ("minReadySeconds",)),
        (workload(pod={"containers": [{"name": "c"}]}), True, ("no readinessProbe (c)",)),
        (workload(pod={"topologySpreadConstraints": []}), True, ("neither topologySpreadConstraints",)),
        (
            workload(
                pod={
                    "topologySpreadConstraints": [],
                    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
                }
            ),
            True,
            (),
        ),
        (
            workload(pod={"affinity": {"nodeAffinity": {}}, "topologySpreadConstraints": []}),
            True,
            ("neither",),
        ),
        (workload(pod={"terminationGracePeriodSeconds": 0}), True, ("terminationGracePeriodSeconds is 0",)),
        (workload(), False, ("no PodDisruptionBudget",)),
        (workload(replicas=1, pod={"topologySpreadConstraints": []}), False, ()),
        (workload(replicas=0, minReadySeconds=0), False, ()),
        (workload("kube-system", minReadySeconds=0), False, ()),
    ],
)
def test_probes_spread_budgets_and_time_to_end_are_told(
    one: dict[str, Any], guarded: bool, says: tuple[str, ...]
) -> None:
    objects = Objects(
        workloads={"Deployment": workloads(one)}, things={"PodDisruptionBudget": (BUDGET,) if guarded else ()}
    )
    found = list(probes_and_spread.judge(objects))
    assert [finding.severity for finding in found] == ([INFO] if says else [])
    assert all(words in found[0].why for words in says)
    assert not found or found[0].why.count(";") == len(says) - 1


def test_budgets_that_could_not_be_read_are_not_missed() -> None:
    objects = Objects(workloads={"Deployment": workloads(workload())}, unread=("PodDisruptionBudget",))
    assert not list(probes_and_spread.judge(objects))


def test_one_replica_and_its_budget_are_two_findings() -> None:
    budget = {
        "metadata": {"name": "b", "namespace": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    made = workloads(workload(replicas=1))
    objects = Objects(
        pods=pods(web(0)), workloads={"Deployment": made}, things={"PodDisruptionBudget": (budget,)}
    )
    assert [one.severity for one in budgets.judge(objects)] == [BLOCK]
    assert [one.severity for one in budgets.judge_replicas(objects)] == [INFO]
