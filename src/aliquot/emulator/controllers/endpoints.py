"""Endpoints and EndpointSlices of Services with a selector: the shell around `service_endpoints`."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from aliquot.emulator.controllers import pods, service_endpoints
from aliquot.emulator.controllers.expectations import Expectations
from aliquot.emulator.controllers.pods import NAMESPACE_INDEX
from aliquot.emulator.controllers.service_endpoints import Ports
from aliquot.emulator.controllers.service_types import Endpoint, Endpoints, EndpointSlice, Service
from aliquot.kube import errors, selectors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import ENDPOINTS, ENDPOINTSLICES, key, split_key

SERVICE_INDEX = "service"


def _service(found: EndpointSlice) -> Iterable[str]:
    name = _service_of(found)
    return (name,) if name else ()


def _namespace(service: Service) -> Iterable[str]:
    return (service.metadata.namespace,)


SLICE_INDEXES: Mapping[str, Callable[[EndpointSlice], Iterable[str]]] = {SERVICE_INDEX: _service}
"""By the key of their Service, those of this controller."""

SERVICE_INDEXES: Mapping[str, Callable[[Service], Iterable[str]]] = {NAMESPACE_INDEX: _namespace}


class ServiceEndpoints:
    """`services` has `SERVICE_INDEXES`, `slices` has `SLICE_INDEXES`, `pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        services: Cache[Service],
        slices: Cache[EndpointSlice],
        endpoints: Cache[Endpoints],
        pod_cache: Cache[Pod],
        nodes: Cache[Node],
    ) -> None:
        self._client = client
        self._services = services
        self._slices = slices
        self._endpoints = endpoints
        self._pods = pod_cache
        self._nodes = nodes
        self._sizes: dict[str, int] = {}
        # Slices have generated names: one made twice would stay.
        self._expected = Expectations(slices.get)
        slices.subscribe(self._expected.observe)
        self.controller = Controller("endpoints", self.reconcile, rng=rng, workers=2)
        self.controller.watch(services)
        self.controller.watch(endpoints)
        slices.subscribe(self._slice_changed)
        pod_cache.subscribe(self._pod_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for found in (old, new):
            if found is not None and (name := _service_of(found)):
                self.controller.enqueue(name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        either = new if new is not None else old
        if either is None:
            return
        for service in self._services.indexed(NAMESPACE_INDEX, either.metadata.namespace):
            if any(pod is not None and _selects(service, pod) for pod in (old, new)):
                name = key(service)
                self.controller.enqueue_after(name, pods.gather_s(self._sizes.get(name, 0)))

    async def reconcile(self, name: str) -> float | None:
        service = self._services.get(name)
        if service is None:
            self._sizes.pop(name, None)
            self._expected.forget(name)
            await self._drop_endpoints(name)
            return None
        if not service_endpoints.is_ours(service) or service.metadata.deletion_timestamp is not None:
            return None
        there = self._pods.indexed(NAMESPACE_INDEX, service.metadata.namespace)
        selected = [pod for pod in there if _selects(service, pod)]
        self._sizes[name] = len(selected)
        wanted = service_endpoints.endpoints(service, selected, self._zones(selected))
        unseen_s = self._expected.pending_s(name)
        try:
            if not unseen_s:
                await self._write_slices(service, wanted)
            await self._write_endpoints(service, wanted)
        except errors.NotFound:
            # Something went away meanwhile. The caches will show it, and that is another call.
            pass
        return unseen_s or None

    def _zones(self, selected: Sequence[Pod]) -> dict[str, str]:
        zones: dict[str, str] = {}
        for name in {pod.spec.node_name for pod in selected}:
            node = self._nodes.get(name)
            zone = (
                (node.metadata.labels or {}).get(service_endpoints.ZONE_LABEL) if node is not None else None
            )
            if zone:
                zones[name] = zone
        return zones

    async def _write_slices(self, service: Service, wanted: Mapping[Ports, Sequence[Endpoint]]) -> None:
        namespace = service.metadata.namespace
        held = [
            found
            for found in self._slices.indexed(SERVICE_INDEX, key(service))
            if found.metadata.deletion_timestamp is None
        ]
        plan = service_endpoints.plan_slices(service, wanted, held)
        for body in plan.create:
            made = await self._client.create(ENDPOINTSLICES, body, namespace, into=EndpointSlice)
            self._expected.created(key(service), made)
        for found, patch in plan.update:
            await self._client.patch(ENDPOINTSLICES, found.metadata.name, patch, namespace)
        for found in plan.delete:
            await self._client.delete(ENDPOINTSLICES, found.metadata.name, namespace, uid=found.metadata.uid)
            self._expected.deleted(key(service), found)

    async def _write_endpoints(self, service: Service, wanted: Mapping[Ports, Sequence[Endpoint]]) -> None:
        name, namespace = service.metadata.name, service.metadata.namespace
        subsets = service_endpoints.subsets(service, wanted)
        labels = service_endpoints.endpoints_labels(service)
        there = self._endpoints.get(key(service))
        if there is not None and (there.subsets or ()) == subsets and there.metadata.labels == labels:
            return
        body = {
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "subsets": service_endpoints.subsets_json(subsets),
        }
        if there is None:
            try:
                await self._client.create(ENDPOINTS, body, namespace)
                return
            except errors.AlreadyExists:
                pass
        await self._client.patch(ENDPOINTS, name, body, namespace)

    async def _drop_endpoints(self, name: str) -> None:
        """Endpoints are named for their Service and not owned by it."""
        there = self._endpoints.get(name)
        labels = (there.metadata.labels or {}) if there is not None else {}
        if there is None or service_endpoints.ENDPOINTS_MANAGER_LABEL not in labels:
            return
        namespace, short = split_key(name)
        try:
            await self._client.delete(ENDPOINTS, short, namespace, uid=there.metadata.uid)
        except errors.NotFound:
            return


def _service_of(found: EndpointSlice) -> str:
    """The key of its Service, empty when the slice is somebody else's."""
    labels = found.metadata.labels or {}
    if labels.get(service_endpoints.SLICE_MANAGER_LABEL) != service_endpoints.SLICE_MANAGER:
        return ""
    name = labels.get(service_endpoints.SERVICE_LABEL, "")
    return f"{found.metadata.namespace}/{name}" if name else ""


def _selects(service: Service, pod: Pod) -> bool:
    return bool(service.spec.selector) and selectors.from_set(service.spec.selector).matches(
        pod.metadata.labels
    )
