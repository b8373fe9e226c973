"""The metadata that the server keeps on every object. Pure: dicts in, new dicts out."""

from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

from aliquot.clock import rfc3339

Json = dict[str, Any]

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_LONGEST_BASE = 63 - _SUFFIX_LENGTH
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def metadata(obj: Mapping[str, Any]) -> Json:
    """For reading alone; an object without metadata has an empty one."""
    found: Json = obj.get("metadata") or {}
    return found


def with_metadata(obj: Json, **changes: Any) -> Json:
    """`obj` with metadata fields set; None takes a field away."""
    changed = {**metadata(obj), **changes}
    return {**obj, "metadata": {key: value for key, value in changed.items() if value is not None}}


def new_uid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def generated_name(base: str, rng: Random) -> str:
    return base[:_LONGEST_BASE] + "".join(rng.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))


def unborn(obj: Json, namespace: str) -> Json:
    """What a client says of a new object, without what only the server may say of it."""
    found = {
        key: value
        for key, value in metadata(obj).items()
        if key not in (*_KEPT, "selfLink", "resourceVersion")
    }
    if namespace:
        found["namespace"] = namespace
    return {**obj, "metadata": found}


def born(obj: Json, *, name: str, now: float, rng: Random) -> Json:
    """An unborn object with what only the server may say of it."""
    return with_metadata(obj, name=name, uid=new_uid(rng), creationTimestamp=rfc3339(now))


def succeeded(new: Json, old: Json) -> Json:
    """`new` as the successor of `old`: what only the server may say is as it was."""
    was = metadata(old)
    found = {key: value for key, value in metadata(new).items() if key not in (*_KEPT, "selfLink")}
    found |= {key: was[key] for key in _KEPT if key in was}
    found["resourceVersion"] = was["resourceVersion"]
    found["name"] = was["name"]
    if "namespace" in was:
        found["namespace"] = was["namespace"]
    return {**new, "metadata": found}


def is_terminating(obj: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in metadata(obj)


def next_generation(obj: Json) -> Json:
    return with_metadata(obj, generation=int(metadata(obj).get("generation", 0)) + 1)


def spec_differs(new: Mapping[str, Any], old: Mapping[str, Any], *, ignore: tuple[str, ...]) -> bool:
    """Whether anything but metadata and the top-level fields in `ignore` changed."""
    skipped = ("metadata", "apiVersion", "kind", *ignore)
    return {key: value for key, value in new.items() if key not in skipped} != {
        key: value for key, value in old.items() if key not in skipped
    }
