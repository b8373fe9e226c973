"""What the benchmark of binding counts calls by."""

import pytest

from benchmarks.binding_scheduler import resource


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/namespaces/a/pods/p/binding", "pods/binding"),
        ("/api/v1/namespaces/a/events", "events"),
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces/a", "namespaces"),
        ("/api/v1/nodes/n/status", "nodes/status"),
        ("/apis/aliquot.dev/v1alpha1/gpunodes/n", "gpunodes"),
        ("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l", "leases"),
    ],
)
def test_calls_are_named_by_resource_and_subresource(path: str, named: str) -> None:
    assert resource(path) == named
