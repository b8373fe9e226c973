"""What may be asked of the resources of one API version: its paths and their operations, in no document's form yet.

As kube-apiserver publishes them, for what this server serves: it answers JSON alone and has no `/watch/` paths. Where
Kubernetes' own documents name another answer than its server gives (a Binding, where it answers a Status), this says
what comes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from aliquot.emulator.discovery import ResourceType, Subresource
from aliquot.emulator.kinds.deleted import shown_when_gone
from aliquot.emulator.schema.definitions import GroupVersionKind

Content: TypeAlias = GroupVersionKind | str
"""A kind, or a definition by its name; TEXT is neither."""

TEXT = ""
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
LIST_META = f"{_META}.ListMeta"
_DELETE_OPTIONS = f"{_META}.DeleteOptions"
_PATCH = f"{_META}.Patch"
_RESOURCE_LIST = f"{_META}.APIResourceList"
_STATUS = f"{_META}.Status"

_JSON = "application/json"
_ANY = "*/*"
_LIST_MEDIA = (_JSON, "application/json;stream=watch")
_CUSTOM_BODY = (_JSON, "application/yaml")
_CUSTOM_PATCH = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
_BUILT_IN_PATCH = (*_CUSTOM_PATCH, "application/strategic-merge-patch+json")

_ANSWERED_BY_STATUS = ("binding", "eviction")


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: Literal["string", "integer", "boolean"]
    prose: str
    in_path: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    content: Content
    media: Sequence[str]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    id: str
    tag: str
    prose: str
    answer: Content
    codes: Sequence[int] = (200,)
    media: Sequence[str] = (_JSON,)
    """Of the answer."""
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    action: str = ""
    kind: GroupVersionKind | None = None


@dataclass(frozen=True, slots=True)
class Path:
    path: str
    parameters: Sequence[Parameter]
    """What all of its operations take."""
    operations: Sequence[Operation]


def root(resource: ResourceType) -> str:
    """`api/v1`, `apis/apps/v1`: where an API version is, and the name of its document."""
    version = resource.version
    return f"apis/{resource.group}/{version}" if resource.group else f"api/{version}"


def paths(resources: Iterable[ResourceType]) -> Sequence[Path]:
    """Of the resources of one API version, sorted."""
    found: dict[str, Path] = {}
    for resource in resources:
        if not resource.custom:
            start = f"/{root(resource)}/"
            found[start] = Path(start, (), [_Described(resource).discovery()])
        found |= {path.path: _arranged(path) for path in _of_resource(resource) if path.operations}
    return [found[path] for path in sorted(found)]


def _arranged(path: Path) -> Path:
    """Parameters by name, and those that all operations have said once, for the path."""
    first, *others = [operation.parameters for operation in path.operations]
    shared = [one for one in first if all(one in other for other in others)]
    operations = [
        replace(one, parameters=_sorted(each for each in one.parameters if each not in shared))
        for one in path.operations
    ]
    return Path(path.path, _sorted([*path.parameters, *shared]), operations)


def _sorted(parameters: Iterable[Parameter]) -> Sequence[Parameter]:
    return sorted(parameters, key=lambda one: one.name)


# --- one resource ---


def _of_resource(resource: ResourceType) -> Iterator[Path]:
    """One without operations where there is nothing to be asked."""
    described = _Described(resource)
    placed: tuple[Parameter, ...] = (_PRETTY,)
    collection = f"/{root(resource)}/{resource.plural}"
    if resource.namespaced:
        yield Path(collection, placed, [described.list(everywhere=True)] if "list" in resource.verbs else [])
        collection = f"/{root(resource)}/namespaces/{{namespace}}/{resource.plural}"
        placed = (_NAMESPACE, _PRETTY)
    of_all = {
        "list": described.list,
        "create": described.create,
        "deletecollection": described.delete_collection,
    }
    yield Path(collection, placed, [make() for verb, make in of_all.items() if verb in resource.verbs])
    item, placed = f"{collection}/{{name}}", (_NAME, *placed)
    of_one = {
        "get": described.read,
        "update": described.replace,
        "delete": described.delete,
        "patch": described.patch,
    }
    yield Path(item, placed, [make() for verb, make in of_one.items() if verb in resource.verbs])
    for sub in resource.subresources:
        more = _SUBRESOURCE_QUERY.get(sub.name, ())
        at = [one for one in placed if one is not _PRETTY or not _connects(sub)]
        yield Path(f"{item}/{sub.name}", (*at, *more), list(_of_subresource(resource, sub)))


def _of_subresource(resource: ResourceType, sub: Subresource) -> Iterator[Operation]:
    described = _Described(resource, sub)
    if _connects(sub):
        yield from (described.connect(_METHODS[verb]) for verb in sorted(sub.verbs, reverse=True))
    elif sub.name == "log":
        yield described.read_log()
    else:
        makers = {
            "get": described.read,
            "update": described.replace,
            "create": described.create,
            "patch": described.patch,
        }
        yield from (make() for verb, make in makers.items() if verb in sub.verbs)


def _connects(sub: Subresource) -> bool:
    """Into a container or a service: what is sent and answered is no object."""
    return sub.kind.endswith("Options")


class _Described:
    """A resource, or a subresource of it, in the words of its operations."""

    def __init__(self, resource: ResourceType, sub: Subresource | None = None) -> None:
        self._resource = resource
        self._sub = sub.name if sub is not None else ""
        kind = (resource.group, resource.version, resource.kind)
        self._content = kind
        if sub is not None:
            own = (sub.group, sub.version) if sub.version else (resource.group, resource.version)
            self._content = (*own, sub.kind)
        self._kind = kind if resource.custom else self._content
        self._of_it = (
            f"{self._sub} of the specified {resource.kind}" if sub else f"the specified {resource.kind}"
        )

    def discovery(self) -> Operation:
        return Operation(
            "get",
            f"get{self._version_id}APIResources",
            self._tag,
            "get available resources",
            _RESOURCE_LIST,
        )

    def list(self, *, everywhere: bool = False) -> Operation:
        """`everywhere` is in all namespaces."""
        return self._operation(
            "get",
            "list",
            f"list or watch objects of kind {self._resource.kind}",
            self._list_kind,
            everywhere=everywhere,
            action="list",
            media=_LIST_MEDIA,
            parameters=_LIST_QUERY,
        )

    def create(self) -> Operation:
        return self._operation(
            "post",
            "create",
            f"create {self._sub} of {self._a_kind}" if self._sub else f"create {self._a_kind}",
            _STATUS if self._sub in _ANSWERED_BY_STATUS else self._content,
            codes=(200, 201, 202),
            parameters=_WRITE_QUERY,
            body=self._body(self._content),
        )

    def delete_collection(self) -> Operation:
        return self._operation(
            "delete",
            "delete",
            f"delete collection of {self._resource.kind}",
            self._list_kind,
            middle="Collection",
            action="deletecollection",
            parameters=(*_SELECTING_QUERY, *_DELETE_QUERY),
            body=self._body(_DELETE_OPTIONS, required=False),
        )

    def read(self) -> Operation:
        # kube-apiserver documents the revision of a read for custom resources alone, and takes it for all.
        query = (_RESOURCE_VERSION,) if self._resource.custom else ()
        return self._operation("get", "read", f"read {self._of_it}", self._content, parameters=query)

    def read_log(self) -> Operation:
        return self._operation("get", "read", f"read {self._of_it}", TEXT, media=("text/plain",))

    def replace(self) -> Operation:
        return self._operation(
            "put",
            "replace",
            f"replace {self._of_it}",
            self._content,
            codes=(200, 201),
            parameters=_WRITE_QUERY,
            body=self._body(self._content),
        )

    def delete(self) -> Operation:
        return self._operation(
            "delete",
            "delete",
            f"delete {self._a_kind}",
            self._content if shown_when_gone(self._resource.qualified) else _STATUS,
            codes=(200, 202),
            parameters=_DELETE_QUERY,
            body=self._body(_DELETE_OPTIONS, required=False),
        )

    def patch(self) -> Operation:
        return self._operation(
            "patch",
            "patch",
            f"partially update {self._of_it}",
            self._content,
            codes=(200, 201),
            parameters=(*_WRITE_QUERY, _FORCE),
            body=Body(_PATCH, _CUSTOM_PATCH if self._resource.custom else _BUILT_IN_PATCH),
        )

    def connect(self, method: str) -> Operation:
        return self._operation(
            method,
            "connect",
            f"connect {method.upper()} requests to {self._sub} of {self._resource.kind}",
            TEXT,
            middle=method.capitalize(),
            action="connect",
            media=(_ANY,),
        )

    def _operation(
        self,
        method: str,
        word: str,
        prose: str,
        answer: Content,
        *,
        middle: str = "",
        everywhere: bool = False,
        action: str = "",
        **more: Any,
    ) -> Operation:
        scope = "Namespaced" if self._resource.namespaced and not everywhere else ""
        ending = "ForAllNamespaces" if everywhere else ""
        what = f"{scope}{self._resource.kind}{self._sub.capitalize()}{ending}"
        return Operation(
            method,
            f"{word}{self._version_id}{middle}{what}",
            self._tag,
            prose,
            answer,
            action=action or method,
            kind=self._kind,
            **more,
        )

    def _body(self, content: Content, *, required: bool = True) -> Body:
        return Body(content, _CUSTOM_BODY if self._resource.custom else (_ANY,), required)

    @property
    def _a_kind(self) -> str:
        kind = self._resource.kind
        return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"

    @property
    def _list_kind(self) -> GroupVersionKind:
        return self._resource.group, self._resource.version, self._resource.list_kind

    @property
    def _version_id(self) -> str:
        """`CoreV1`, `RbacAuthorizationV1`."""
        return _camel(self._resource.group) + self._resource.version.capitalize()

    @property
    def _tag(self) -> str:
        """`core_v1`, `rbacAuthorization_v1`."""
        camel = _camel(self._resource.group)
        return f"{camel[:1].lower()}{camel[1:]}_{self._resource.version}"


def _camel(group: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", group.removesuffix(".k8s.io") or "core")
    return "".join(word[:1].upper() + word[1:] for word in words)


# --- parameters ---

_METHODS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}

_NAME = Parameter("name", "string", "name of the object", in_path=True)
_NAMESPACE = Parameter("namespace", "string", "namespace of the object", in_path=True)
_PRETTY = Parameter("pretty", "string", "Print the answer for people to read.")
_DRY_RUN = Parameter("dryRun", "string", "`All`: go through every step, and store nothing.")
_FORCE = Parameter("force", "boolean", "Apply: take fields over that other managers own.")
_RESOURCE_VERSION = Parameter("resourceVersion", "string", "The revision that is asked for.")
_WRITE_QUERY = (
    _DRY_RUN,
    Parameter("fieldManager", "string", "Who makes the change, in at most 128 printable characters."),
    Parameter(
        "fieldValidation",
        "string",
        "What unknown and duplicate fields come to: `Ignore`, `Warn` (in headers) or `Strict` (a refusal).",
    ),
)
_DELETE_QUERY = (
    _DRY_RUN,
    Parameter("gracePeriodSeconds", "integer", "Seconds until the object is gone; 0 is at once."),
    Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    Parameter(
        "propagationPolicy",
        "string",
        "What becomes of dependents: `Orphan`, `Background` or `Foreground`.",
    ),
)
_SELECTING_QUERY = (
    Parameter("continue", "string", "Where a list that came in parts goes on."),
    Parameter("fieldSelector", "string", "Only objects with these fields."),
    Parameter("labelSelector", "string", "Only objects with these labels."),
    Parameter("limit", "integer", "The most objects in one answer."),
    _RESOURCE_VERSION,
    Parameter("resourceVersionMatch", "string", "How resourceVersion is meant: `Exact` or `NotOlderThan`."),
    Parameter("sendInitialEvents", "boolean", "Begin a watch with what there is, and a bookmark after it."),
    Parameter("timeoutSeconds", "integer", "End the call after so long."),
)
_LIST_QUERY = (
    *_SELECTING_QUERY,
    Parameter("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
    Parameter("watch", "boolean", "Send changes as they happen."),
)
_CONTAINER = Parameter("container", "string", "Of the pod's containers, this one.")
_ATTACH_QUERY = (
    _CONTAINER,
    Parameter("stderr", "boolean", "Send standard error."),
    Parameter("stdin", "boolean", "Take standard input."),
    Parameter("stdout", "boolean", "Send standard output."),
    Parameter("tty", "boolean", "On a terminal."),
)
_SUBRESOURCE_QUERY = {
    "attach": _ATTACH_QUERY,
    "exec": (Parameter("command", "string", "The command, one word each time."), *_ATTACH_QUERY),
    "log": (
        _CONTAINER,
        Parameter("follow", "boolean", "Go on with what is written from now on."),
        Parameter("insecureSkipTLSVerifyBackend", "boolean", "Do not verify kubelet's certificate."),
        Parameter("limitBytes", "integer", "The most bytes that are sent."),
        Parameter("previous", "boolean", "Of the container that ran before."),
        Parameter("sinceSeconds", "integer", "Only lines that are at most so old."),
        Parameter("tailLines", "integer", "Only so many lines from the end."),
        Parameter("timestamps", "boolean", "Each line with its time."),
    ),
}
