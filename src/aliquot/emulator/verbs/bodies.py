"""Bodies: from a request's bytes to a value or an object of a kind, and what a strict reader has against them.

A strict reader minds fields that the kind does not have, and fields that are there twice. Whether the client is
refused for it, warned or spared is for the client to say (`?fieldValidation`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot import document
from aliquot.emulator import statuses
from aliquot.emulator.http import json_body, protobuf, repeated
from aliquot.emulator.objects import Json
from aliquot.emulator.schema.kind import DecodeError, Schema, strict_message, unknown_field
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.verbs.call import JSON, PROTOBUF, YAML, Call, Validation

YAML_ERRORS = "yaml: unmarshal errors:"


@dataclass(frozen=True, slots=True)
class Body:
    """`repeated` are the paths of what JSON has more than once; of YAML, `lines` tell where keys come again."""

    value: Any
    repeated: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def problems(self, unknown: Sequence[str], *, typed: bool) -> list[str]:
        """What a strict reader has against the body, of which `unknown` is known already.

        A `typed` reader skips what it does not know, and does not see what is there twice.
        """
        among = set(unknown) if typed else ()
        seen = [path for path in self.repeated if not among or among.isdisjoint(_unknown_around(path))]
        return [*(f'duplicate field "{path}"' for path in seen), *unknown]

    def strict_problems(self, problems: Sequence[str]) -> list[str]:
        """`problems` as a refusal lists them: those of YAML are one."""
        return [yaml_errors(self.lines), *problems] if self.lines else list(problems)


def _unknown_around(path: str) -> Iterator[str]:
    """How `path` and everything that holds it would be told if it were unknown."""
    yield unknown_field(path)
    for end, character in enumerate(path):
        if character in ".[":
            yield unknown_field(path[:end])


def yaml_errors(lines: Sequence[str]) -> str:
    return "\n  ".join((YAML_ERRORS, *lines))


def read(call: Call) -> Body:
    """The body of a create, an update or the like. Raises StatusError."""
    return read_body(call.content_type, call.body, strictly=call.validation is not Validation.IGNORE)


def read_body(content_type: str, body: bytes, *, strictly: bool = False) -> Body:
    """What came as JSON, YAML or Kubernetes protobuf. Only `strictly` is looked for repetitions.

    Raises StatusError.
    """
    if content_type in (JSON, ""):
        try:
            return _read_json(body, strictly)
        except json_body.BodyError as error:
            raise statuses.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if content_type == YAML:
        return read_yaml(body, strictly=strictly)
    if content_type == PROTOBUF:
        try:
            return Body(protobuf.decode(body))
        except protobuf.ProtobufError as error:
            raise statuses.bad_request(str(error)) from error
    raise statuses.unsupported_media_type((JSON, YAML, PROTOBUF))


def _read_json(body: bytes, strictly: bool) -> Body:
    """Raises BodyError."""
    value = json_body.decode(body)
    return Body(value, repeated.in_json(body, value) if strictly else ())


def read_yaml(body: bytes, *, strictly: bool = False) -> Body:
    """YAML, or JSON, which is YAML too but read faster. Raises StatusError."""
    try:
        found = _read_json(body, strictly)
        if not found.repeated:
            return found
    except json_body.BodyError:
        pass
    repeats: list[document.Repeat] = []
    try:
        value = document.parse(body.decode(), source="body", repeats=repeats).value
    except (document.DocumentError, UnicodeDecodeError) as error:
        raise statuses.bad_request(f"error decoding YAML: {error}") from error
    lines = (f'line {repeat.line}: key "{repeat.key}" already set in map' for repeat in repeats)
    return Body(value, lines=tuple(lines) if strictly else ())


def read_patch(call: Call) -> Body:
    """A JSON value, whatever kind of patch it is. Raises StatusError."""
    try:
        return _read_json(call.body, call.validation is not Validation.IGNORE)
    except json_body.BodyError as error:
        raise statuses.bad_request(f"error decoding patch: {error}") from error


def judge(
    call: Call, body: Body, problems: Sequence[str], refuse: Callable[[list[str]], StatusError]
) -> None:
    """Raises what `refuse` makes of the problems, or warns of them, or lets them be."""
    if call.validation is Validation.STRICT and (problems or body.lines):
        raise refuse(body.strict_problems(problems))
    if call.validation is Validation.WARN:
        warn(call, (*body.lines, *problems))


def warn(call: Call, texts: Sequence[str]) -> None:
    """Once of each, however often a write is begun anew."""
    for text in texts:
        if text not in call.warnings:
            call.warnings.append(text)


def read_typed(call: Call, schema: Schema, *, older: Collection[str] = ()) -> Json:
    """The body as an object of a kind that is not the resource's own: a Binding, a Scale, a review.

    `older` are the versions that it may name instead of its own. Raises StatusError.
    """
    body = read(call)
    version = body.value.get("apiVersion") if isinstance(body.value, dict) else None
    if version and version != schema.api_version and version not in older:
        raise statuses.bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({schema.api_version})"
        )
    obj, unknown = _decoded(body.value, schema)
    problems = body.problems(unknown, typed=True)
    judge(call, body, problems, lambda found: statuses.bad_request(strict_message(schema, found)))
    return obj


def typed(value: Any, schema: Schema) -> Json:
    """`value` as an object of a kind whose unknown fields nobody minds: DeleteOptions. Raises StatusError."""
    return _decoded(value, schema)[0]


def _decoded(value: Any, schema: Schema) -> tuple[Json, list[str]]:
    if not isinstance(value, dict):
        raise statuses.bad_request(f"the body of this request is a {schema.kind}")
    if (kind := value.get("kind") or schema.kind) != schema.kind:
        raise statuses.bad_request(f"a {kind} cannot be handled as a {schema.kind}")
    try:
        return schema.decode(value)
    except DecodeError as error:
        raise statuses.bad_request(str(error)) from error
