"""The official Python client: strict models, its watches, its informer, its dynamic client."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.commands import RUNS, Kubectl, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(namespaced: Kubectl) -> Any:
    # Its import alone takes more than a second.
    from kubernetes import client, config

    configuration: Any = client.Configuration()
    config.load_kube_config(str(namespaced.kubeconfig), client_configuration=configuration)
    with client.ApiClient(configuration) as found:
        yield found


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": RUNS}]}}


def test_typed_objects_go_and_come(api: Any, namespaced: Kubectl) -> None:
    from kubernetes import client

    core, namespace = client.CoreV1Api(api), namespaced.namespace
    core.create_namespaced_pod(namespace, pod("p"))
    assert eventually(lambda: core.read_namespaced_pod("p", namespace).status.phase == "Running")
    assert core.read_namespaced_pod_log("p", namespace) is not None
    core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"a": "1"}}})
    assert [one.metadata.name for one in core.list_namespaced_pod(namespace, label_selector="a=1").items] == [
        "p"
    ]
    # Every field of nodeInfo is required there.
    assert all(node.status.node_info.kubelet_version for node in core.list_node().items)
    core.delete_namespaced_pod("p", namespace, grace_period_seconds=0)

    def gone() -> bool:
        try:
            core.read_namespaced_pod("p", namespace)
        except client.ApiException as error:
            return bool(error.status == 404)
        return False

    assert eventually(gone)


def test_an_informer_follows(api: Any, namespaced: Kubectl) -> None:
    from kubernetes import client, informer

    core, namespace = client.CoreV1Api(api), namespaced.namespace
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "before"}})
    follower = informer.SharedInformer(core.list_namespaced_config_map, namespace=namespace)
    seen: list[tuple[str, str]] = []

    def remember(kind: str) -> Callable[[Any], None]:
        return lambda obj: seen.append((kind, obj.metadata.name))

    for kind in (informer.ADDED, informer.MODIFIED, informer.DELETED):
        follower.add_event_handler(kind, remember(kind))
    follower.start()
    try:
        eventually(lambda: follower.cache.get_by_key(f"{namespace}/before"))
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "made"}})
        eventually(lambda: ("ADDED", "made") in seen)
        core.patch_namespaced_config_map("made", namespace, {"data": {"a": "1"}})
        eventually(lambda: ("MODIFIED", "made") in seen)
        core.delete_namespaced_config_map("made", namespace)
        eventually(lambda: ("DELETED", "made") in seen)
        assert follower.cache.get_by_key(f"{namespace}/made") is None
    finally:
        follower.stop()
    assert [kind for kind, name in seen if name == "made"] == ["ADDED", "MODIFIED", "DELETED"]


def test_custom_objects_by_the_dynamic_client(api: Any, namespaced: Kubectl) -> None:
    from kubernetes import dynamic

    if namespaced.run("get", "crd", "gpunodes.aliquot.dev").code != 0:
        pytest.skip("Aliquot is not installed there")
    kinds = dynamic.DynamicClient(api).resources.get(api_version="aliquot.dev/v1alpha1", kind="GPUNode")
    names = [one.metadata.name for one in kinds.get().items]
    assert names == [one["metadata"]["name"] for one in namespaced.json("get", "gpunodes")["items"]]


def test_a_watch_ends_when_it_is_told_to(api: Any, namespaced: Kubectl) -> None:
    from kubernetes import client, watch

    core, namespace = client.CoreV1Api(api), namespaced.namespace
    watcher, seen = watch.Watch(), []
    timer = threading.Timer(0.5, lambda: namespaced("create", "configmap", "news"))
    timer.start()
    for event in watcher.stream(core.list_namespaced_config_map, namespace, timeout_seconds=30):
        seen.append((event["type"], event["object"].metadata.name))
        if ("ADDED", "news") in seen:
            watcher.stop()
    timer.join()
    assert ("ADDED", "news") in seen
