"""DaemonSets against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

import pytest

from aliquot.emulator.controllers import daemon_set_plan
from aliquot.emulator.kinds.node_affinity import pinned_node
from aliquot.kube.client import Propagation
from aliquot.kube.resources import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from tests.emulator.controllers.conftest import Cluster, Simulate


def template(image: str = "i:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": image}]
    return {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers, **spec}}


def daemon_set(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template(), **spec},
    }


async def placed(cluster: Cluster) -> dict[str, str]:
    """Image by node; of a node with two pods the last."""
    return {
        pinned_node(pod["spec"]["affinity"]): pod["spec"]["containers"][0]["image"]
        for pod in await cluster.pods()
    }


async def settle(cluster: Cluster, expected: dict[str, str]) -> None:
    async def settled() -> bool:
        await cluster.run_all_pods()
        status = (await cluster.client.get(DAEMONSETS, "d", "default"))["status"]
        ready = status["numberReady"] == status.get("updatedNumberScheduled", 0) == len(expected)
        return ready and await placed(cluster) == expected and len(await cluster.pods()) == len(expected)

    await cluster.eventually(settled)


def test_one_pod_on_each_node_that_there_is(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.client.create(DAEMONSETS, daemon_set())
        await settle(cluster, {"n1": "i:1"})
        await cluster.add_node("n2")
        await settle(cluster, {"n1": "i:1", "n2": "i:1"})
        # Cordoned nodes keep theirs; those tainted otherwise may be without.
        await cluster.client.patch(NODES, "n1", {"spec": {"unschedulable": True}})
        taint = {"key": "mine", "effect": "NoExecute"}
        await cluster.client.patch(NODES, "n2", {"spec": {"taints": [taint]}})
        await settle(cluster, {"n1": "i:1"})

    simulate(scenario)


def test_an_update_goes_node_by_node(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        for name in ("n1", "n2", "n3"):
            await cluster.add_node(name)
        await cluster.client.create(DAEMONSETS, daemon_set())
        await settle(cluster, dict.fromkeys(("n1", "n2", "n3"), "i:1"))
        await cluster.client.patch(DAEMONSETS, "d", {"spec": {"template": template("i:2")}}, "default")
        fewest = 3

        async def updated() -> bool:
            nonlocal fewest
            await cluster.run_all_pods()
            ready = [pod for pod in await cluster.pods() if pod["status"]["phase"] == "Running"]
            fewest = min(fewest, len(ready))
            return set((await placed(cluster)).values()) == {"i:2"}

        await cluster.eventually(updated)
        await settle(cluster, dict.fromkeys(("n1", "n2", "n3"), "i:2"))
        assert fewest >= 2
        revisions = (await cluster.client.list(CONTROLLERREVISIONS)).items
        assert sorted(one["revision"] for one in revisions) == [1, 2]
        found = await cluster.client.get(DAEMONSETS, "d", "default")
        assert found["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "2"}

    simulate(scenario)


def test_a_surge_never_leaves_a_node_without(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.add_node("n2")
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await cluster.client.create(DAEMONSETS, daemon_set(updateStrategy=strategy))
        await settle(cluster, {"n1": "i:1", "n2": "i:1"})
        await cluster.client.patch(DAEMONSETS, "d", {"spec": {"template": template("i:2")}}, "default")
        fewest, most = 2, 2

        async def updated() -> bool:
            nonlocal fewest, most
            pods = await cluster.pods()
            ready = [pod for pod in pods if pod["status"]["phase"] == "Running"]
            fewest, most = min(fewest, len(ready)), max(most, len(pods))
            await cluster.run_all_pods()
            return len(pods) == 2 and set((await placed(cluster)).values()) == {"i:2"}

        await cluster.eventually(updated)
        assert (fewest, most) == (2, 3)

    simulate(scenario)


def test_a_failed_daemon_is_made_anew(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.client.create(DAEMONSETS, daemon_set())
        seen: set[str] = set()
        for _ in range(3):
            await settle(cluster, {"n1": "i:1"})
            [pod] = await cluster.pods()
            seen.add(pod["metadata"]["uid"])
            await cluster.end_pod(pod, exit_code=1)

            async def replaced(uid: str = pod["metadata"]["uid"]) -> bool:
                return [one["metadata"]["uid"] for one in await cluster.pods()] not in ([uid], [])

            await cluster.eventually(replaced)
        assert len(seen) == 3

    simulate(scenario)


def test_deleting_it_takes_everything_along(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.add_node("n1")
        await cluster.client.create(DAEMONSETS, daemon_set())
        await settle(cluster, {"n1": "i:1"})
        await cluster.client.delete(DAEMONSETS, "d", "default", propagation=Propagation.FOREGROUND)

        async def nothing_left() -> bool:
            kinds = (DAEMONSETS, PODS, CONTROLLERREVISIONS)
            return [len((await cluster.client.list(kind)).items) for kind in kinds] == [0, 0, 0]

        await cluster.eventually(nothing_left)

    simulate(scenario)


def test_labels_of_nodes_are_looked_at_together_and_by_those_they_concern(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    plan = daemon_set_plan.plan

    def counting(found: Any, *rest: Any) -> Any:
        looks.append(found.metadata.name)
        return plan(found, *rest)

    monkeypatch.setattr(daemon_set_plan, "plan", counting)

    async def scenario(cluster: Cluster) -> None:
        names = [f"n{number}" for number in range(50)]
        for name in names:
            await cluster.add_node(name)
        await cluster.client.create(DAEMONSETS, daemon_set(template=template(nodeSelector={"mine": "yes"})))
        await asyncio.sleep(5)
        looks.clear()
        for name in names:
            await cluster.client.patch(NODES, name, {"metadata": {"labels": {"other": "yes"}}})
        await asyncio.sleep(5)
        assert looks == []
        for name in names:
            await cluster.client.patch(NODES, name, {"metadata": {"labels": {"mine": "yes"}}})
        await settle(cluster, dict.fromkeys(names, "i:1"))
        # One for the nodes, and a few for their pods as they are made and run.
        assert len(looks) < len(names) / 5

    simulate(scenario)
