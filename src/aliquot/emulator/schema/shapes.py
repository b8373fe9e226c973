"""The tree of types behind a kind, compiled once from OpenAPI, shared by decoding, patching and validation.

A `Shape` is one node. Built-in kinds come from Kubernetes' definitions, where nodes refer to each other by name
and may do so in circles; custom kinds come from the structural schema in a CRD, which stands alone except that
metadata is always Kubernetes' own. Children are compiled when they are first asked for, so that a server that
only ever sees pods never looks at the other 700 definitions.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Any

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_ALWAYS_PRESENT = ("metadata", "spec", "status", "strategy", "updateStrategy")
_ALSO_PRESENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "IngressStatus": ("loadBalancer",),
        "NetworkPolicySpec": ("podSelector",),
        "PodTemplate": ("template",),
        "ReplicaSetSpec": ("template",),
        "ResourceClaimSpec": ("devices",),
        "ServiceStatus": ("loadBalancer",),
        "StatefulSetSpec": ("serviceName",),
    }
)
"""What definitions call optional, and that Go writes all the same."""
_POINTERS = frozenset(["LabelSelector", "LocalObjectReference", "ParentReference", "SecretReference"])
"""What is required of these may be missing in Go: validation says so."""
_NULL_WHERE_ABSENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "AllocatedDeviceStatus": ("conditions",),
        "ClusterRole": ("rules",),
        "ContainerImage": ("names",),
        "CSINodeDriver": ("topologyKeys",),
        "DeviceClaim": ("requests",),
        "EndpointSlice": ("endpoints", "ports"),
        "HorizontalPodAutoscalerStatus": ("currentMetrics",),
        "ProjectedVolumeSource": ("sources",),
        "ResourcePolicyRule": ("namespaces",),
        "Role": ("rules",),
        "TypedLocalObjectReference": ("apiGroup",),
        "TypedObjectReference": ("apiGroup",),
    }
)
"""Optional fields that Go writes as null where there is nothing in them; required lists are written so too."""
_ABSENT: Mapping[str, Any] = MappingProxyType({})
_NOTHING: frozenset[str] = frozenset()


class Form(Enum):
    """What JSON a node takes."""

    OBJECT = "object"
    LIST = "array"
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INT_OR_STRING = "int-or-string"
    QUANTITY = "quantity"
    TIME = "date-time"
    BYTES = "byte"
    ANY = "any"


ZERO: Mapping[Form, Any] = MappingProxyType({Form.STRING: "", Form.INTEGER: 0, Form.BOOLEAN: False})
"""What Go has where nothing was given."""


class ListType(Enum):
    """Who may own what of a list: the whole, each value, or each item by its keys."""

    ATOMIC = "atomic"
    SET = "set"
    MAP = "map"


class Structure(Enum):
    """How field ownership walks a node: into its fields, into its items, or not at all."""

    MAP = "map"
    LIST = "list"
    LEAF = "leaf"
    FREE = "free"
    """As what it holds: maps are walked, anything else is a leaf."""


class Shape:
    """One node of the tree.

    `node` is the schema as written, for what is asked rarely (limits, enums, defaults of a CRD). `extra` are the
    words that stand beside a `$ref` and win over those of the definition.
    """

    def __init__(
        self,
        definitions: "Definitions",
        node: Mapping[str, Any],
        name: str = "",
        extra: Mapping[str, Any] = _ABSENT,
    ) -> None:
        self._definitions = definitions
        self.node = node
        self.name = name
        self.closed = definitions.closed.get(name, _NOTHING)
        """Fields of a built-in kind that are taken and dropped: their feature gate is closed."""
        self.form = _form(node)
        self.required: tuple[str, ...] = tuple(node.get("required", ()))
        self.default: Any = node.get("default")
        self.nullable = bool(node.get("nullable"))
        self.preserves_unknown = bool(node.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(node.get("x-kubernetes-embedded-resource"))
        self.atomic = self.form is Form.OBJECT and _atomic_object(node, extra, self.preserves_unknown)
        strategies = extra.get("x-kubernetes-patch-strategy") or node.get("x-kubernetes-patch-strategy") or ""
        self.strategies: frozenset[str] = frozenset(filter(None, strategies.split(",")))
        self.merge_key: str = node.get("x-kubernetes-patch-merge-key", "")
        self.list_type, self.list_keys = _list_relation(node, self.strategies)

    @cached_property
    def fields(self) -> Mapping[str, "Shape"]:
        """The named fields of an object."""
        properties = self.node.get("properties") or {}
        fields = {name: self._definitions.compile(child) for name, child in properties.items()}
        if self.embedded:
            fields.setdefault("apiVersion", self._definitions.string)
            fields.setdefault("kind", self._definitions.string)
            fields["metadata"] = self._definitions.get(OBJECT_META)
        return fields

    @cached_property
    def element(self) -> "Shape | None":
        """The items of a list, or the values of a map under names that are no `fields`."""
        node = self.node.get("items" if self.form is Form.LIST else "additionalProperties")
        if isinstance(node, Mapping):
            return self._definitions.compile(node)
        if self.form is Form.LIST or node is True or self.preserves_unknown or self.untyped:
            return self._definitions.anything
        return None

    @cached_property
    def untyped(self) -> bool:
        """An object of which nothing is said but that it is one: kept as it is (built-in kinds only)."""
        return (
            self.form is Form.OBJECT
            and bool(self.name)
            and not self.node.get("properties")
            and "additionalProperties" not in self.node
        )

    @cached_property
    def structure(self) -> Structure:
        if self.form is Form.OBJECT:
            return Structure.LEAF if self.atomic else Structure.MAP
        if self.form is Form.LIST:
            return Structure.LEAF if self.list_type is ListType.ATOMIC else Structure.LIST
        return Structure.FREE if self.form is Form.ANY and self.preserves_unknown else Structure.LEAF

    @cached_property
    def skeleton(self) -> Mapping[str, Any]:
        """What an object of a built-in kind looks like with nothing in it: parts that Go never leaves out.

        A custom object has none of it.
        """
        present: dict[str, Any] = dict.fromkeys(self.nulls)
        if not self.name:
            return present
        own = _ALSO_PRESENT.get(self.name.rpartition(".")[2], ())
        for name, inner in self.fields.items():
            if name not in (*_ALWAYS_PRESENT, *self.required, *own) or not inner.fields:
                continue
            if inner.name.rpartition(".")[2] not in _POINTERS or name in own:
                present[name] = inner.skeleton if name != "metadata" else {}
        return present

    @cached_property
    def zero(self) -> Mapping[str, Any]:
        """The skeleton with what else Go never leaves out: texts of nothing, and noughts."""
        own = _ALSO_PRESENT.get(self.name.rpartition(".")[2], ())
        kinds = {name: self.fields[name].form for name in (*self.required, *own)} if self.name else {}
        zeros = {name: ZERO[form] for name, form in kinds.items() if form in ZERO}
        parts = {name: self.fields[name].zero for name, part in self.skeleton.items() if part is not None}
        return {**zeros, **self.skeleton, **parts}

    @cached_property
    def nulls(self) -> Sequence[str]:
        """The fields of a built-in kind that Go writes as null where there is nothing in them."""
        if not self.name:
            return ()
        lists = [name for name in self.required if self.fields[name].form is Form.LIST]
        others = _NULL_WHERE_ABSENT.get(self.name.rpartition(".")[2], ())
        return (*lists, *(name for name in others if name in self.fields))

    @cached_property
    def holds_nulls(self) -> bool:
        """Whether anything inside is written as null where there is nothing in it."""
        return self._reaches_nulls(set())

    def _reaches_nulls(self, seen: set[object]) -> bool:
        """`seen` are the shapes on the way: definitions may refer to each other in circles."""
        if (known := self.__dict__.get("holds_nulls")) is not None:
            return bool(known)
        mark = self.name or id(self)
        if self.form not in (Form.OBJECT, Form.LIST) or self.untyped or mark in seen:
            return False
        seen.add(mark)
        inner = [*self.fields.values(), *([] if self.element is None else [self.element])]
        return bool(self.nulls) or any(one._reaches_nulls(seen) for one in inner)

    @cached_property
    def fields_with_nulls(self) -> Sequence[tuple[str, "Shape"]]:
        return tuple((name, shape) for name, shape in self.fields.items() if shape.holds_nulls)

    @cached_property
    def holds_quantities(self) -> bool:
        """Whether a quantity can stand anywhere inside. Not for kinds that refer to themselves."""
        if self.form not in (Form.OBJECT, Form.LIST) or self.untyped:
            return self.form is Form.QUANTITY
        return bool(self.fields_with_quantities) or (
            self.element is not None and self.element.holds_quantities
        )

    @cached_property
    def fields_with_quantities(self) -> Sequence[tuple[str, "Shape"]]:
        return tuple((name, shape) for name, shape in self.fields.items() if shape.holds_quantities)

    @cached_property
    def holds_unique_items(self) -> bool:
        """Whether a list that must not hold an item twice can be anywhere inside. Of custom kinds alone."""
        if self.form is Form.LIST and self.list_type is not ListType.ATOMIC:
            return True
        element = self.element
        return bool(self.fields_with_unique_items) or (
            element is not None and element is not self and element.holds_unique_items
        )

    @cached_property
    def fields_with_unique_items(self) -> Mapping[str, "Shape"]:
        """Metadata is judged by rules of its own."""
        return {
            name: shape for name, shape in self.fields.items() if not shape.name and shape.holds_unique_items
        }

    @cached_property
    def embeds_resources(self) -> bool:
        """Whether a custom object may have other objects inside."""
        return any(map(_embeds, _within(self.node)))

    def child(self, key: str) -> "Shape | None":
        """The shape under a key of an object; None when there is no such field."""
        return self.fields.get(key) or self.element

    def __repr__(self) -> str:
        return f"<Shape {self.name or self.form.value}>"


class Definitions:
    """Definitions by name, compiled on demand; each once, so that shapes may be compared by identity."""

    def __init__(
        self,
        nodes: Mapping[str, Mapping[str, Any]],
        closed: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> None:
        """`closed`: {definition: fields that objects do not keep}."""
        self._nodes = nodes
        self.closed = closed
        self._shapes: dict[str, Shape] = {}
        self.string = Shape(self, {"type": "string"})
        self.anything = Shape(self, {"x-kubernetes-preserve-unknown-fields": True})

    def get(self, name: str) -> Shape:
        """Raises KeyError when there is no such definition."""
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._shapes[name] = Shape(self, self._nodes[name], name)
        return shape

    def compile(self, node: Mapping[str, Any]) -> Shape:
        """A node inside another; a plain reference gives the shared shape of the definition."""
        name = node.get("$ref")
        if name is None:
            return Shape(self, node)
        extra = {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
        return Shape(self, self._nodes[name], name, extra) if extra else self.get(name)

    def custom(self, schema: Mapping[str, Any]) -> Shape:
        """The root of a custom resource: its structural schema with Kubernetes' apiVersion, kind and metadata."""
        return Shape(self, {**schema, "type": "object", "x-kubernetes-embedded-resource": True})


