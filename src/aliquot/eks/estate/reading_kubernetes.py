"""What the API server of a cluster says: one walk through its pages for each kind, a few kinds at once, and nothing twice.

An object is looked at for its traces as soon as its page is there, and is kept without them: they are most of it.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec

from aliquot.eks.estate import gpu_kinds
from aliquot.eks.estate.gangs import unread
from aliquot.eks.estate.job_kinds import JOB_KINDS
from aliquot.eks.estate.karpenter import NODECLASSES, NODEPOOLS
from aliquot.eks.estate.objects import Crd, Meta, Node, Objects, Pod, Workload
from aliquot.eks.estate.served import served_groups
from aliquot.eks.sightings import helm, requests
from aliquot.eks.sightings.live import LAST_APPLIED, of_object, of_traces
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.removals import ANY_KIND, KUBERNETES, Removals, Served, Stage
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
    NODEPOOLS,
    NODECLASSES,
    Resource("crd.k8s.amazonaws.com", "v1alpha1", "eniconfigs", "ENIConfig", namespaced=False),
)
_NOT_APPLIED = frozenset({"events.events.k8s.io"})
"""They come by the thousand, and are gone within the hour. Who writes them in an old version is in the server's metrics."""
_A_PAGE = 500
_RELEASES_A_PAGE = 25
"""One may have a MiB."""
_AT_ONCE = 4
"""Kinds. Each holds one page; and the server has others to serve."""
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)


class _Traced(msgspec.Struct, frozen=True):
    """As much of an object as tells how it was written."""

    metadata: Meta = Meta()


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    resource: Resource
    into: Any = dict[str, Any]
    key: str = ""
    """Under which its objects are kept. Empty: it is read for its traces alone."""
    namespace: str | None = None
    label_selector: str = ""


class _Walked(msgspec.Struct, kw_only=True):
    """What came of one kind. All are put together at the end, so that their order is the same whoever answers first."""

    resource: Resource
    items: list[Any] = []
    seen: list[Sighting | Unchecked] = []
    pages: int = 0
    is_missing: bool = False
    is_unread: bool = False


