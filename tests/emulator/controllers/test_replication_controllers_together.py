"""ReplicationControllers against the API server, all controllers running, on virtual time."""

from typing import Any

from aliquot.kube.resources import PODS, REPLICATIONCONTROLLERS
from tests.emulator.controllers.conftest import Cluster, Simulate


def controller(replicas: int) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "i"}]}
    template = {"metadata": {"labels": {"app": "old"}}, "spec": pod}
    return {
        "metadata": {"name": "rc", "namespace": "default"},
        "spec": {"replicas": replicas, "template": template},
    }


def test_it_keeps_its_number_of_pods(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "old"}}}
        spec = controller(1)["spec"]["template"]["spec"]
        await cluster.client.create(PODS, {**orphan, "spec": spec})
        made = await cluster.client.create(REPLICATIONCONTROLLERS, controller(2))
        assert made["spec"]["selector"] == {"app": "old"}

        for replicas in (2, 4, 0):
            patch = {"spec": {"replicas": replicas}}
            scaled = await cluster.client.patch(
                REPLICATIONCONTROLLERS, "rc", patch, "default", subresource="scale"
            )
            assert scaled["status"]["selector"] == "app=old"

            async def right(replicas: int = replicas) -> bool:
                await cluster.run_all_pods()
                found = await cluster.client.get(REPLICATIONCONTROLLERS, "rc", "default")
                owners = {pod["metadata"]["ownerReferences"][0]["kind"] for pod in await cluster.pods()}
                return found["status"].get("readyReplicas", 0) == replicas == len(
                    await cluster.pods()
                ) and owners <= {"ReplicationController"}

            await cluster.eventually(right)

    simulate(scenario)
