"""Writes what kubelet knows about its pods to the API server: statuses, and the last deletion of each pod.

One write at a time, as a real kubelet's status manager does, always the newest state, again until it is written.
"""

from collections.abc import Callable, Mapping

import structlog

from aliquot.emulator.kubelet import pod_status
from aliquot.emulator.kubelet.managed_pod import ManagedPod
from aliquot.kube import errors
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.queue import WorkQueue
from aliquot.kube.resources import PODS

_log = structlog.get_logger()

_MAX_RETRY_DELAY_S = 10.0


class PodReporter:
    """`managed` is the owner's table of pods by uid; `on_gone` gets the uid of a pod the API no longer has.

    What changes of a pod within `together_s` is one write: a container that runs, and is found ready at once.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        managed: Mapping[str, ManagedPod],
        on_gone: Callable[[str], None],
        *,
        together_s: float,
    ) -> None:
        self._client = client
        self._managed = managed
        self._on_gone = on_gone
        self._together_s = together_s
        self._due = WorkQueue(client.rng, max_delay_s=_MAX_RETRY_DELAY_S)
        self._log = _log.bind(node=node)

    def report(self, managed: ManagedPod) -> None:
        """Write its desired status, and delete it when it is finished and was to be deleted."""
        if _deletable(managed):
            self._due.add(managed.uid)
        elif managed.desired != managed.written:
            self._due.add_after(managed.uid, self._together_s)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._write_next()
        finally:
            self._due.hurry()

    async def _write_next(self) -> None:
        uid = await self._due.get()
        managed = self._managed.get(uid)
        try:
            if managed is not None and not managed.gone:
                await self._write(managed)
            self._due.forget(uid)
        except errors.NotFound:
            self._on_gone(uid)
        except errors.ApiError as error:
            delay_s = self._due.retry(uid)
            self._log.warning(
                "pod status not written", pod=uid, error=error.message, retry_in_s=round(delay_s, 3)
            )
        finally:
            self._due.done(uid)

    async def _write(self, managed: ManagedPod) -> None:
        metadata = managed.pod.metadata
        status = managed.desired
        if status is not None and status != managed.written:
            # The uid is a precondition: a pod made anew under the same name is another pod.
            patch = {
                "metadata": {"uid": managed.uid},
                "status": pod_status.as_patch(status, managed.conditions),
            }
            await self._client.patch(
                PODS,
                metadata.name,
                patch,
                metadata.namespace,
                kind=PatchKind.STRATEGIC,
                subresource="status",
            )
            managed.written = status
            managed.conditions = status.get("conditions", managed.conditions)
        if _deletable(managed):
            await self._client.delete(
                PODS, metadata.name, metadata.namespace, grace_period_s=0, uid=managed.uid
            )
            managed.deleted = True


def _deletable(managed: ManagedPod) -> bool:
    return managed.finished and managed.deleting and not managed.deleted
