"""Runs the probes of a node's containers, each at its own pace, and keeps what they say. Decides nothing: `probes` does.

A container that was running already when kubelet started keeps the readiness that its status shows until its probe
says otherwise, and its probes begin at a random moment of their period, so that they do not all begin at once.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from aliquot.clock import Clock
from aliquot.emulator.kubelet import probes
from aliquot.emulator.kubelet.managed_pod import ManagedPod
from aliquot.emulator.kubelet.pod_details import ContainerDetails, Probe
from aliquot.emulator.kubelet.probes import Health, ProbeKind, Verdict
from aliquot.emulator.kubelet.runtimes.base import (
    ContainerRecord,
    ExecCheck,
    GrpcCheck,
    HttpCheck,
    ProbeRequest,
    ProbeResult,
    Runtime,
    TcpCheck,
)

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Probed:
    """One run of one container."""

    pod: ManagedPod
    container: ContainerDetails
    record: ContainerRecord
    verdicts: dict[ProbeKind, tuple[Probe, Verdict]]
    tasks: dict[ProbeKind, asyncio.Task[None]] = field(default_factory=dict)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the startup probe has passed."""


class Prober:
    """`changed` gets the pod whose health is another now; `tell` a pod and what went wrong with a probe of it."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        clock: Clock,
        rng: random.Random,
        changed: Callable[[ManagedPod], None],
        tell: Callable[[ManagedPod, str], None],
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._tell = tell
        self._began_at = clock.now()
        self._probed: dict[str, _Probed] = {}
        """By container id."""

    def health(self, container_id: str) -> Health:
        probed = self._probed.get(container_id)
        return probes.WELL if probed is None else probes.health(probed.verdicts)

    def follow(self, pod: ManagedPod, runs: Iterable[ContainerRecord], *, ending: bool) -> None:
        """These are the pod's runs now. While it ends, only its readiness is still asked."""
        known = {record.id: record for record in runs}
        for container_id, probed in list(self._probed.items()):
            if probed.pod is pod and container_id not in known:
                self._stop(probed)
                del self._probed[container_id]
        for record in known.values():
            if not record.running:
                if record.id in self._probed:
                    self._stop(self._probed[record.id])
            elif record.id in self._probed:
                if ending:
                    self._stop(self._probed[record.id], ProbeKind.STARTUP, ProbeKind.LIVENESS)
            elif not ending:
                self._begin(pod, record)

    def close(self) -> None:
        for probed in self._probed.values():
            self._stop(probed)

    def _begin(self, pod: ManagedPod, record: ContainerRecord) -> None:
        if pod.details is None:
            return
        container = pod.details.container(record.name)
        wanted = probes.probes(container)
        if not wanted or pod.is_ordinary_init(record.name):
            return
        found = record.started_at < self._began_at
        status = pod.container_status(record) if found else None
        known = {
            ProbeKind.STARTUP: status.started or None if status is not None else None,
            ProbeKind.READINESS: status.ready if status is not None else None,
        }
        verdicts = {
            kind: (probe, probes.first_verdict(kind, known=known.get(kind))) for kind, probe in wanted.items()
        }
        probed = self._probed[record.id] = _Probed(pod, container, record, verdicts)
        for kind, probe in wanted.items():
            wait_s = self._rng.random() * probe.period_seconds if found else 0.0
            probed.tasks[kind] = asyncio.create_task(self._keep_asking(probed, kind, probe, wait_s))

    @staticmethod
    def _stop(probed: _Probed, *kinds: ProbeKind) -> None:
        """Without `kinds`, all of them."""
        for kind in kinds or tuple(probed.tasks):
            task = probed.tasks.pop(kind, None)
            if task is not None:
                task.cancel()

    async def _keep_asking(self, probed: _Probed, kind: ProbeKind, probe: Probe, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + wait_s
        while True:
            await self._until(due, probed, kind)
            due = loop.time() + probe.period_seconds
            try:
                await self._ask(probed, kind, probe)
            except Exception:
                _log.exception(
                    "probe not run", pod=probed.pod.label, container=probed.record.name, probe=kind
                )

    @staticmethod
    async def _until(due: float, probed: _Probed, kind: ProbeKind) -> None:
        """Readiness does not wait for its time when the container has just started up."""
        loop = asyncio.get_running_loop()
        if kind is ProbeKind.READINESS and not probed.started.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - loop.time()):
                    await probed.started.wait()
            return
        await asyncio.sleep(due - loop.time())

    async def _ask(self, probed: _Probed, kind: ProbeKind, probe: Probe) -> None:
        _, verdict = probed.verdicts[kind]
        running_s = self._clock.now() - probed.record.started_at
        started = probes.health(probed.verdicts).started
        if not probes.asks(kind, probe, verdict, running_s=running_s, started=started):
            return
        result = await self._result(probed, kind, probe)
        if result.success is None:
            self._tell(probed.pod, f"{kind} probe errored and resulted in unknown state: {result.text}")
            return
        if not result.success:
            self._tell(probed.pod, f"{kind} probe failed: {result.text}")
        before = probes.health(probed.verdicts)
        probed.verdicts[kind] = probe, probes.after(kind, probe, verdict, result.success)
        after = probes.health(probed.verdicts)
        if after.started:
            probed.started.set()
        if after != before:
            self._changed(probed.pod)

    async def _result(self, probed: _Probed, kind: ProbeKind, probe: Probe) -> ProbeResult:
        try:
            check = _check(probe, probed.container)
        except LookupError as error:
            return ProbeResult(None, str(error))
        annotations = probed.pod.pod.metadata.annotations or {}
        request = ProbeRequest(kind, check, float(probe.timeout_seconds), annotations)
        return await self._runtime.probe(probed.record.id, request)


def _check(probe: Probe, container: ContainerDetails) -> ExecCheck | HttpCheck | TcpCheck | GrpcCheck:
    """Raises LookupError for a port that has no number."""
    if probe.exec is not None:
        return ExecCheck(probe.exec.command)
    if (get := probe.http_get) is not None:
        headers = tuple((header.name, header.value) for header in get.http_headers or ())
        return HttpCheck(_port(get.port, container), get.host, get.path, get.scheme.lower(), headers)
    if (tcp := probe.tcp_socket) is not None:
        return TcpCheck(_port(tcp.port, container), tcp.host)
    if probe.grpc is not None:
        return GrpcCheck(probe.grpc.port, probe.grpc.service)
    raise LookupError(f"missing probe handler for {container.name}")


def _port(port: int | str, container: ContainerDetails) -> int:
    """Raises LookupError."""
    if isinstance(port, int):
        return port
    for known in container.ports or ():
        if known.name == port:
            return known.container_port
    if port.isdecimal():
        return int(port)
    raise LookupError(f"port {port} not found")