class Reading:
    """One reading of one cluster. Raises ApiError where the server does not answer at all."""

    def __init__(self, client: Client, removals: Removals) -> None:
        self._client = client
        self._removals = removals
        self.unchecked: list[Unchecked] = []
        self.sightings: list[Sighting] = []
        self.counters: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        """Pages, by kind."""
        self._missing: list[str] = []
        self._unread: list[str] = []
        self._groups: dict[str, tuple[str, ...]] | None = None

    async def read(self) -> Objects:
        self._groups = await self._served_groups()
        found = await self._walk_all(
            [
                _Wanted(resource=NODES, into=Node, key=NODES.kind),
                _Wanted(resource=PODS, into=Pod, key=PODS.kind),
                *(_Wanted(resource=one, into=Workload, key=one.kind) for one in WORKLOADS),
                _Wanted(resource=JOBS, into=Workload, key=JOBS.kind),
                *_things(),
                _Wanted(resource=CRDS, into=Crd, key=CRDS.kind),
                *(_Wanted(resource=one, into=_Traced) for one in self._others()),
            ]
        )
        crds: tuple[Crd, ...] = found[CRDS.kind]
        pods: tuple[Pod, ...] = found[PODS.kind]
        late = [JOB_KINDS[kind].resource for kind in sorted(unread(pods, (), gpu_kinds.READ))]
        found |= await self._walk_all(
            [
                *(_Wanted(resource=one, into=_Traced) for one in self._of_components(crds)),
                *(_Wanted(resource=one, key=gpu_kinds.key(one)) for one in late),
            ]
        )
        return Objects(
            nodes=found[NODES.kind],
            pods=pods,
            workloads={one.kind: found[one.kind] for one in WORKLOADS},
            jobs=found[JOBS.kind],
            things={key: found[key] for key in (*(one.key for one in _things()), *map(gpu_kinds.key, late))},
            crds=crds,
            missing=tuple(self._missing),
            unread=tuple(self._unread),
        )

    async def _served_groups(self) -> dict[str, tuple[str, ...]] | None:
        """None: it is not told, so each kind is asked for."""
        self.calls["/apis"] = 1
        try:
            # No cluster is without any: it was no answer to what was asked.
            return await served_groups(self._client) or None
        except (errors.ApiError, msgspec.MsgspecError):
            return None

    async def releases(self) -> None:
        """Helm's, of all namespaces: in Secrets, or in ConfigMaps where somebody told it so (HELM_DRIVER)."""
        await self._releases(SECRETS, SECRETS.name, f"type={helm.SECRET_TYPE}")
        await self._releases(CONFIGMAPS, f"{CONFIGMAPS.name} of Helm", "")

    async def _releases(self, resource: Resource, counted: str, field_selector: str) -> None:
        self.calls.setdefault(counted, 0)
        seen: list[Sighting | Unchecked] = []
        pages = self._client.pages(
            resource,
            label_selector=helm.SELECTOR,
            field_selector=field_selector,
            into=dict[str, Any],
            page_size=_RELEASES_A_PAGE,
        )
        try:
            async for page in pages:
                self.calls[counted] += 1
                seen += helm.in_releases({**one, "kind": resource.kind} for one in page.items)
        except errors.ApiError as error:
            self.calls[counted] += 1
            seen = [_not_listed(resource, error)]
        self._sighted(seen)

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
        self.counters = requests.counters(text, requests.SHA1_COUNTERS)

    def _others(self) -> list[Resource]:
        """Kinds that are read for their traces alone: those of which some version ends, in a version that lasts."""
        known = _NOT_APPLIED | {
            one.name for one in (NODES, PODS, JOBS, CONFIGMAPS, SECRETS, CRDS, *WORKLOADS, *THINGS)
        }
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

    def _of_components(self, crds: tuple[Crd, ...]) -> list[Resource]:
        """The same of kinds that a CRD serves, as the cluster itself names them, in the version that is stored."""
        ends = {(row.group, row.kind) for row in self._removals.rows if row.stage is Stage.CRD}
        known = {one.resource.name for one in _things()}
        found = []
        for crd in crds:
            spec = crd.spec
            stored = next((one.name for one in spec.versions if one.storage and one.served), "")
            resource = Resource(
                spec.group, stored, spec.names.plural, spec.names.kind, spec.scope == "Namespaced"
            )
            is_one = (spec.group, spec.names.kind) in ends or (spec.group, ANY_KIND) in ends
            if is_one and stored and resource.name not in known:
                found.append(resource)
        return found

    async def _walk_all(self, wanted: list[_Wanted]) -> dict[str, tuple[Any, ...]]:
        """Objects by key. Raises ApiError."""
        bound = asyncio.Semaphore(_AT_ONCE)

        async def bounded(one: _Wanted) -> _Walked:
            async with bound:
                return await self._walk(one)

        walks = [asyncio.ensure_future(bounded(one)) for one in wanted]
        try:
            walked = await asyncio.gather(*walks)
        finally:
            for walk in walks:
                walk.cancel()
            await asyncio.gather(*walks, return_exceptions=True)
        for one in walked:
            if one.pages:
                name = one.resource.name
                self.calls[name] = self.calls.get(name, 0) + one.pages
            if one.is_missing:
                self._missing.append(one.resource.kind)
            if one.is_unread:
                self._unread.append(one.resource.kind)
            self._sighted(one.seen)
        return {one.key: tuple(found.items) for one, found in zip(wanted, walked, strict=True) if one.key}

    async def _walk(self, wanted: _Wanted) -> _Walked:
        resource = gpu_kinds.served(wanted.resource, self._groups)
        if resource is None:
            return _Walked(resource=wanted.resource, is_missing=True)
        walked = _Walked(resource=resource)
        pages = self._client.pages(
            resource,
            wanted.namespace,
            label_selector=wanted.label_selector,
            into=wanted.into,
            page_size=_A_PAGE,
        )
        try:
            async for page in pages:
                walked.pages += 1
                for one in page.unreadable:
                    walked.seen.append(Unchecked(what=f"{resource.kind} {one.key}", why=one.reason))
                for item in page.items:
                    walked.seen += _traces(resource.kind, item)
                if wanted.key:
                    walked.items += page.items
        except errors.NotFound:
            return _Walked(resource=resource, pages=walked.pages + 1, is_missing=True)
        except errors.ApiError as error:
            # What came before is void, too: it is a part of nobody knows how much.
            seen: list[Sighting | Unchecked] = [_not_listed(resource, error)]
            return _Walked(resource=resource, pages=walked.pages + 1, seen=seen, is_unread=True)
        return walked

    def _sighted(self, found: list[Sighting | Unchecked] | Iterator[Sighting]) -> None:
        for one in found:
            if isinstance(one, Sighting):
                self.sightings.append(one)
            else:
                self.unchecked.append(one)


def _things() -> list[_Wanted]:
    return [
        *(_Wanted(resource=one, key=one.kind) for one in THINGS),
        *(_Wanted(resource=one, key=gpu_kinds.key(one)) for one in (*gpu_kinds.TOGETHER, *gpu_kinds.STACK)),
        _Wanted(
            resource=gpu_kinds.CSVS,
            key=gpu_kinds.key(gpu_kinds.CSVS),
            label_selector=gpu_kinds.NOT_COPIED,
        ),
        _Wanted(resource=CONFIGMAPS, key=CONFIGMAPS.kind, namespace="kube-system"),
    ]


def _not_listed(resource: Resource, error: errors.ApiError) -> Unchecked:
    """Raises the error where it is of the server, not of the kind."""
    if isinstance(error, errors.Unauthorized) or error.code == 0:
        raise error
    passes = isinstance(error, errors.TooManyRequests | errors.Unavailable)
    return Unchecked(what=f"all {resource.name}", why=str(error), passes=passes)


def _traces(kind: str, item: Any) -> list[Sighting | Unchecked]:
    """What it says of how it was written, which it has no more when this returns. Pods and nodes are written by controllers."""
    match item:
        case Workload() | Crd() | _Traced():
            meta = item.metadata
            managers = ((one.api_version, one.manager) for one in meta.managed_fields)
            found = list(of_traces(kind, meta.namespace, meta.name, meta.annotations, managers, meta.labels))
            meta.managed_fields.clear()
            annotations = meta.annotations
        case Pod() | Node():
            found = []
            item.metadata.managed_fields.clear()
            annotations = item.metadata.annotations
        case _:
            found = list(of_object({"kind": kind, **item}))
            metadata = item.get("metadata") or {}
            metadata.pop("managedFields", None)
            annotations = metadata.get("annotations") or {}
    for one in LAST_APPLIED:
        annotations.pop(one, None)
    return found
