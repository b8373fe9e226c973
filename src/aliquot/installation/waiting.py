"""Until what was installed runs, or a line that says what does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from aliquot.installation.kinds import resource_of
from aliquot.installation.labels import Json
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS, key

_LOOK_S = 1.0


class NotReady(Exception):
    """One line: what does not run, and why as far as its pods say."""


async def ready(client: Client, objects: Sequence[Json], timeout_s: float) -> AsyncIterator[str]:
    """Yields a line for each workload that has come to run. Raises ApiError, NotReady."""
    waiting = [one for one in objects if one["kind"] in ("Deployment", "DaemonSet")]
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while waiting:
        still = []
        for one in waiting:
            metadata = one["metadata"]
            found = await client.get(resource_of(one), metadata["name"], metadata["namespace"])
            if is_ready(found):
                yield f"{one['kind']} {key(one)}: ready"
            else:
                still.append(one)
        waiting = still
        if waiting and loop.time() >= deadline_s:
            why = "; ".join([f"{key(one)}: {await _trouble(client, one)}" for one in waiting])
            raise NotReady(f"not ready within {timeout_s:.0f} s: {why}")
        if waiting:
            await asyncio.sleep(_LOOK_S)


def is_ready(workload: Json) -> bool:
    status, metadata = workload.get("status") or {}, workload["metadata"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(
            status.get("numberReady", 0) >= wanted and status.get("updatedNumberScheduled", 0) >= wanted
        )
    wanted = workload["spec"].get("replicas", 1)
    have = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    return all(count == wanted for count in have)


async def _trouble(client: Client, workload: Json) -> str:
    metadata = workload["metadata"]
    labels = workload["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    pods = (await client.list(PODS, metadata["namespace"], label_selector=selector)).items
    return next(
        (found for pod in pods if (found := trouble(pod))),
        "its pods are not ready" if pods else "it has no pods",
    )


def trouble(pod: Json) -> str:
    """Why a pod does not run; empty: it does, or says nothing."""
    status = pod.get("status") or {}
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waits = (container.get("state") or {}).get("waiting") or {}
        if waits.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"{waits['reason']}: {waits.get('message', '')}".removesuffix(": ")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", "it has no node"))
    return ""
