"""Deployments, ReplicaSets and Jobs against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.emulator.controllers import revisions
from aliquot.emulator.controllers.job_plan import TRACKING
from aliquot.kube.client import Propagation
from aliquot.kube.resources import DEPLOYMENTS, EVENTS, JOBS, PODS, REPLICASETS, Resource
from tests.emulator.controllers.conftest import Cluster, Simulate

ROLEBINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


def template(image: str = "i:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": image}]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers, **spec}}


def deployment(replicas: int, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


async def progress(cluster: Cluster) -> tuple[str, dict[str, Any]]:
    found = await cluster.client.get(DEPLOYMENTS, "web", "default")
    conditions = {one["type"]: one for one in found["status"].get("conditions", ())}
    return conditions.get("Progressing", {}).get("reason", ""), found["status"]


async def rolled_out(cluster: Cluster) -> dict[str, Any]:
    """Starts pods as they come until the Deployment is complete."""

    async def check() -> Any:
        await cluster.run_all_pods()
        reason, status = await progress(cluster)
        return (
            status if reason == "NewReplicaSetAvailable" and not status.get("unavailableReplicas") else None
        )

    found: dict[str, Any] = await cluster.eventually(check)
    return found


async def images(cluster: Cluster) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in await cluster.pods())


def test_a_deployment_rolls_out_and_over(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(4))
        status = await rolled_out(cluster)
        assert {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4}.items() <= status.items()

        fewest, most = 4, 4
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"template": template("i:2")}}, "default")

        async def updated() -> bool:
            nonlocal fewest, most
            await cluster.run_all_pods()
            pods = await cluster.pods()
            ready = [pod for pod in pods if pod["status"]["phase"] == "Running"]
            fewest, most = min(fewest, len(ready)), max(most, len(pods))
            return await images(cluster) == ["i:2"] * 4

        await cluster.eventually(updated)
        await rolled_out(cluster)
        assert fewest >= 3
        assert most <= 5
        sets = (await cluster.client.list(REPLICASETS, "default")).items
        numbers = {
            one["spec"]["replicas"]: one["metadata"]["annotations"][revisions.REVISION] for one in sets
        }
        assert numbers == {0: "1", 4: "2"}
        found = await cluster.client.get(DEPLOYMENTS, "web", "default")
        assert found["metadata"]["annotations"][revisions.REVISION] == "2"

    simulate(scenario)


def test_rolling_back_reuses_the_old_replica_set(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(2))
        await rolled_out(cluster)
        for image in ("i:2", "i:1"):
            await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"template": template(image)}}, "default")

            async def there(image: str = image) -> bool:
                await cluster.run_all_pods()
                return await images(cluster) == [image] * 2

            await cluster.eventually(there)
        sets = (await cluster.client.list(REPLICASETS, "default")).items
        assert len(sets) == 2
        current = next(one for one in sets if one["spec"]["replicas"] == 2)
        assert current["metadata"]["annotations"][revisions.REVISION] == "3"
        assert current["metadata"]["annotations"][revisions.REVISION_HISTORY] == "1"

    simulate(scenario)


def test_scaling(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(1))
        await rolled_out(cluster)
        for replicas in (5, 2, 0):
            await cluster.client.patch(
                DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, "default", subresource="scale"
            )

            async def right(replicas: int = replicas) -> bool:
                await cluster.run_all_pods()
                status = (await progress(cluster))[1]
                return bool(status.get("replicas", 0) == replicas == len(await cluster.pods()))

            await cluster.eventually(right)

    simulate(scenario)


def test_a_deployment_that_does_not_get_on_says_so(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(2, progressDeadlineSeconds=30))

        async def late() -> bool:
            return (await progress(cluster))[0] == "ProgressDeadlineExceeded"

        await asyncio.sleep(25)
        assert not await late()
        await cluster.eventually(late, within_s=10)

    simulate(scenario)


def test_recreate_never_mixes(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(3, strategy={"type": "Recreate"}))
        await rolled_out(cluster)
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"template": template("i:2")}}, "default")
        seen = set()

        async def replaced() -> bool:
            await cluster.run_all_pods()
            found = await images(cluster)
            seen.add(tuple(sorted(set(found))))
            return found == ["i:2"] * 3

        await cluster.eventually(replaced)
        assert ("i:1", "i:2") not in seen

    simulate(scenario)


def test_a_replica_set_makes_up_for_lost_pods_and_adopts_orphans(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}}
        await cluster.client.create(PODS, {**orphan, "spec": template()["spec"]})
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template()}
        body = {"metadata": {"name": "rs", "namespace": "default"}, "spec": spec}
        await cluster.client.create(REPLICASETS, body)

        async def two() -> bool:
            pods = await cluster.pods()
            return len(pods) == 2 and all(pod["metadata"].get("ownerReferences") for pod in pods)

        await cluster.eventually(two)
        assert "orphan" in [pod["metadata"]["name"] for pod in await cluster.pods()]
        await cluster.client.delete(PODS, "orphan", "default")
        await cluster.eventually(two)
        # A pod whose label is taken off is let go, and replaced.
        name = (await cluster.pods())[0]["metadata"]["name"]
        await cluster.client.patch(PODS, name, {"metadata": {"labels": {"app": None}}}, "default")

        async def three() -> bool:
            pods = await cluster.pods()
            return len(pods) == 3 and sum("ownerReferences" in pod["metadata"] for pod in pods) == 2

        await cluster.eventually(three)

    simulate(scenario)


def test_never_more_pods_than_asked_for_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(10))
        for _ in range(8):
            await asyncio.sleep(0)
            await cluster.restart_controllers()
            assert len(await cluster.pods()) <= 10

        async def all_there() -> bool:
            return len(await cluster.pods()) == 10

        await cluster.eventually(all_there)
        await asyncio.sleep(5)
        assert len(await cluster.pods()) == 10

    simulate(scenario)


def test_deleting_a_deployment_takes_everything_with_it(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        for propagation in (Propagation.BACKGROUND, Propagation.FOREGROUND):
            await cluster.client.create(DEPLOYMENTS, deployment(2))
            await rolled_out(cluster)
            await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation=propagation)

            async def nothing_left() -> bool:
                counts = [
                    len((await cluster.client.list(kind)).items) for kind in (DEPLOYMENTS, REPLICASETS, PODS)
                ]
                return counts == [0, 0, 0]

            await cluster.eventually(nothing_left)

    simulate(scenario)


def test_orphaned_pods_stay_and_are_adopted_again(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(DEPLOYMENTS, deployment(2))
        await rolled_out(cluster)
        before = sorted(pod["metadata"]["uid"] for pod in await cluster.pods())
        await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation=Propagation.ORPHAN)

        async def let_go() -> bool:
            sets = (await cluster.client.list(REPLICASETS)).items
            return len(sets) == 1 and "ownerReferences" not in sets[0]["metadata"]

        await cluster.eventually(let_go)
        assert await cluster.gone(DEPLOYMENTS, "web", "default")
        await cluster.client.create(DEPLOYMENTS, deployment(2))
        await rolled_out(cluster)
        assert sorted(pod["metadata"]["uid"] for pod in await cluster.pods()) == before

    simulate(scenario)


def job(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"template": {"spec": {**template()["spec"], "restartPolicy": "Never"}}, **spec},
    }


async def condition_of_job(cluster: Cluster, kind: str) -> dict[str, Any] | None:
    found = await cluster.client.get(JOBS, "j", "default")
    return next(
        (
            one
            for one in found["status"].get("conditions", ())
            if one["type"] == kind and one["status"] == "True"
        ),
        None,
    )


async def live_pods(cluster: Cluster) -> list[dict[str, Any]]:
    return [pod for pod in await cluster.pods() if pod["status"].get("phase") in ("Pending", "Running")]


def test_a_job_runs_to_its_end(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(completions=5, parallelism=2))
        most = 0

        async def complete() -> Any:
            nonlocal most
            running = await live_pods(cluster)
            most = max(most, len(running))
            for pod in running:
                await cluster.end_pod(pod)
            return await condition_of_job(cluster, "Complete")

        await cluster.eventually(complete)
        found = await cluster.client.get(JOBS, "j", "default")
        assert most == 2
        assert found["status"]["succeeded"] == 5
        assert found["status"].get("completionTime")
        pods = (await cluster.client.list(PODS, "default")).items
        assert len(pods) == 5
        assert not any(TRACKING in pod["metadata"].get("finalizers", ()) for pod in pods)

        async def told() -> bool:
            reasons = [event["reason"] for event in (await cluster.client.list(EVENTS, "default")).items]
            return "Completed" in reasons and "SuccessfulCreate" in reasons

        await cluster.eventually(told)

    simulate(scenario)


def test_every_success_is_counted_once_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(completions=6, parallelism=3))

        async def complete() -> Any:
            for pod in await live_pods(cluster):
                await cluster.end_pod(pod)
            await asyncio.sleep(0)
            await cluster.restart_controllers()
            await asyncio.sleep(cluster.client.rng.random() * 0.02)
            return await condition_of_job(cluster, "Complete")

        await cluster.eventually(complete)
        found = await cluster.client.get(JOBS, "j", "default")
        assert found["status"]["succeeded"] == 6
        assert len((await cluster.client.list(PODS, "default")).items) == 6

    simulate(scenario)


def test_a_job_gives_up_after_its_backoff_limit(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(backoffLimit=2))
        began = asyncio.get_running_loop().time()

        async def failed() -> Any:
            for pod in await live_pods(cluster):
                await cluster.end_pod(pod, exit_code=1)
            return await condition_of_job(cluster, "Failed")

        condition = await cluster.eventually(failed, within_s=100)
        assert condition["reason"] == "BackoffLimitExceeded"
        found = await cluster.client.get(JOBS, "j", "default")
        assert found["status"]["failed"] == 3
        # 10 s after the first failure, 20 s after the second.
        assert 27 < asyncio.get_running_loop().time() - began < 35

    simulate(scenario)


def test_a_dead_man_s_job_takes_what_it_owns_with_it(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        spec = {"parallelism": 0, "completions": 1, "activeDeadlineSeconds": 20, "ttlSecondsAfterFinished": 0}
        made = await cluster.client.create(JOBS, job(**spec))
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": made["metadata"]["uid"]}
        binding = {
            "metadata": {"name": "grant", "namespace": "default", "ownerReferences": [owner]},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "g"}],
        }
        await cluster.client.create(ROLEBINDINGS, binding)
        await asyncio.sleep(18)
        assert not await cluster.gone(ROLEBINDINGS, "grant", "default")
        await asyncio.sleep(3)
        assert await cluster.gone(ROLEBINDINGS, "grant", "default")
        assert await cluster.gone(JOBS, "j", "default")

    simulate(scenario)


def test_suspending_a_job(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(suspend=True))
        await asyncio.sleep(5)
        assert await condition_of_job(cluster, "Suspended")
        assert await cluster.pods() == []
        await cluster.client.patch(JOBS, "j", {"spec": {"suspend": False}}, "default")

        async def one() -> bool:
            return len(await live_pods(cluster)) == 1

        await cluster.eventually(one)
        await cluster.client.patch(JOBS, "j", {"spec": {"suspend": True}}, "default")

        async def none() -> bool:
            return not await live_pods(cluster)

        await cluster.eventually(none)

    simulate(scenario)


def test_who_is_suspended_again_and_again_has_not_failed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(completions=2, parallelism=2, backoffLimit=1))

        async def two() -> bool:
            return len(await live_pods(cluster)) == 2

        async def none() -> bool:
            return not await cluster.pods()

        for _ in range(3):
            await cluster.eventually(two)
            await cluster.client.patch(JOBS, "j", {"spec": {"suspend": True}}, "default")
            await cluster.eventually(none)
            await cluster.client.patch(JOBS, "j", {"spec": {"suspend": False}}, "default")
        await cluster.eventually(two)
        status = (await cluster.client.get(JOBS, "j", "default"))["status"]
        assert status.get("failed") is None

    simulate(scenario)


def test_pods_of_a_deleted_job_are_let_go(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(completions=2, parallelism=2))

        async def two() -> bool:
            return len(await live_pods(cluster)) == 2

        await cluster.eventually(two)
        await cluster.client.delete(JOBS, "j", "default", propagation=Propagation.BACKGROUND)

        async def nothing() -> bool:
            return not (await cluster.client.list(PODS, "default")).items

        await cluster.eventually(nothing)

    simulate(scenario)
