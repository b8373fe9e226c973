"""Which pods are on which node, and what they refer to: follows the store's pods by their log, when it is asked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aliquot.emulator.node_access import references
from aliquot.emulator.node_access.references import Reference
from aliquot.emulator.registry import PODS
from aliquot.emulator.storage.log import Compacted, Watcher
from aliquot.emulator.storage.records import EventType, Record
from aliquot.emulator.storage.store import Store

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that a node made itself, which is no reason to show the node anything."""

_VOLUMES = "persistentvolumes"
_SLICES, _ATTACHMENTS = "resourceslices.resource.k8s.io", "volumeattachments.storage.k8s.io"
_CATCH_UP = 1024


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Status(msgspec.Struct, rename="camel"):
    resource_claim_statuses: list[dict[str, Any]] = []


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: dict[str, Any]
    status: _Status = msgspec.field(default_factory=_Status)


_pods = msgspec.json.Decoder(_Pod)

Key = tuple[str, str]
"""A pod's namespace and name."""


class NodeGraph:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._watcher: Watcher | None = None
        self._node_of: dict[Key, str] = {}
        self._on: dict[str, dict[Key, frozenset[Reference]]] = {}

    def has_pod(self, node: str, namespace: str, name: str) -> bool:
        self._catch_up()
        return self._node_of.get((namespace, name)) == node

    def leads_to(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Does a pod on `node` refer to that object: itself, or through its volume claims?"""
        self._catch_up()
        pods = self._on.get(node, {})
        if resource == _VOLUMES:
            return any(found == name for _, found in self._volumes(pods))
        wanted = (resource, name)
        if any(of == namespace and wanted in referred for (of, _), referred in pods.items()):
            return True
        return resource == references.SECRETS and any(
            (namespace, name) in references.of_volume(volume) for volume, _ in self._volumes(pods)
        )

    def owns_slice(self, node: str, name: str) -> bool:
        return self._names(_SLICES, name, node)

    def has_attachment(self, node: str, name: str) -> bool:
        return self._names(_ATTACHMENTS, name, node)

    def _names(self, resource: str, name: str, node: str) -> bool:
        found = self._get(resource, "", name)
        return found is not None and (found.get("spec") or {}).get("nodeName") == node

    def _volumes(self, pods: Mapping[Key, frozenset[Reference]]) -> list[tuple[Mapping[str, Any], str]]:
        """PersistentVolumes of the claims that pods refer to, with their names."""
        found = []
        for (namespace, _), referred in pods.items():
            for resource, claim_name in referred:
                if resource != references.VOLUME_CLAIMS:
                    continue
                claim = self._get(resource, namespace, claim_name)
                name = ((claim or {}).get("spec") or {}).get("volumeName", "")
                volume = self._get(_VOLUMES, "", name) if name else None
                if volume is not None:
                    found.append((volume, name))
        return found

    def _get(self, resource: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        record = self._store.get(resource, namespace, name)
        return self._store.view(record) if record is not None else None

    # ---- following the pods ----------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        if self._watcher is None or self._watcher.ended:
            self._begin()
        assert self._watcher is not None
        try:
            while events := self._watcher.take(_CATCH_UP):
                for event in events:
                    self._take(event.record, gone=event.type is EventType.DELETED)
        except Compacted:
            self._begin()

    def _begin(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._node_of.clear()
        self._on.clear()
        listing = self._store.list(PODS)
        for record in listing.records:
            self._take(record, gone=False)
        self._watcher = self._store.watch(PODS, listing.revision)

    def _take(self, record: Record, *, gone: bool) -> None:
        key = (record.namespace, record.name)
        pod = None if gone else _pods.decode(record.body)
        node = pod.spec.get("nodeName", "") if pod is not None else ""
        before = self._node_of.get(key, "")
        if before and before != node:
            del self._node_of[key]
            del self._on[before][key]
        if pod is None or not node:
            return
        self._node_of[key] = node
        mirrored = MIRROR in pod.metadata.annotations
        self._on.setdefault(node, {})[key] = (
            frozenset()
            if mirrored
            else references.of_pod(record.name, pod.spec, pod.status.resource_claim_statuses)
        )
