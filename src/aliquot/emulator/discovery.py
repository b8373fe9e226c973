"""Which resources the server has, and how it tells clients so.

The built-in resources are data (`data/resources.json`: a row says in which minors it is there, whether by default,
and when it was deprecated); `UNSERVED` names those that this server leaves out, each with its reason. What is not
served is not advertised: a client that finds a resource here can rely on it. `Catalog` adds custom resources and answers the discovery
paths, in the aggregated form (v2, v2beta1) and in the legacy one.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from aliquot.emulator.http import accept
from aliquot.emulator.versions import STANDARD, SUPPORTED, Surface

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

_STREAMING = "needs a connection into a running container"

# "group/plural" or "group/plural/subresource" (the core group is empty) -> why it is left out. A whole group: "group/*".
UNSERVED: Mapping[str, str] = {
    "/componentstatuses": "deprecated since 1.19",
    "/nodes/proxy": _STREAMING,
    "/pods/portforward": _STREAMING,
    "/pods/proxy": _STREAMING,
    "/pods/resize": "containers keep the resources that they were started with",
    "/services/proxy": _STREAMING,
    "certificates.k8s.io/clustertrustbundles": "no kubelet mounts them",
    "certificates.k8s.io/podcertificaterequests": "no kubelet asks for them",
}

# Served beyond what Kubernetes serves: verbs of a subresource. Our client patches and never sends whole objects.
_ADDED_VERBS: Mapping[str, tuple[str, ...]] = {"/namespaces/finalize": ("patch",)}


@dataclass(frozen=True, slots=True)
class Subresource:
    """`group` and `version` are those of the body that it takes and answers, e.g. autoscaling/v1 Scale."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


class UnknownApi(ValueError):
    """An API version to be turned on that this Kubernetes version does not have, or has on anyway."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource of one version, as discovery tells it."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    custom: bool = False
    warning: str = ""
    """What every answer warns of: the version is deprecated."""
    removed: str = ""
    """The minor that does not serve a deprecated version any more, where that is known."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def qualified(self) -> str:
        """`pods`, `deployments.apps`: the form of error messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


@cache
def builtin(surface: Surface = STANDARD) -> tuple[ResourceType, ...]:
    """The built-in resources that are served, in the server's order of groups.

    Raises UnknownApi when something is to be turned on that cannot be.
    """
    found = optional(surface)
    for api_version in sorted(surface.enabled.difference(found)):
        raise UnknownApi(
            f"{api_version} cannot be turned on in Kubernetes {surface.version}; what can is {', '.join(found)}"
        )
    return tuple(served for found in known(surface) if (served := _served(found)) is not None)


@cache
def known(surface: Surface = STANDARD) -> tuple[ResourceType, ...]:
    """Every resource of that surface, served here or not."""
    return tuple(
        _from_row(group, version, row, surface.minor)
        for group, version, row in _rows()
        if _exists(row, surface.minor)
        and (not row.get("optional") or f"{group}/{version}" in surface.enabled)
    )


def homes(storage: str, api_version: str = "") -> Sequence[str]:
    """Where a resource (`podgroups.scheduling.k8s.io`) is served, at that version or any, for people to read:
    `1.36`, `1.37 with scheduling.k8s.io/v1beta1`. Empty for what is no built-in resource."""
    found: dict[str, None] = {}
    for surface in map(Surface, SUPPORTED):
        rows = [
            (served, row.get("optional"))
            for served, row in _stored_as().get(storage, ())
            if _exists(row, surface.minor) and served == (api_version or served)
        ]
        for served, optional in rows[:1]:
            found[f"{surface.version} with {served}" if optional else surface.version] = None
    return tuple(found)


def readable(storage: str, api_version: str, minor: int) -> bool:
    """Whether a minor can read objects stored at a version: that of an alpha goes with it, others are converted."""
    return "alpha" not in api_version.rpartition("/")[2] or any(
        served == api_version and _exists(row, minor) for served, row in _stored_as().get(storage, ())
    )


def stored_versions(storage: str) -> Sequence[str]:
    """The API versions that objects of a built-in resource may be stored in; none for what is no built-in resource."""
    return tuple(dict.fromkeys(version for version, _ in _stored_as().get(storage, ())))


@cache
def _stored_as() -> Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]:
    """{resource with its group: (API version, row) of each version}."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for group, version, row in _rows():
        qualified = f"{row['plural']}.{group}" if group else row["plural"]
        found.setdefault(qualified, []).append((f"{group}/{version}" if group else version, row))
    return found


def optional(surface: Surface) -> Sequence[str]:
    """The API versions of a Kubernetes version that are off by default, in the order of the data."""
    return tuple(
        dict.fromkeys(
            f"{group}/{version}"
            for group, version, row in _rows()
            if row.get("optional") and _exists(row, surface.minor)
        )
    )


