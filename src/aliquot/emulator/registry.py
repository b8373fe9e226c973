"""What is served now: the built-in resources, and those of the established CustomResourceDefinitions.

A `Served` is everything that a handler must know of one resource at one version. The registry is worked out anew
from the store whenever a CRD changes, in the same turn of the loop as the change; what is built in is worked out once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aliquot.emulator import discovery, tables
from aliquot.emulator.discovery import Catalog, ResourceType
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.openapi import OpenApi
from aliquot.emulator.tables import Printer
from aliquot.emulator.versions import STANDARD, Surface

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
BINDINGS = "bindings"
"""Sent, and never stored."""
CLAIMS = "persistentvolumeclaims"
NAMESPACES = "namespaces"
PODS = "pods"
SERVICES = "services"
VOLUMES = "persistentvolumes"
STORAGE_CLASSES = "storageclasses.storage.k8s.io"

_EVENTS_GROUP = "events.k8s.io"


@dataclass(frozen=True, slots=True)
class Served:
    resource: ResourceType
    storage: str
    """The store's name for it: the same for all versions of a resource, and for both groups of events."""
    storage_api_version: str
    native: bool
    """Stored objects are in the form that this version shows: their bytes can be sent as they are."""
    schema: Schema
    printer: Printer
    crd: Mapping[str, Any] | None = None
    selectable: tuple[str, ...] = ()
    """A custom resource's selectableFields."""

    @property
    def has_status(self) -> bool:
        return self.resource.subresource("status") is not None

    @property
    def crd_version(self) -> Mapping[str, Any]:
        """The entry of the CRD's `spec.versions`; empty for a built-in resource."""
        return _version_of(self.crd, self.resource.version) if self.crd is not None else {}

    def namespace(self, asked: str) -> str:
        """The namespace of a key in the store."""
        return asked if self.resource.namespaced else ""


class Registry:
    def __init__(self, surface: Surface = STANDARD) -> None:
        """Raises discovery.UnknownApi."""
        self._surface = surface
        self._builtin = discovery.builtin(surface)
        self.schemas = Catalogue(surface)
        self.openapi = OpenApi(self.schemas)
        self._served: dict[tuple[str, str, str], Served] = {}
        self._custom: dict[str, str] = {}
        self.catalog = Catalog(self._builtin)
        self.refresh(())

    def refresh(self, crds: Iterable[Mapping[str, Any]]) -> None:
        """Takes in the CRDs that there are; those not established are not served."""
        established = {crd["metadata"]["name"]: crd for crd in crds if discovery.established(crd)}
        revisions = {name: crd["metadata"]["resourceVersion"] for name, crd in established.items()}
        for name in self._custom:
            if name not in revisions:
                self.schemas.remove_crd(name)
        for name, crd in established.items():
            if self._custom.get(name) != revisions[name]:
                self.schemas.add_crd(dict(crd))
        self._custom = revisions
        custom = [(resource, crd) for crd in established.values() for resource in discovery.from_crd(crd)]
        self.catalog = Catalog(self._builtin, [resource for resource, _ in custom])
        owners = {(resource.group, resource.version, resource.plural): crd for resource, crd in custom}
        self._served = dict(_built_in(self._surface))
        for resource in self.catalog.resources():
            key = (resource.group, resource.version, resource.plural)
            schema = self.schemas.get(resource.group, resource.version, resource.kind)
            if resource.custom and schema is not None:
                self._served[key] = _custom(resource, owners[key], schema)
        self.openapi.set_resources(found.resource for found in self._served.values())

    def find(self, group: str, version: str, plural: str) -> Served | None:
        return self._served.get((group, version, plural))

    def stored_as(self, storage: str) -> Served | None:
        """The built-in resource that is stored under a name, at the version that it is stored in."""
        return next(
            (found for found in self._served.values() if found.storage == storage and found.native), None
        )

    def equivalents(self, served: Served) -> list[Served]:
        """The same resource in every version of it, itself included."""
        return [one for one in self._served.values() if one.storage == served.storage]

    def schema(self, group: str, version: str, kind: str) -> Schema:
        """Of a built-in kind, served as a resource or not. Raises KeyError."""
        found = self.schemas.get(group, version, kind)
        if found is None:
            raise KeyError(f"{group}/{version} {kind}")
        return found

    def find_kind(self, api_version: str, kind: str) -> Served | None:
        resource = self.catalog.find_kind(api_version, kind)
        return self.find(resource.group, resource.version, resource.plural) if resource is not None else None


def _version_of(crd: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in crd["spec"]["versions"] if one["name"] == name)
    return found


@cache
def _built_in(surface: Surface) -> Mapping[tuple[str, str, str], Served]:
    """By group, version and plural."""
    schemas = Catalogue(surface)
    preferred: dict[str, str] = {}
    found = {}
    for resource in discovery.builtin(surface):
        preferred.setdefault(resource.qualified, resource.api_version)
        schema = schemas.get(resource.group, resource.version, resource.kind)
        if schema is None:
            continue
        event = resource.group == _EVENTS_GROUP
        stored = "v1" if event else preferred[resource.qualified]
        found[resource.group, resource.version, resource.plural] = Served(
            resource=resource,
            storage="events" if event else resource.qualified,
            storage_api_version=stored,
            native=stored == resource.api_version,
            schema=schema,
            printer=tables.printer(resource, minor=surface.minor),
        )
    return found


def _custom(resource: ResourceType, crd: Mapping[str, Any], schema: Schema) -> Served:
    version = _version_of(crd, resource.version)
    stored = next(one["name"] for one in crd["spec"]["versions"] if one.get("storage"))
    return Served(
        resource=resource,
        storage=resource.qualified,
        storage_api_version=f"{resource.group}/{stored}",
        # Nothing was ever stored but by this version, with the schema that it has now.
        native=len(crd["spec"]["versions"]) == 1 and crd["metadata"]["generation"] == 1,
        schema=schema,
        printer=tables.printer(resource, version),
        crd=crd,
        selectable=tuple(one["jsonPath"] for one in version.get("selectableFields") or ()),
    )
