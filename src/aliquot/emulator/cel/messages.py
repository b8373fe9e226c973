"""What the compiler is told of types: objects are shown to it as protobuf messages.

Nothing is ever stored in one: they are there to be checked against. Protobuf's names are narrower than ours (a
message cannot be named like a field beside it, as `Object.spec` would be), so that messages bear names of their own,
and what the compiler answers is put back into ours. In a type literal a dot becomes an underscore, so that every
place in the text stays where it was.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from aliquot.emulator.cel.syntax import Checked
from aliquot.emulator.cel.types import Kind, Type, object_of

_STRUCT = re.compile(r"\b[A-Z]\w*(?:\.\w+)*(?=\s*\{)", re.ASCII)
_QUOTED = re.compile(
    r"""[rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL,
)
_FIELD = re.compile(r"\b([A-Za-z_]\w*)\s*:", re.ASCII)
_OWN = re.compile(r"aliquot\.T(\d+)\b")


def names_in_literals(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(types of literals, as `Object.spec`; names that stand before a colon)."""
    blanked = _QUOTED.sub(_blank, text)
    types = {match[0] for match in _STRUCT.finditer(blanked)}
    return tuple(sorted(types)), tuple(sorted(set(_FIELD.findall(blanked)))) if types else ()


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


class Messages:
    def __init__(self, variables: Iterable[Type], literals: Mapping[str, Mapping[str, Type]]) -> None:
        self._objects = {one.name: one for root in variables for one in root.objects()}
        self._numbers = {name: number for number, name in enumerate(self._objects)}
        self._names = list(self._objects)
        self._literals = literals
        self._flat = {name.replace(".", "_"): name for name in literals}

    # --- names, there and back ---

    def flattened(self, text: str) -> str:
        if not any("." in name for name in self._literals):
            return text
        blanked = _QUOTED.sub(_blank, text)
        out = list(text)
        for match in _STRUCT.finditer(blanked):
            if match[0] in self._literals:
                out[match.start() : match.end()] = match[0].replace(".", "_")
        return "".join(out)

    def unflattened(self, words: str) -> str:
        for flat, name in sorted(self._flat.items(), reverse=True):
            words = words.replace(flat, name)
        return _OWN.sub(lambda match: self._names[int(match[1])], words)

    def restored(self, checked: Checked) -> Checked:
        return replace(checked, types={node: self._restored(one) for node, one in checked.types.items()})

    def _restored(self, one: Type) -> Type:
        own = _OWN.fullmatch(one.name) if one.kind is Kind.OBJECT else None
        if own is not None:
            return self._objects[self._names[int(own[1])]]
        if one.kind is Kind.OBJECT and one.name in self._flat:
            return object_of(self._flat[one.name], {})
        if not one.parameters:
            return one
        return replace(one, parameters=tuple(map(self._restored, one.parameters)))

    def original(self, struct_name: str) -> str:
        return self._flat.get(struct_name, struct_name)

    def _message_name(self, name: str) -> str:
        return f"aliquot.T{self._numbers[name]}"

    # --- types ---

    def compiler_type(self, one: Type) -> Any:
        from cel_expr_python import cel

        parameters = [self.compiler_type(parameter) for parameter in one.parameters]
        match one.kind:
            case Kind.LIST:
                return cel.Type.List(*parameters)
            case Kind.MAP:
                return cel.Type.Map(*parameters)
            case Kind.OPAQUE:
                return cel.Type.AbstractType(one.name, parameters)
            case Kind.OBJECT:
                return cel.Type(self._message_name(one.name))
        return getattr(cel.Type, one.kind.upper())

    def pool(self) -> Any:
        """A descriptor pool with the objects; None where there are none."""
        from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2

        if not self._objects and not self._literals:
            return None
        pool = descriptor_pool.DescriptorPool()
        imported = [module.DESCRIPTOR for module in (struct_pb2, timestamp_pb2, duration_pb2)]
        for file in imported:
            pool.AddSerializedFile(file.serialized_pb)

        def new_file(name: str, package: str) -> Any:
            return descriptor_pb2.FileDescriptorProto(
                name=name, package=package, syntax="proto2", dependency=[one.name for one in imported]
            )

        objects, literals = new_file("objects.proto", "aliquot"), new_file("literals.proto", "")
        for one in self._objects.values():
            message = objects.message_type.add(name=self._message_name(one.name).rpartition(".")[2])
            self._describe(message, self._message_name(one.name), one.fields)
        for flat, name in self._flat.items():
            self._describe(literals.message_type.add(name=flat), flat, self._literals[name])
        pool.Add(objects)
        pool.Add(literals)
        return pool

    def _describe(self, message: Any, full_name: str, fields: Mapping[str, Type]) -> None:
        message.options.deprecated_legacy_json_field_conflicts = True
        for number, (name, kind) in enumerate(fields.items(), 1):
            field = message.field.add(
                name=name, number=number, json_name=f"f{number}", label="LABEL_OPTIONAL"
            )
            repeated = kind.kind in (Kind.LIST, Kind.MAP) and _fits_a_field(kind.parameters[-1])
            if kind.kind is Kind.LIST and repeated:
                self._set_type(field, kind.parameters[0])
            elif kind.kind is Kind.MAP and repeated and kind.parameters[0].kind is Kind.STRING:
                entry = message.nested_type.add(name=f"{_camel(name)}Entry")
                entry.options.map_entry = True
                self._set_type(
                    entry.field.add(name="key", number=1, label="LABEL_OPTIONAL"), kind.parameters[0]
                )
                self._set_type(
                    entry.field.add(name="value", number=2, label="LABEL_OPTIONAL"), kind.parameters[1]
                )
                field.type, field.type_name = field.TYPE_MESSAGE, f".{full_name}.{entry.name}"
            else:
                repeated = False
                self._set_type(field, kind)
            if repeated:
                field.label = field.LABEL_REPEATED

    def _set_type(self, field: Any, one: Type) -> None:
        if one.kind in _FIELD_TYPES:
            field.type = getattr(field, _FIELD_TYPES[one.kind])
            return
        field.type = field.TYPE_MESSAGE
        own = one.kind is Kind.OBJECT
        field.type_name = (
            f".{self._message_name(one.name)}" if own else _FIELD_MESSAGES.get(one.kind, _ANYTHING)
        )


_FIELD_TYPES = {
    Kind.BOOL: "TYPE_BOOL",
    Kind.INT: "TYPE_INT64",
    Kind.UINT: "TYPE_UINT64",
    Kind.DOUBLE: "TYPE_DOUBLE",
    Kind.STRING: "TYPE_STRING",
    Kind.BYTES: "TYPE_BYTES",
}
_FIELD_MESSAGES = {
    Kind.TIMESTAMP: ".google.protobuf.Timestamp",
    Kind.DURATION: ".google.protobuf.Duration",
    Kind.LIST: ".google.protobuf.ListValue",
    Kind.MAP: ".google.protobuf.Struct",
}
_ANYTHING = ".google.protobuf.Value"


def _fits_a_field(one: Type) -> bool:
    """A protobuf field holds no list of lists: those are checked when they are evaluated."""
    return one.kind in _FIELD_TYPES or one.kind in (Kind.OBJECT, Kind.TIMESTAMP, Kind.DURATION, Kind.DYN)


def _camel(name: str) -> str:
    """As protoc names the entry type of a map field."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
