"""Runs the pod that tries a device, to its end; and leaves none behind."""

import asyncio
from collections.abc import Iterator

from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS
from aliquot.node.validation import devices
from aliquot.node.validation.checks import Check, Outcome, failed, passed, skipped
from aliquot.node.validation.workload import Progress, Stage, Workload, manifest, pod_name, progress

_FIRST_LOOK_S, _LOOK_S = 0.5, 5.0
_GONE_S = 60.0
"""For which the pod of an earlier validator may take its leave."""
_LAST_CALL_S = 2.0
_BUSY = "every device is in use"


class Trial:
    def __init__(self, node_name: str, client: Client, workload: Workload) -> None:
        self._node_name = node_name
        self._client = client
        self._workload = workload
        self._name = pod_name(node_name)

    async def run(self, node: Node, owner: OwnerReference) -> Outcome:
        """Raises ApiError."""
        resource = devices.to_try(await self._free(node))
        if not resource:
            return skipped(Check.WORKLOAD, _BUSY)
        try:
            pod = await self._created(resource, owner)
        except TimeoutError:
            return failed(
                Check.WORKLOAD,
                f"the pod {self._workload.namespace}/{self._name} of an earlier run does not go: see what holds it",
            )
        except (errors.Forbidden, errors.Invalid) as error:
            return failed(Check.WORKLOAD, f"no pod can be made: {error.message}")
        try:
            return await self._ended(pod, resource, node)
        finally:
            await self._last_deleted(pod)

    async def _free(self, node: Node) -> dict[str, int]:
        pods = await self._client.list(PODS, field_selector=f"spec.nodeName={self._node_name}", into=Pod)
        others = [pod for pod in pods.items if pod.metadata.name != self._name]
        return dict(devices.free(node.status.allocatable, others))

    async def _created(self, resource: str, owner: OwnerReference) -> Pod:
        """Raises TimeoutError where the one before it stays."""
        wanted = manifest(self._workload, self._node_name, resource, owner)
        async with asyncio.timeout(_GONE_S):
            for delay_s in _delays_s():
                try:
                    return await self._client.create(PODS, wanted, into=Pod)
                except errors.AlreadyExists:
                    await self._delete_leftover()
                await asyncio.sleep(delay_s)
        raise AssertionError("delays have no end")

    async def _delete_leftover(self) -> None:
        try:
            pod = await self._client.get(PODS, self._name, self._workload.namespace, into=Pod)
            if pod.metadata.deletion_timestamp is None:
                await self._delete(pod)
        except errors.NotFound:
            return

    async def _ended(self, pod: Pod, resource: str, node: Node) -> Outcome:
        asked = f"a pod that asks for 1 {resource}"
        now = Progress(Stage.WAITING)
        try:
            async with asyncio.timeout(self._workload.deadline_s):
                for delay_s in _delays_s():
                    await asyncio.sleep(delay_s)
                    latest = await self._client.get(PODS, self._name, self._workload.namespace, into=Pod)
                    if latest.metadata.uid != pod.metadata.uid:
                        return failed(Check.WORKLOAD, f"{asked} was deleted by somebody before it ended")
                    now = progress(latest)
                    if now.stage is Stage.SUCCEEDED:
                        return passed(Check.WORKLOAD, f"{asked} ran" + (f": {now.said}" if now.said else ""))
                    if now.stage is Stage.FAILED:
                        return failed(Check.WORKLOAD, f"{asked} failed: {now.said}")
        except errors.NotFound:
            return failed(Check.WORKLOAD, f"{asked} was deleted by somebody before it ended")
        except TimeoutError:
            if not (await self._free(node)).get(resource):
                # Others were faster.
                return skipped(Check.WORKLOAD, _BUSY)
        return failed(
            Check.WORKLOAD, f"{asked} did not end within {self._workload.deadline_s:.0f} s: {now.said}"
        )

    async def _last_deleted(self, pod: Pod) -> None:
        """Also of a validator that is stopped. What stays the next one finds."""
        try:
            async with asyncio.timeout(_LAST_CALL_S):
                await self._delete(pod)
        except (errors.ApiError, TimeoutError):
            return

    async def _delete(self, pod: Pod) -> None:
        await self._client.delete(PODS, self._name, self._workload.namespace, uid=pod.metadata.uid)


def _delays_s() -> Iterator[float]:
    delay_s = _FIRST_LOOK_S
    while True:
        yield delay_s
        delay_s = min(_LOOK_S, 2 * delay_s)