def _within(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = [*(node.get("properties") or {}).values(), node.get("items"), node.get("additionalProperties")]
    return [one for one in inner if isinstance(one, Mapping)]


def _embeds(node: Mapping[str, Any]) -> bool:
    return bool(node.get("x-kubernetes-embedded-resource")) or any(map(_embeds, _within(node)))


def _form(node: Mapping[str, Any]) -> Form:
    if node.get("x-kubernetes-int-or-string"):
        return Form.INT_OR_STRING
    match node.get("type"), node.get("format"):
        case "object", _:
            return Form.OBJECT
        case "array", _:
            return Form.LIST
        case "integer", _:
            return Form.INTEGER
        case "number", _:
            return Form.NUMBER
        case "boolean", _:
            return Form.BOOLEAN
        case "string", "int-or-string":
            return Form.INT_OR_STRING
        case "string", "quantity":
            return Form.QUANTITY
        case "string", "date-time":
            return Form.TIME
        case "string", "byte":
            return Form.BYTES
        case "string", _:
            return Form.STRING
        case _:
            return Form.ANY


def _atomic_object(node: Mapping[str, Any], extra: Mapping[str, Any], preserves_unknown: bool) -> bool:
    map_type = extra.get("x-kubernetes-map-type") or node.get("x-kubernetes-map-type")
    if map_type is not None:
        return bool(map_type == "atomic")
    return not preserves_unknown and "properties" not in node and "additionalProperties" not in node


def _list_relation(node: Mapping[str, Any], strategies: frozenset[str]) -> tuple[ListType, tuple[str, ...]]:
    list_type = node.get("x-kubernetes-list-type")
    merge_key = node.get("x-kubernetes-patch-merge-key")
    if list_type is not None:
        return ListType(list_type), tuple(node.get("x-kubernetes-list-map-keys", ()))
    if "merge" in strategies and node.get("type") == "array":
        return (ListType.MAP, (merge_key,)) if merge_key else (ListType.SET, ())
    return ListType.ATOMIC, ()
