"""Client libraries that know nothing of this server."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import lightkube
import pytest
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import HttpsServer, write_kubeconfig
from aliquot.emulator.storage.store import Store


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[Path]:
    authority = Authority(tmp_path / "pki", clock=SystemClock())
    api = ApiServer(
        Store(),
        clock=SystemClock(),
        rng=random.Random(1),
        token_key=authority.token_key,
        client_authority=authority.for_clients,
    )
    await api.start()
    async with HttpsServer(api, authority) as server:
        write_kubeconfig(
            tmp_path / "kubeconfig",
            url=server.url,
            authority=authority.certificate,
            user="admin",
            client=authority.client("admin", ["system:masters"]),
        )
        yield tmp_path / "kubeconfig"


async def test_lightkube(kubeconfig: Path) -> None:
    config = lightkube.KubeConfig.from_file(str(kubeconfig))
    client = lightkube.AsyncClient(config=config, field_manager="lightkube")
    seen: list[tuple[str, str]] = []
    made = await client.create(ConfigMap(metadata=ObjectMeta(name="c", namespace="default"), data={"a": "1"}))
    assert made.metadata.uid
    await client.patch(ConfigMap, "c", {"data": {"a": "2"}}, namespace="default", patch_type=PatchType.MERGE)
    await client.apply(
        ConfigMap(
            apiVersion="v1",
            kind="ConfigMap",
            metadata=ObjectMeta(name="d", namespace="default"),
            data={"b": "1"},
        )
    )
    pod = Pod(
        metadata=ObjectMeta(name="p", namespace="default", labels={"app": "x"}),
        spec=PodSpec(containers=[Container(name="main", image="i")]),
    )
    await client.create(pod)
    listed = [found.metadata.name async for found in client.list(Pod, labels={"app": "x"}, chunk_size=1)]
    assert listed == ["p"]
    async for kind, found in client.watch(ConfigMap, namespace="default", server_timeout=5):
        seen.append((kind, found.metadata.name))
        if len(seen) == 2:
            break
    assert seen == [("ADDED", "c"), ("ADDED", "d")]
    await client.delete(ConfigMap, "c", namespace="default")
    with pytest.raises(lightkube.ApiError) as caught:
        await client.get(ConfigMap, "c", namespace="default")
    assert caught.value.status.code == 404
    assert [found async for found in client.list(Node)] == []
    await client.close()


async def test_kubernetes_asyncio(kubeconfig: Path) -> None:
    # Its import alone takes seconds.
    import kubernetes_asyncio

    configuration: Any = kubernetes_asyncio.client.Configuration()
    await kubernetes_asyncio.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    async with kubernetes_asyncio.client.ApiClient(configuration) as api:
        core = kubernetes_asyncio.client.CoreV1Api(api)
        body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
        await core.create_namespaced_pod("default", body)
        assert [one.metadata.name for one in (await core.list_namespaced_pod("default")).items] == ["p"]
        seen = []
        async with kubernetes_asyncio.watch.Watch() as watch:
            async for event in watch.stream(core.list_pod_for_all_namespaces, timeout_seconds=5):
                seen.append((event["type"], event["object"].metadata.name))
                if len(seen) == 2:
                    break
                await core.delete_namespaced_pod("p", "default")
                with pytest.raises(kubernetes_asyncio.client.ApiException):
                    await core.read_namespaced_pod("p", "default")
        assert seen == [("ADDED", "p"), ("DELETED", "p")]
