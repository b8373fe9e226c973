"""What a container is made with, gathered from the pod, the device plugins and the API: all that is read for a start.

Must not know when a container starts: that is `pod_plan`'s.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from aliquot.emulator.kubelet import environment, volumes
from aliquot.emulator.kubelet.admission import NodeFacts
from aliquot.emulator.kubelet.device_manager import DeviceManager
from aliquot.emulator.kubelet.devices import AllocationError
from aliquot.emulator.kubelet.environment import Source
from aliquot.emulator.kubelet.managed_pod import ManagedPod
from aliquot.emulator.kubelet.pod_details import PodDetails
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, StartRefused
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS, RUNTIMECLASSES, SECRETS, Resource

JsonObject: TypeAlias = dict[str, Any]

_CONFIG_ERROR = "CreateContainerConfigError"
_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
_RESOURCES = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS, volumes.CLAIM: _CLAIMS}


class ContainerConfigs:
    def __init__(
        self, client: Client, devices: DeviceManager, *, host_ip: str, facts: Callable[[], NodeFacts]
    ) -> None:
        self._client = client
        self._devices = devices
        self._host_ip = host_ip
        self._facts = facts

    async def make(self, managed: ManagedPod, name: str, attempt: int) -> ContainerConfig:
        """Raises StartRefused."""
        pod = managed.pod
        container = next(container for container in managed.containers if container.name == name)
        env_from = managed.details.container(name).env_from or () if managed.details is not None else ()
        claims = managed.claim({})
        claim = next(claim for claim in claims.containers if claim.name == name)
        try:
            options = await self._devices.prepare(claims, claim)
            read = await self._read(environment.sources(container, env_from), pod.metadata.namespace)
            around = environment.Surroundings(
                pod_ip=managed.place.pod_ip if managed.place is not None else "",
                host_ip=self._host_ip,
                allocatable=self._facts().allocatable,
                sources={
                    source: None if found is None else environment.contents(source, found)
                    for source, found in read.items()
                },
            )
            env = environment.environment(pod, container, options.env, around, env_from)
            handler = await self._runtime_handler(pod.spec.runtime_class_name)
        except (AllocationError, environment.ConfigError, errors.ApiError) as error:
            raise StartRefused(_CONFIG_ERROR, str(error)) from error
        command, args = environment.command_line(container, env)
        return ContainerConfig(
            pod_uid=managed.uid,
            pod_namespace=pod.metadata.namespace,
            pod_name=pod.metadata.name,
            name=name,
            attempt=attempt,
            must_end=claim.is_init,
            runtime_handler=handler,
            image=container.image,
            command=command,
            args=args,
            working_dir=container.working_dir,
            env=env,
            options=options,
            annotations=pod.metadata.annotations or {},
        )

    async def missing_volume(self, details: PodDetails) -> str:
        """Why the pod's volumes cannot all be set up; empty when they can. Raises ApiError."""
        wanted = volumes.wanted(details)
        namespace = details.metadata.namespace
        read = await self._read((one.source for one in wanted), namespace)
        failures = (volumes.failure(one, namespace, _has(one, read[one.source])) for one in wanted)
        return next(filter(None, failures), "")

    async def _runtime_handler(self, runtime_class: str) -> str:
        """Raises ApiError and StartRefused."""
        if not runtime_class:
            return ""
        try:
            found = await self._client.get(RUNTIMECLASSES, runtime_class)
        except errors.NotFound:
            text = f'failed to get sandbox runtime: RuntimeClass.node.k8s.io "{runtime_class}" not found'
            raise StartRefused(
                "ContainerCreating", f"Failed to create pod sandbox: {text}", of_sandbox=True
            ) from None
        return str(found["handler"])

    async def _read(self, sources: Iterable[Source], namespace: str) -> dict[Source, JsonObject | None]:
        """Raises ApiError."""
        read: dict[Source, JsonObject | None] = {}
        for source in sources:
            if source not in read:
                try:
                    read[source] = await self._client.get(_RESOURCES[source.kind], source.name, namespace)
                except errors.NotFound:
                    read[source] = None
        return read


def _has(wanted: volumes.Wanted, found: JsonObject | None) -> frozenset[str] | None:
    if found is not None and wanted.source.kind == volumes.CLAIM:
        return frozenset([(found.get("status") or {}).get("phase", "")])
    return _keys(found)


def _keys(found: JsonObject | None) -> frozenset[str] | None:
    return None if found is None else frozenset((found.get("data") or {}) | (found.get("binaryData") or {}))
