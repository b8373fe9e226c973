"""CustomResourceDefinitions out of our own msgspec types, so that the type is the only place that states the fields.

The result is a *structural* schema as apiextensions/v1 wants it: no $ref, every node typed, absence of a value
said by `nullable`. Lists keep the `x-kubernetes-list-*` keys of their annotation, for server-side apply merges by
them. Defaults are not sent to the server: readers decode into the same types and have them already, and a field
that nobody set stays owned by nobody. Descriptions come from docstrings, of classes and after fields, so that
`kubectl explain` says what the source says: a field's own before those of its type, and of an enumeration what each
of its values comes to.
"""

import ast
import inspect
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as types

Schema = dict[str, Any]


class SchemaError(TypeError):
    """A type that no structural schema can describe."""


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `kubectl get`. `priority` above 0 shows with `-o wide` only. `type`: string, integer, date, ..."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """JSON paths of the scale subresource."""

    spec_replicas: str
    status_replicas: str
    label_selector: str = ""


def crd(
    struct: type[msgspec.Struct],
    plural: str,
    *,
    singular: str = "",
    short_names: Sequence[str] = (),
    categories: Sequence[str] = (),
    namespaced: bool = False,
    printer_columns: Sequence[PrinterColumn] = (),
    status: bool = True,
    scale: Scale | None = None,
    rules: Mapping[str, str] | None = None,
) -> Schema:
    """The CRD of `struct`, whose fields `api_version` and `kind` have the group, version and kind as defaults.

    `status`: with the status subresource. `rules` in CEL are about the whole object, with what is told where one does not
    hold. Raises SchemaError.
    """
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    defaults = {field.encode_name: field.default for field in info.fields}
    group, _, version = str(defaults.get("apiVersion", "")).partition("/")
    kind = str(defaults.get("kind", ""))
    if not version or not kind:
        raise SchemaError(f"{struct.__name__}: api_version (group/version) and kind must have defaults")
    subresources: Schema = {}
    if status:
        subresources["status"] = {}
    if scale is not None:
        paths = {"specReplicasPath": scale.spec_replicas, "statusReplicasPath": scale.status_replicas}
        subresources["scale"] = paths | (
            {"labelSelectorPath": scale.label_selector} if scale.label_selector else {}
        )
    schema = root_schema(struct)
    if rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule, "message": message} for rule, message in rules.items()
        ]
    served: Schema = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    if subresources:
        served["subresources"] = subresources
    if printer_columns:
        served["additionalPrinterColumns"] = [_column(column) for column in printer_columns]
    names: Schema = {
        "plural": plural,
        "singular": singular or kind.lower(),
        "kind": kind,
        "listKind": f"{kind}List",
    }
    if short_names:
        names["shortNames"] = list(short_names)
    if categories:
        names["categories"] = list(categories)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [served],
        },
    }


def root_schema(struct: type[msgspec.Struct]) -> Schema:
    """The schema of a whole object: what every object has is left to the API server."""
    schema = _struct(types.type_info(struct), ())
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string"}
    properties["kind"] = {"type": "string"}
    properties["metadata"] = {"type": "object"}
    required = [name for name in schema.pop("required", ()) if name not in ("apiVersion", "kind", "metadata")]
    if required:
        schema["required"] = required
    return schema


def _column(column: PrinterColumn) -> Schema:
    schema: Schema = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.priority:
        schema["priority"] = column.priority
    if column.description:
        schema["description"] = column.description
    return schema


def _schema(node: types.Type, path: tuple[type, ...]) -> Schema:
    match node:
        case types.Metadata():
            return _schema(node.type, path) | (node.extra_json_schema or {})
        case types.StructType():
            return _struct(node, path)
        case types.StrType():
            return {"type": "string"} | _set(
                minLength=node.min_length, maxLength=node.max_length, pattern=node.pattern
            )
        case types.BoolType():
            return {"type": "boolean"}
        case types.IntType():
            return {"type": "integer", "format": "int64"} | _bounds(node)
        case types.FloatType():
            return {"type": "number"} | _bounds(node)
        case types.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case types.EnumType():
            described = {"description": text} if (text := _enum_doc(node.cls)) else {}
            return described | _values([member.value for member in node.cls])
        case types.LiteralType():
            return _values(list(node.values))
        case types.ListType() | types.VarTupleType() | types.SetType() | types.FrozenSetType():
            array: Schema = {"type": "array", "items": _schema(node.item_type, path)}
            return array | _set(minItems=node.min_length, maxItems=node.max_length)
        case types.DictType():
            if not isinstance(_bare(node.key_type), types.StrType):
                raise SchemaError(f"{_where(path)}: keys of an object must be strings")
            if isinstance(node.value_type, types.AnyType | types.RawType):
                return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            limits = _set(minProperties=node.min_length, maxProperties=node.max_length)
            return {"type": "object", "additionalProperties": _schema(node.value_type, path)} | limits
        case types.UnionType():
            return _union(node, path)
        case types.AnyType() | types.RawType():
            return {"x-kubernetes-preserve-unknown-fields": True}
        case _:
            raise SchemaError(f"{_where(path)}: {type(node).__name__} has no structural schema")


def _struct(node: types.Type, path: tuple[type, ...]) -> Schema:
    assert isinstance(node, types.StructType)
    if node.cls in path:
        raise SchemaError(
            f"{_where(path)}: {node.cls.__name__} contains itself, which no structural schema can say"
        )
    path = (*path, node.cls)
    documented = _field_docs(node.cls)
    properties: Schema = {}
    for field in node.fields:
        of_type, own = _schema(field.type, path), documented.get(field.name, "")
        theirs = of_type.pop("description", "")
        # Values are explained nowhere else; what a type is for, the field knows better.
        text = " ".join(filter(None, (own, theirs))) if "enum" in of_type else own or theirs
        properties[field.encode_name] = ({"description": text} if text else {}) | of_type
    schema: Schema = {"type": "object", "properties": properties}
    if text := _class_doc(node.cls):
        schema = {"description": text} | schema
    if required := [field.encode_name for field in node.fields if field.required]:
        schema["required"] = required
    return schema


def _union(node: types.UnionType, path: tuple[type, ...]) -> Schema:
    members = [member for member in node.types if not isinstance(member, types.NoneType)]
    nullable = {"nullable": True} if len(members) < len(node.types) else {}
    if len(members) == 1:
        return _schema(members[0], path) | nullable
    kinds = {type(_bare(member)) for member in members}
    if kinds == {types.IntType, types.StrType}:
        return {"x-kubernetes-int-or-string": True} | nullable
    names = " | ".join(type(member).__name__ for member in members)
    raise SchemaError(
        f"{_where(path)}: {names} has no structural schema; int | str is the only union that has"
    )


def _bare(node: types.Type) -> types.Type:
    return _bare(node.type) if isinstance(node, types.Metadata) else node


def _values(values: list[Any]) -> Schema:
    if all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": values}
    if all(isinstance(value, int) for value in values):
        return {"type": "integer", "enum": values}
    raise SchemaError(f"the values of an enumeration must be all strings or all integers: {values}")


def _bounds(node: types.IntType | types.FloatType) -> Schema:
    # OpenAPI 3.0: an exclusive bound is a bound and a flag.
    schema = _set(minimum=node.ge, maximum=node.le, multipleOf=node.multiple_of)
    if node.gt is not None:
        schema |= {"minimum": node.gt, "exclusiveMinimum": True}
    if node.lt is not None:
        schema |= {"maximum": node.lt, "exclusiveMaximum": True}
    return schema


def _set(**values: Any) -> Schema:
    return {name: value for name, value in values.items() if value is not None}


def _where(path: tuple[type, ...]) -> str:
    return ".".join(cls.__name__ for cls in path) or "schema"


def _class_doc(cls: type) -> str:
    # __doc__, not getdoc: a base class' words are not about this one.
    return _one_paragraph(cls.__dict__.get("__doc__") or "")


def _field_docs(cls: type) -> Mapping[str, str]:
    """The string after a field, which Python itself throws away; what is inherited is documented there."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        found |= _docs_of_module(one.__module__).get(one.__qualname__, {})
    return found


def _enum_doc(cls: type[Enum]) -> str:
    """Empty: its values say it all."""
    documented = _field_docs(cls)
    values = [f"{member.value}: {text}" for member in cls if (text := documented.get(member.name))]
    return " ".join(filter(None, (_class_doc(cls), *values)))


@cache
def _docs_of_module(module: str) -> Mapping[str, Mapping[str, str]]:
    """`{class: {field: text}}`, empty where the source is not at hand."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {node.name: _docs_of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_of_class(node: ast.ClassDef) -> Mapping[str, str]:
    docs = {}
    for field, after in itertools.pairwise(node.body):
        if isinstance(field, ast.AnnAssign):
            target: ast.expr = field.target
        elif isinstance(field, ast.Assign):
            # A value of an enumeration.
            target = field.targets[0]
        else:
            continue
        if (
            isinstance(target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            docs[target.id] = _one_paragraph(str(after.value.value))
    return docs


def _one_paragraph(text: str) -> str:
    return " ".join(text.split())
