"""What the API server of a cluster says: one walk through its pages for each kind, and nothing twice."""

from typing import Any, TypeVar

import msgspec

from aliquot.eks.estate import gpu_kinds
from aliquot.eks.estate.objects import Meta, Node, Objects, Pod, Workload
from aliquot.eks.sightings import helm, requests
from aliquot.eks.sightings.live import of_object
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.removals import KUBERNETES, Removals, Served
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    APISERVICES,
    CONFIGMAPS,
    DAEMONSETS,
    DEPLOYMENTS,
    ENDPOINTSLICES,
    GPUNODES,
    JOBS,
    NODES,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    SECRETS,
    SERVICES,
    STATEFULSETS,
    STORAGECLASSES,
    Resource,
)

T = TypeVar("T")

WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)
_ADMISSION = "admissionregistration.k8s.io"
THINGS = (
    PODDISRUPTIONBUDGETS,
    SERVICES,
    ENDPOINTSLICES,
    PERSISTENTVOLUMES,
    STORAGECLASSES,
    APISERVICES,
    GPUNODES,
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource(
        "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
    ),
    Resource(
        _ADMISSION,
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        namespaced=False,
    ),
    Resource(
        _ADMISSION, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False
    ),
    Resource("karpenter.sh", "v1", "nodepools", "NodePool", namespaced=False),
)
_PODS_A_PAGE = 500


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    versions: tuple[_Version, ...] = ()
    preferred: _Version | None = msgspec.field(name="preferredVersion", default=None)


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...] = ()


class Reading:
    """One reading of one cluster. Raises ApiError where the server does not answer at all."""

    def __init__(self, client: Client, removals: Removals) -> None:
        self._client = client
        self._removals = removals
        self.unchecked: list[Unchecked] = []
        self.sightings: list[Sighting] = []
        self.calls: dict[str, int] = {}
        """Pages, by kind."""
        self._missing: list[str] = []
        self._groups: dict[str, tuple[str, ...]] | None = None

    async def read(self) -> Objects:
        self._groups = await self._served_groups()
        nodes = await self._typed(NODES, Node)
        pods = await self._typed(PODS, Pod)
        workloads = {one.kind: await self._typed(one, Workload) for one in WORKLOADS}
        things = {one.kind: await self._plain(one) for one in THINGS}
        for resource in (*gpu_kinds.TOGETHER, *gpu_kinds.STACK):
            things[gpu_kinds.key(resource)] = await self._plain(resource)
        csvs = await self._plain(gpu_kinds.CSVS, label_selector=gpu_kinds.NOT_COPIED)
        things[gpu_kinds.key(gpu_kinds.CSVS)] = csvs
        things[CONFIGMAPS.kind] = await self._plain(CONFIGMAPS, namespace="kube-system")
        for kind, found in workloads.items():
            for one in found:
                self._traces(kind, one.metadata)
        for kind, plain in things.items():
            for thing in plain:
                self._sighted(of_object({"kind": kind.partition(".")[0], **thing}))
        for resource in self._others():
            for thing in await self._plain(resource):
                self._sighted(of_object({"kind": resource.kind, **thing}))
        return Objects(
            nodes=nodes,
            pods=pods,
            workloads=workloads,
            jobs=await self._typed(JOBS, Workload),
            things=things,
            missing=tuple(self._missing),
        )

    async def _served_groups(self) -> dict[str, tuple[str, ...]] | None:
        """With their versions, the preferred first; None: it is not told, so each kind is asked for."""
        try:
            told = msgspec.json.decode(await self._client.get_raw("/apis"), type=_Groups)
        except (errors.ApiError, msgspec.MsgspecError):
            return None
        finally:
            self.calls["/apis"] = 1
        return {
            group.name: tuple(
                dict.fromkeys(
                    one.version for one in (*([group.preferred] if group.preferred else ()), *group.versions)
                )
            )
            for group in told.groups
        }

    async def releases(self) -> None:
        """Helm's, of all namespaces."""
        self._sighted(helm.in_releases(await self._plain(SECRETS, label_selector=helm.SELECTOR)))

    async def requests(self) -> None:
        """What the server was asked for, by its metrics."""
        self.calls["/metrics"] = 1
        try:
            text = (await self._client.get_raw("/metrics")).decode(errors="replace")
        except errors.ApiError as error:
            self.unchecked.append(
                Unchecked(what="deprecated APIs that were asked for (/metrics)", why=str(error))
            )
            return
        kinds = {(row.group, row.resource): row.kind for row in self._removals.rows if row.resource}
        self._sighted(requests.in_metrics(text, kinds))

    def _others(self) -> list[Resource]:
        """Kinds that are read for their traces alone: those of which some version ends, in a version that lasts."""
        known = {one.name for one in (NODES, PODS, CONFIGMAPS, SECRETS, *WORKLOADS, *THINGS)}
        found: dict[str, Resource] = {}
        for row in self._removals.rows:
            if row.component != KUBERNETES or row.served is not Served.YES or not row.resource:
                continue
            use = row.use.split()
            group, _, version = use[0].rpartition("/") if len(use) == 1 else ("", "", "")
            if not version or not group or self._removals.of(use[0], row.kind) is not None:
                continue
            resource = Resource(group, version, row.resource, row.kind)
            if resource.name not in known:
                found.setdefault(resource.name, resource)
        return list(found.values())

    async def _typed(self, resource: Resource, into: type[T]) -> tuple[T, ...]:
        found: list[T] = []
        try:
            async for page in self._client.pages(resource, into=into, page_size=_PODS_A_PAGE):
                self._count(resource)
                found += page.items
        except errors.ApiError as error:
            self._not_read(resource, error)
            return ()
        return tuple(found)

    async def _plain(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str = ""
    ) -> tuple[dict[str, Any], ...]:
        there = gpu_kinds.served(resource, self._groups)
        if there is None:
            self._missing.append(resource.kind)
            return ()
        resource = there
        found: list[dict[str, Any]] = []
        try:
            async for page in self._client.pages(
                resource, namespace, label_selector=label_selector, into=dict[str, Any]
            ):
                self._count(resource)
                found += page.items
        except errors.ApiError as error:
            self._not_read(resource, error)
            return ()
        return tuple(found)

    def _count(self, resource: Resource) -> None:
        self.calls[resource.name] = self.calls.get(resource.name, 0) + 1

    def _not_read(self, resource: Resource, error: errors.ApiError) -> None:
        self._count(resource)
        if isinstance(error, errors.NotFound):
            self._missing.append(resource.kind)
            return
        if isinstance(error, errors.Forbidden | errors.Gone):
            self.unchecked.append(Unchecked(what=f"all {resource.name}", why=str(error)))
            return
        raise error

    def _traces(self, kind: str, meta: Meta) -> None:
        told = {
            "name": meta.name,
            "namespace": meta.namespace,
            "annotations": meta.annotations,
            "managedFields": [
                {"apiVersion": one.api_version, "manager": one.manager} for one in meta.managed_fields
            ],
        }
        self._sighted(of_object({"kind": kind, "metadata": told}))

    def _sighted(self, found: Any) -> None:
        for one in found:
            if isinstance(one, Sighting):
                self.sightings.append(one)
            else:
                self.unchecked.append(one)
