"""HorizontalPodAutoscalers against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.kube.resources import DEPLOYMENTS, HORIZONTALPODAUTOSCALERS, Resource
from tests.emulator.controllers.conftest import Cluster, Simulate

OLD = Resource("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler")


def test_an_autoscaler_without_metrics_keeps_to_its_limits(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        selector = {"matchLabels": {"app": "web"}}
        pod = {"containers": [{"name": "main", "image": "i"}]}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
        metadata = {"name": "web", "namespace": "default"}
        spec = {"replicas": 9, "selector": selector, "template": template}
        await cluster.client.create(DEPLOYMENTS, {"metadata": metadata, "spec": spec})
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        limits = {"scaleTargetRef": target, "maxReplicas": 4, "targetCPUUtilizationPercentage": 50}
        await cluster.client.create(OLD, {"metadata": metadata, "spec": limits})

        async def inside() -> bool:
            found = await cluster.client.get(DEPLOYMENTS, "web", "default")
            return bool(found["spec"]["replicas"] == 4)

        await cluster.eventually(inside)

        async def inactive() -> Any:
            found = await cluster.client.get(HORIZONTALPODAUTOSCALERS, "web", "default")
            return {one["type"]: one["reason"] for one in found["status"].get("conditions", ())}.get(
                "ScalingActive"
            )

        assert await cluster.eventually(inactive) == "FailedGetResourceMetric"
        await asyncio.sleep(60)
        assert await inside()
        old = await cluster.client.get(OLD, "web", "default")
        assert old["spec"]["targetCPUUtilizationPercentage"] == 50
        assert "metrics" not in old["spec"]

    simulate(scenario)
