import pytest

from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.resources import GPUNODES, NODES, PODS, Resource, key, split_key


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (PODS, (), "/api/v1/pods"),
        (PODS, ("ns",), "/api/v1/namespaces/ns/pods"),
        (PODS, ("ns", "p"), "/api/v1/namespaces/ns/pods/p"),
        (PODS, ("ns", "p", "status"), "/api/v1/namespaces/ns/pods/p/status"),
        (NODES, (None, "n"), "/api/v1/nodes/n"),
        (GPUNODES, (None, "n", "status"), "/apis/aliquot.dev/v1alpha1/gpunodes/n/status"),
        (NODES, (None, "a/../b"), "/api/v1/nodes/a%2F..%2Fb"),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str | None, ...], path: str) -> None:
    assert resource.path(*arguments) == path


@pytest.mark.parametrize(
    ("resource", "arguments", "complaint"),
    [
        (PODS, (None, "p"), "needs a namespace"),
        (NODES, ("ns", "n"), "is cluster-scoped"),
        (PODS, ("ns", None, "status"), "needs an object name"),
    ],
)
def test_parts_that_make_no_sense_together(
    resource: Resource, arguments: tuple[str | None, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        resource.path(*arguments)


def test_keys_of_dicts_and_structs() -> None:
    assert key({"metadata": {"name": "a", "namespace": "ns"}}) == "ns/a"
    assert key({"metadata": {"name": "a"}}) == "a"
    assert key(Pod(metadata=ObjectMeta(name="a", namespace="ns"))) == "ns/a"
    assert key(Node(metadata=ObjectMeta(name="a"))) == "a"


@pytest.mark.parametrize(("text", "parts"), [("ns/a", ("ns", "a")), ("a", ("", "a"))])
def test_keys_come_apart_again(text: str, parts: tuple[str, str]) -> None:
    assert split_key(text) == parts


def test_names_in_messages() -> None:
    assert (PODS.name, PODS.api_version) == ("pods", "v1")
    assert (GPUNODES.name, GPUNODES.api_version) == ("gpunodes.aliquot.dev", "aliquot.dev/v1alpha1")