@cache
def _rows() -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    """(group, version, row) in the server's order."""
    file = resources.files("aliquot.emulator") / "data" / "resources.json"
    table: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(file.read_text())
    return tuple(
        (group, version, row)
        for group, versions in table.items()
        for version, rows in versions.items()
        for row in rows
    )


def _exists(row: Mapping[str, Any], minor: int) -> bool:
    """`since` and `until` are the first and the last minor; without them, there is no end on that side."""
    return bool(row.get("since", minor) <= minor <= row.get("until", minor))


def _from_row(group: str, version: str, row: Mapping[str, Any], minor: int) -> ResourceType:
    return ResourceType(
        group=group,
        version=version,
        plural=row["plural"],
        kind=row["kind"],
        singular=row.get("singular", row["kind"].lower()),
        namespaced=row["namespaced"],
        short_names=tuple(row.get("short", ())),
        categories=tuple(row.get("categories", ())),
        verbs=tuple(row.get("verbs", ALL_VERBS)),
        subresources=tuple(
            Subresource(
                name,
                sub["kind"],
                (*_ADDED_VERBS.get(f"{group}/{row['plural']}/{name}", ()), *sub["verbs"]),
                sub.get("group", ""),
                sub.get("version", ""),
            )
            for name, sub in row.get("subresources", {}).items()
            if _exists(sub, minor)
        ),
        warning=_deprecation(group, version, row, minor),
        removed=f"1.{gone}" if (gone := row.get("deprecated", {}).get("gone")) else "",
    )


def _deprecation(group: str, version: str, row: Mapping[str, Any], minor: int) -> str:
    deprecated = row.get("deprecated")
    if deprecated is None or minor < deprecated["since"]:
        return ""
    text = f"{group}/{version}" if group else version
    text += f" {row['kind']} is deprecated in v1.{deprecated['since']}+"
    if "gone" in deprecated:
        text += f", unavailable in v1.{deprecated['gone']}+"
    return f"{text}; use {deprecated['use']}" if "use" in deprecated else text


def _served(resource: ResourceType) -> ResourceType | None:
    path = f"{resource.group}/{resource.plural}"
    if f"{resource.group}/*" in UNSERVED or path in UNSERVED:
        return None
    return replace(
        resource,
        subresources=tuple(sub for sub in resource.subresources if f"{path}/{sub.name}" not in UNSERVED),
    )


def established(crd: Mapping[str, Any]) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def from_crd(crd: Mapping[str, Any]) -> tuple[ResourceType, ...]:
    """The resources of a CustomResourceDefinition, one for each served version, best version first."""
    spec = crd["spec"]
    names = (crd.get("status") or {}).get("acceptedNames") or {}
    if not names.get("plural"):
        names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    served.sort(key=lambda version: version_priority(version["name"]))
    return tuple(
        ResourceType(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=_crd_subresources(names["kind"], version.get("subresources") or {}),
            custom=True,
            warning=_crd_deprecation(spec, version),
        )
        for version in served
    )


