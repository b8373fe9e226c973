"""StatefulSets against the API server, all controllers running, on virtual time."""

from typing import Any

from aliquot.kube.client import Propagation
from aliquot.kube.resources import CONTROLLERREVISIONS, EVENTS, PODS, STATEFULSETS
from tests.emulator.controllers.conftest import Cluster, Simulate


def template(image: str = "i:1") -> dict[str, Any]:
    containers = [{"name": "main", "image": image}]
    return {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": containers}}


def stateful_set(replicas: int, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "peers",
            "selector": {"matchLabels": {"app": "db"}},
            "template": template(),
            **spec,
        },
    }


async def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = (await cluster.client.get(STATEFULSETS, "db", "default"))["status"]
    return found


async def settle(cluster: Cluster, image: str, replicas: int) -> dict[str, Any]:
    """Starts pods as they come until all are of `image`, ready, and the set says so."""

    async def settled() -> Any:
        await cluster.run_all_pods()
        said = await status(cluster)
        pods = await cluster.pods()
        right = [pod["spec"]["containers"][0]["image"] for pod in pods] == [image] * replicas
        done = said.get("readyReplicas", 0) == replicas and said["currentRevision"] == said["updateRevision"]
        return said if right and done else None

    found: dict[str, Any] = await cluster.eventually(settled)
    return found


async def names(cluster: Cluster) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in await cluster.pods())


async def set_image(cluster: Cluster, image: str) -> None:
    await cluster.client.patch(STATEFULSETS, "db", {"spec": {"template": template(image)}}, "default")


def test_pods_come_in_order_and_are_updated_from_the_top(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(3))
        seen: list[str] = []

        async def three() -> bool:
            found = await names(cluster)
            seen.extend(name for name in found if name not in seen)
            ready = [pod for pod in await cluster.pods() if pod["status"]["phase"] == "Running"]
            assert len(found) <= len(ready) + 1
            await cluster.run_all_pods()
            return len(found) == 3

        await cluster.eventually(three)
        assert seen == ["db-0", "db-1", "db-2"]
        await settle(cluster, "i:1", 3)

        await set_image(cluster, "i:2")
        order: list[str] = []

        async def updated() -> bool:
            pods = await cluster.pods()
            new = [p["metadata"]["name"] for p in pods if p["spec"]["containers"][0]["image"] == "i:2"]
            order.extend(name for name in new if name not in order)
            await cluster.run_all_pods()
            return len(new) == 3

        await cluster.eventually(updated)
        assert order == ["db-2", "db-1", "db-0"]
        said = await settle(cluster, "i:2", 3)
        assert {"replicas": 3, "availableReplicas": 3, "updatedReplicas": 3}.items() <= said.items()
        numbers = [one["revision"] for one in (await cluster.client.list(CONTROLLERREVISIONS)).items]
        assert sorted(numbers) == [1, 2]

    simulate(scenario)


def test_a_partition_keeps_what_is_below_it(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        await cluster.client.create(STATEFULSETS, stateful_set(3, updateStrategy=strategy))
        await settle(cluster, "i:1", 3)
        await set_image(cluster, "i:2")

        async def images() -> list[str]:
            await cluster.run_all_pods()
            pods = sorted(await cluster.pods(), key=lambda pod: str(pod["metadata"]["name"]))
            return [pod["spec"]["containers"][0]["image"] for pod in pods]

        async def top_only() -> bool:
            return await images() == ["i:1", "i:1", "i:2"] and (await status(cluster))["readyReplicas"] == 3

        await cluster.eventually(top_only)
        # A pod below the partition that is lost comes again as it was.
        await cluster.client.delete(PODS, "db-0", "default")
        await cluster.eventually(top_only)
        said = await status(cluster)
        assert said["currentRevision"] != said["updateRevision"]

    simulate(scenario)


def test_rolling_back_reuses_the_old_revision(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(1))
        for image in ("i:1", "i:2", "i:1"):
            await set_image(cluster, image)
            await settle(cluster, image, 1)
        revisions = (await cluster.client.list(CONTROLLERREVISIONS)).items
        numbers = {one["metadata"]["name"]: one["revision"] for one in revisions}
        assert sorted(numbers.values()) == [2, 3]
        assert numbers[(await status(cluster))["currentRevision"]] == 3

    simulate(scenario)


def test_old_revisions_go(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(1, revisionHistoryLimit=1))
        for number in range(1, 5):
            await set_image(cluster, f"i:{number}")
            await settle(cluster, f"i:{number}", 1)

        async def two() -> bool:
            revisions = (await cluster.client.list(CONTROLLERREVISIONS)).items
            return sorted(one["revision"] for one in revisions)[-2:] == [4, 5] and len(revisions) == 2

        await cluster.client.patch(STATEFULSETS, "db", {"spec": {"template": template("i:5")}}, "default")
        await settle(cluster, "i:5", 1)
        await cluster.eventually(two)

    simulate(scenario)


def test_scaling_down_goes_from_the_top(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(4, podManagementPolicy="Parallel"))
        await settle(cluster, "i:1", 4)
        patch = {"spec": {"replicas": 1}}
        await cluster.client.patch(STATEFULSETS, "db", patch, "default", subresource="scale")

        async def one() -> bool:
            return await names(cluster) == ["db-0"]

        await cluster.eventually(one)
        said = await settle(cluster, "i:1", 1)
        assert said["replicas"] == 1

    simulate(scenario)


def test_never_two_of_one_name_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(3))

        async def three() -> bool:
            await cluster.restart_controllers()
            await cluster.run_all_pods()
            return len(await cluster.pods()) == 3

        await cluster.eventually(three)
        events = (await cluster.client.list(EVENTS, "default")).items
        assert not [event for event in events if event["reason"].startswith("Failed")]
        revisions = (await cluster.client.list(CONTROLLERREVISIONS)).items
        assert len(revisions) == 1

    simulate(scenario)


def test_deleting_it_takes_pods_and_revisions_along(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(2))
        await settle(cluster, "i:1", 2)
        await cluster.client.delete(STATEFULSETS, "db", "default", propagation=Propagation.BACKGROUND)

        async def nothing_left() -> bool:
            kinds = (STATEFULSETS, PODS, CONTROLLERREVISIONS)
            return [len((await cluster.client.list(kind)).items) for kind in kinds] == [0, 0, 0]

        await cluster.eventually(nothing_left)

    simulate(scenario)
