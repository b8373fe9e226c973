"""Patches: from a request's body to what it does to an object. Applies are not among them (`patching/apply`)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.emulator import statuses
from aliquot.emulator.objects import Json
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.patching.merge import apply_merge_patch
from aliquot.emulator.patching.strategic import apply_strategic_merge_patch
from aliquot.emulator.schema.kind import unknown_field
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.verbs.bodies import read_patch
from aliquot.emulator.verbs.call import Call

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_OF_AN_OPERATION = ("op", "path", "from", "value")


@dataclass(frozen=True, slots=True)
class Patch:
    """What a body does to an object, what a strict reader has against the body, and how a refusal shows it."""

    change: Callable[[Json], Any]
    """Raises PatchError."""
    problems: Sequence[str]
    shown: Callable[[Any], str]
    """Takes the object that the patch makes."""


def read(call: Call) -> Patch:
    """Raises StatusError when the body is no patch."""
    kinds = [
        JSON_PATCH,
        MERGE_PATCH,
        *(() if call.served.schema.custom else (STRATEGIC_PATCH,)),
        APPLY_PATCH,
    ]
    if call.content_type not in kinds:
        raise statuses.unsupported_media_type(kinds)
    body = read_patch(call)
    patch, problems = body.value, body.problems((), typed=False)
    if call.content_type == JSON_PATCH:
        problems = [f"json patch {problem}" for problem in (*problems, *_unknown_of_operations(patch))]
        return Patch(lambda obj: apply_json_patch(obj, patch), problems, _as_json)
    if not isinstance(patch, dict):
        raise statuses.bad_request("error decoding patch: a patch is a JSON object")
    if call.content_type == MERGE_PATCH:
        return Patch(lambda obj: apply_merge_patch(obj, patch), problems, _as_json)
    shape = call.served.schema.shape
    return Patch(
        lambda obj: apply_strategic_merge_patch(obj, patch, shape), problems, lambda _: _as_go_prints(patch)
    )


def refused(error: PatchError) -> StatusError:
    return statuses.failure(error.code, error.reason, error.message, error.details)


def _unknown_of_operations(patch: Any) -> Iterable[str]:
    for index, operation in enumerate(patch if isinstance(patch, list) else ()):
        for key in operation if isinstance(operation, dict) else ():
            if key not in _OF_AN_OPERATION:
                yield unknown_field(f"[{index}].{key}")


def _as_json(obj: Any) -> str:
    return msgspec.json.encode(dict(sorted(obj.items())) if isinstance(obj, dict) else obj).decode()


def _as_go_prints(value: Any) -> str:
    """`map[a:1 b:[x y]]`: Go's `%+v` of what JSON can hold."""
    match value:
        case dict():
            return f"map[{' '.join(f'{key}:{_as_go_prints(child)}' for key, child in sorted(value.items()))}]"
        case list():
            return f"[{' '.join(map(_as_go_prints, value))}]"
        case None:
            return "<nil>"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
