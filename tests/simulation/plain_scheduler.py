"""A scheduler that knows node.status and nothing else, as the default one: amounts by name, first node with room."""

import asyncio
from collections import Counter
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import NODES, PODS

NAME = "plain"
_PERIOD_S = 0.5
_OVER = ("Succeeded", "Failed")


async def schedule(client: Client, clock: Clock) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(_PERIOD_S)
        nodes = (await client.list(NODES)).items
        pods = (await client.list(PODS)).items
        left = {node["metadata"]["name"]: _offered(node) for node in nodes}
        for pod in pods:
            if pod["spec"].get("nodeName") and pod["status"].get("phase") not in _OVER:
                left[pod["spec"]["nodeName"]] -= _asked(pod)
        for pod in pods:
            if pod["spec"].get("nodeName") or pod["spec"].get("schedulerName") != NAME:
                continue
            asked = _asked(pod)
            name = next(
                (n for n, amounts in left.items() if all(amounts[r] >= c for r, c in asked.items())), ""
            )
            try:
                if name:
                    left[name] -= asked
                    await client.bind(
                        "default", pod["metadata"]["name"], name, pod_uid=pod["metadata"]["uid"]
                    )
                else:
                    await _say_unschedulable(client, pod, rfc3339(clock.now()))
            except ApiError:
                continue


async def _say_unschedulable(client: Client, pod: dict[str, Any], now: str) -> None:
    if any(c["type"] == "PodScheduled" for c in pod["status"].get("conditions", ())):
        return
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "lastTransitionTime": now,
    }
    patch = {"status": {"conditions": [condition]}}
    name = pod["metadata"]["name"]
    await client.patch(PODS, name, patch, "default", kind=PatchKind.STRATEGIC, subresource="status")


def _offered(node: dict[str, Any]) -> Counter[str]:
    amounts = node["status"].get("allocatable", {})
    return Counter({name: int(text) for name, text in amounts.items() if "/" in name})


def _asked(pod: dict[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        for name, text in container.get("resources", {}).get("limits", {}).items():
            if "/" in name:
                found[name] += int(text)
    return found
