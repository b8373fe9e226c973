"""How an API server asks the kubelets of its cluster, which come to be after it: for logs, and to run commands."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.kubelet.remote_fleet import RemoteFleet
from aliquot.emulator.streaming.session import Execution, SessionRefused, Start
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable

_NOT_STARTED = "the nodes have not started yet"


class JoinedKubelets:
    """The API server asks kubelets through this; the fleet that answers is made after it."""

    fleet: Fleet | RemoteFleet | None = None

    def logs(self, pod: Mapping[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        if self.fleet is None:
            raise LogsUnavailable(_NOT_STARTED)
        return self.fleet.logs(pod, options)

    async def exec(self, pod: Mapping[str, Any], container: str, execution: Execution) -> Start:
        return await self._started().exec(pod, container, execution)

    async def attach(self, pod: Mapping[str, Any], container: str, *, stdin: bool) -> Start:
        return await self._started().attach(pod, container, stdin=stdin)

    def _started(self) -> Fleet | RemoteFleet:
        if self.fleet is None:
            raise SessionRefused(503, _NOT_STARTED)
        return self.fleet
