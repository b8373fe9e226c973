"""The traces that objects carry: as kubent's fixtures have them, the same object with a last applied manifest and without."""

import json

from aliquot.eks.sightings.live import of_object
from aliquot.eks.sightings.requests import SHA1_COUNTERS, counters, in_metrics
from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked

KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"
KAPP = "kapp.k14s.io/original"
OLD = {"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "web"}}


def live(**metadata: object) -> dict[str, object]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
    }


def test_what_the_server_lists_says_nothing_of_how_it_was_written() -> None:
    assert list(of_object(live())) == []


def test_what_was_applied_last() -> None:
    for annotation in (KUBECTL, KAPP):
        (one,) = of_object(live(annotations={annotation: json.dumps(OLD)}))
        assert isinstance(one, Sighting)
        assert (one.api_version, one.object, one.where.trace) == (
            "extensions/v1beta1",
            "Deployment shop/web",
            Trace.LAST_APPLIED,
        )


def test_who_wrote_which_fields_in_which_version_once_each() -> None:
    entry = {"apiVersion": "apps/v1beta2", "manager": "argocd", "operation": "Update"}
    found = list(of_object(live(managedFields=[entry, {**entry, "subresource": "status"}])))
    assert [(one.api_version, one.owner) for one in found if isinstance(one, Sighting)] == [
        ("apps/v1beta2", "argocd")
    ]


def test_an_annotation_that_is_no_manifest_is_unchecked() -> None:
    for text in ("{", "[]", '{"kind": "Pod"}'):
        (one,) = of_object(live(annotations={KUBECTL: text}))
        assert isinstance(one, Unchecked), text


METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="poddisruptionbudgets",subresource="",version="v1beta1"} 0
"""


def test_what_the_api_server_was_asked_for() -> None:
    kinds = {("flowcontrol.apiserver.k8s.io", "flowschemas"): "FlowSchema"}
    assert [(one.api_version, one.kind) for one in in_metrics(METRICS, kinds)] == [
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"),
        ("v1", "componentstatuses"),
    ]


def test_counters_are_summed_over_their_labels() -> None:
    first, second = SHA1_COUNTERS
    text = f'# TYPE {first} counter\n{first} 2\n{second}{{a="b"}} 1\n{second}{{a="c"}} 3\n{second}_not 9\n'
    assert counters(text, SHA1_COUNTERS) == {first: 2.0, second: 4.0}
    assert counters("", SHA1_COUNTERS) == {}