def _crd_deprecation(spec: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    if not version.get("deprecated"):
        return ""
    if told := version.get("deprecationWarning"):
        return str(told)
    kind, own = spec["names"]["kind"], version_priority(version["name"])
    better = [
        priority[-1]
        for other in spec["versions"]
        if other.get("served") and not other.get("deprecated")
        if (priority := version_priority(other["name"])) < own
    ]
    instead = f"; use {spec['group']}/{min(better, key=version_priority)} {kind}" if better else ""
    return f"{spec['group']}/{version['name']} {kind} is deprecated{instead}"


def _crd_subresources(kind: str, declared: Mapping[str, Any]) -> tuple[Subresource, ...]:
    verbs = ("get", "patch", "update")
    found = []
    if declared.get("status") is not None:
        found.append(Subresource("status", kind, verbs))
    if declared.get("scale") is not None:
        found.append(Subresource("scale", "Scale", verbs, "autoscaling", "v1"))
    return tuple(found)


_KUBE_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")


def version_priority(version: str) -> tuple[int, int, int, int, str]:
    """Sort key, best first: v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name."""
    match = _KUBE_VERSION.fullmatch(version)
    if match is None:
        return (1, 0, 0, 0, version)
    major, level, minor = match.groups()
    return (0, {None: 0, "beta": 1, "alpha": 2}[level], -int(major), -int(minor or 0), version)


@dataclass(frozen=True, slots=True)
class Answer:
    body: dict[str, Any]
    content_type: str = "application/json"


class Catalog:
    """All resources of a server at one moment; made anew when a CustomResourceDefinition changes.

    `custom` are the resources of established CustomResourceDefinitions. Where a custom resource has the group,
    version and plural of a built-in one, the built-in one stands.
    """

    def __init__(
        self,
        builtin: Iterable[ResourceType],
        custom: Iterable[ResourceType] = (),
        *,
        server_address: str = "",
    ) -> None:
        self._server_address = server_address
        self._by_path: dict[tuple[str, str, str], ResourceType] = {}
        self._groups: dict[str, dict[str, list[ResourceType]]] = {}
        ordered = sorted(
            custom, key=lambda found: (found.group, version_priority(found.version), found.plural)
        )
        for resource in (*builtin, *ordered):
            path = (resource.group, resource.version, resource.plural)
            if path not in self._by_path:
                self._by_path[path] = resource
                versions = self._groups.setdefault(resource.group, {})
                versions.setdefault(resource.version, []).append(resource)

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        return self._by_path.get((group, version, plural))

    def find_version(self, group: str, version: str) -> Sequence[ResourceType]:
        """All that is served at a group and version."""
        return self._groups.get(group, {}).get(version, ())

    def find_kind(self, api_version: str, kind: str) -> ResourceType | None:
        group, _, version = api_version.rpartition("/")
        versions = self._groups.get(group, {})
        return next((found for found in versions.get(version, ()) if found.kind == kind), None)

    def resources(self) -> Sequence[ResourceType]:
        return tuple(self._by_path.values())

    def versions(self, group: str) -> Sequence[str]:
        """The served versions of a group, preferred first; empty when the group is unknown."""
        return tuple(self._groups.get(group, ()))

    def answer(self, path: str, accept_header: str = "") -> Answer | None:
        """The answer to a discovery path (`/`, `/api`, `/apis`, `/api/v1`, `/apis/G`, `/apis/G/V`).

        None when there is nothing at that path.
        """
        match path.rstrip("/").split("/")[1:]:
            case []:
                return Answer({"paths": self._paths()})
            case ["api"]:
                return self._aggregated(accept_header, core=True) or Answer(self._core_versions())
            case ["apis"]:
                return self._aggregated(accept_header, core=False) or Answer(self._group_list())
            case ["api", version] if version in self._groups.get("", {}):
                return Answer(self._resource_list("", version))
            case ["apis", group] if group and group in self._groups:
                return Answer({"kind": "APIGroup", "apiVersion": "v1", **self._group(group)})
            case ["apis", group, version] if group and version in self._groups.get(group, {}):
                return Answer(self._resource_list(group, version))
        return None

    def _paths(self) -> list[str]:
        named = [group for group in self._groups if group]
        paths = ["/api", *(f"/api/{version}" for version in self._groups.get("", ())), "/apis"]
        for group in sorted(named):
            paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in self._groups[group])]
        return [*paths, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]

    def _core_versions(self) -> dict[str, Any]:
        return {
            "kind": "APIVersions",
            "versions": list(self._groups.get("", ())),
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": self._server_address}
            ],
        }

    def _group(self, group: str) -> dict[str, Any]:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._groups[group]
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _group_list(self) -> dict[str, Any]:
        groups = [self._group(group) for group in self._groups if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _resource_list(self, group: str, version: str) -> dict[str, Any]:
        found = self._groups[group][version]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": [row for resource in found for row in _legacy_rows(resource)],
        }

    def _aggregated(self, accept_header: str, *, core: bool) -> Answer | None:
        version = _aggregated_version(accept_header)
        if version is None:
            return None
        body = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": group} if group else {},
                    "versions": [
                        {
                            "version": api_version,
                            "resources": [_aggregated_row(resource) for resource in found],
                            "freshness": "Current",
                        }
                        for api_version, found in versions.items()
                    ],
                }
                for group, versions in self._groups.items()
                if (group == "") == core
            ],
        }
        return Answer(body, f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")


def _aggregated_version(accept_header: str) -> str | None:
    """`v2` or `v2beta1` when the client prefers aggregated discovery, None when it wants the legacy form."""
    for media in accept.parse(accept_header):
        if not media.is_json:
            continue
        if not media.as_:
            return None
        if (media.as_, media.group) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io") and media.version in (
            "v2",
            "v2beta1",
        ):
            return media.version
    return None


def _legacy_rows(resource: ResourceType) -> list[dict[str, Any]]:
    row: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    rows = [row]
    for sub in resource.subresources:
        entry: dict[str, Any] = {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind,
            "verbs": list(sub.verbs),
        }
        if sub.version:
            entry |= {"group": sub.group, "version": sub.version}
        rows.append(entry)
    return rows


def _aggregated_row(resource: ResourceType) -> dict[str, Any]:
    own = {"group": resource.group, "version": resource.version} if resource.custom else {}
    row: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind, **own},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group or own.get("group", ""),
                    "version": sub.version or own.get("version", ""),
                    "kind": sub.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in resource.subresources
        ]
    return row
