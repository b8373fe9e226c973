"""Who did not leave, by name."""

from typing import Any

from aliquot.eks.upgrade.staying import who_stays
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, PODS
from tests.eks.upgrade.acts.worlds import World, client, on_virtual_time


def pod(name: str, node: str, app: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": app}, **metadata},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "web"}]},
    }


@on_virtual_time
async def test_pods_of_these_nodes_and_the_budget_that_holds_them(world: World) -> None:
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u1"}
    for one in (
        pod("web-1", "a", "web"),
        pod("job-1", "a", "job"),
        pod("agent-1", "a", "agent", ownerReferences=[daemon]),
        pod("web-2", "b", "web"),
    ):
        await world.kube.create(PODS, one)
    budget = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    }
    await world.kube.create(PODDISRUPTIONBUDGETS, budget)
    status = {
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2}
    }
    await world.kube.patch(PODDISRUPTIONBUDGETS, "web", status, "default", subresource="status")
    assert await who_stays(world.kube, {"a"}) == (
        "pod default/job-1 on a",
        "pod default/web-1 on a (PodDisruptionBudget web lets none go)",
    )
    nobody = client(world.server, world.clock, "nobody", "system:authenticated")
    assert await who_stays(nobody, {"a"}) == ()


@on_virtual_time
async def test_of_many_the_first_are_named(world: World) -> None:
    for number in range(7):
        await world.kube.create(PODS, pod(f"web-{number}", "a", "web"))
    found = await who_stays(world.kube, {"a"})
    assert len(found) == 6
    assert found[-1] == "and 2 more"
