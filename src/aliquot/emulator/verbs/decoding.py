"""The object that a client wants: its body as one of the kind that the path serves, decoded and defaulted.

Unknown fields are refused or warned of, as the client wishes.
"""

from collections.abc import Callable
from typing import Any

from aliquot.emulator import statuses
from aliquot.emulator.objects import Json
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.kind import DecodeError, strict_cause, strict_message
from aliquot.emulator.schema.known_specs import Read
from aliquot.emulator.verbs import patches
from aliquot.emulator.verbs.bodies import Body, judge
from aliquot.emulator.verbs.call import Call

_ALWAYS_READ = frozenset(["apiVersion", "kind", "metadata"])
_PARTS_DEPEND = frozenset(["jobs.batch", "replicationcontrollers", "secrets", "services"])
"""Where the defaults of one part depend on another."""


def typed(served: Served, asked: Any) -> Json:
    """The body as an object of the kind that the path serves."""
    if not isinstance(asked, dict):
        raise statuses.bad_request("the object provided is unrecognized: a JSON object is expected")
    resource = served.resource
    kind, version = asked.get("kind"), asked.get("apiVersion")
    if not kind:
        kind = resource.kind
    if not version:
        version = resource.api_version
    if kind != resource.kind or version != resource.api_version:
        raise statuses.bad_request(
            f"the API version in the data ({version}, Kind={kind}) does not match the expected API version "
            f"({resource.api_version}, Kind={resource.kind})"
        )
    if not isinstance(asked.get("metadata", {}), dict):
        raise statuses.bad_request("the object provided is unrecognized: metadata must be an object")
    # First, as most are stored: lists leave them out.
    named = {"apiVersion": version, "kind": kind}
    return named | asked | named


def decoded(call: Call, obj: Any, source: Body | patches.Patch) -> Json:
    """Without unknown fields."""
    return judged(call, obj, source, call.served.schema.read)


def judged(call: Call, obj: Any, source: Body | patches.Patch, read: Callable[[Any], Read]) -> Json:
    schema = call.served.schema
    try:
        found, unknown = read(obj)
    except DecodeError as error:
        raise (
            statuses.invalid_patch(source.shown(obj), error.cause)
            if isinstance(source, patches.Patch)
            else statuses.bad_request(error.message)
        ) from error
    if isinstance(source, patches.Patch):
        # In the order of the patched object, whose keys are sorted.
        problems = [*source.problems, *sorted(unknown)]
        judge(
            call,
            Body(None),
            problems,
            lambda several: statuses.invalid_patch(source.shown(obj), strict_cause(several)),
        )
    else:
        problems = source.problems(unknown, typed=not schema.custom)
        judge(call, source, problems, lambda several: statuses.bad_request(strict_message(schema, several)))
    return found


def decoded_beside(call: Call, obj: Any, old: Json, source: Body | patches.Patch) -> Json:
    """Decoded and defaulted, as the successor of `old`.

    Whole parts (`spec`, `status`, `data`) that are as they were stored are taken over as they are: most writes
    change one part, and reading all of an object again is most of a write's cost.
    """
    if not isinstance(obj, dict) or call.served.storage in _PARTS_DEPEND:
        return decoded(call, obj, source)
    same = {key for key, value in obj.items() if key not in _ALWAYS_READ and key in old and old[key] == value}
    changed = {key: value for key, value in obj.items() if key not in same}
    fresh = decoded(call, changed, source)
    return {**fresh, **{key: old[key] for key in obj if key in same}}
