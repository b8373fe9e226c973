"""The words of a plan: a resource, the call that makes it, and the one that finds it. Plain data, for whoever shows and does it."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

CLUSTER_TAG, NAME_TAG = "aliquot.dev/cluster", "aliquot.dev/name"
"""On everything that is made: whose it is, and which of its resources."""


class Ref(Struct, frozen=True):
    """What is known of another resource only once it is there: a dotted path into what its look finds."""

    key: str
    at: str
    form: str = "{}"
    """Of which the value, without `https://`, is a part."""

    def __str__(self) -> str:
        return self.form.format(f"<{self.key}: {self.at}>")


class Call(Struct, frozen=True, kw_only=True):
    service: str
    operation: str
    parameters: dict[str, Any]
    """May hold Refs, at any depth."""


class Look(Struct, frozen=True, kw_only=True):
    """How a resource is found, and what it has come to."""

    service: str
    operation: str
    parameters: dict[str, Any]
    at: str
    """Dotted path in the answer to an object or a list of them; numbers are places in lists."""
    where: dict[str, Any] = {}
    """Of a list: dotted paths in an item, with what is there. May hold Refs."""
    without: dict[str, tuple[str, ...]] = {}
    """Of a list: dotted paths in an item, with what is not there (states of what is gone)."""
    paged: bool = False
    absent: tuple[str, ...] = ()
    """Codes by which AWS says that there is none."""
    tags: str = ""
    """Where its tags are, if it is found by a name that somebody else could have used, too."""
    status: str = ""
    ready: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    why: str = ""
    """Where it says why it has failed."""
    by_key_tags: bool = False
    """A key of KMS: by its alias, else by the tags of each, since none of its calls filters."""


class Resource(Struct, frozen=True, kw_only=True):
    key: str
    title: str
    make: Call
    look: Look
    after: tuple[str, ...] = ()
    """Keys of what has to be ready before, beside what its Refs name."""

    @property
    def needs(self) -> tuple[str, ...]:
        found = [ref.key for part in (self.make.parameters, *_parts(self.look)) for ref in refs(part)]
        return tuple(dict.fromkeys((*found, *self.after)))


def _parts(look: Look) -> tuple[Any, ...]:
    return look.parameters, look.where


def refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from refs(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from refs(one)


def resolved(value: Any, found: Mapping[str, Mapping[str, Any]]) -> Any:
    """With every Ref replaced. Raises KeyError for one of what is not there."""
    if isinstance(value, Ref):
        known = at(found[value.key], value.at)
        return known if value.form == "{}" else value.form.format(str(known).removeprefix("https://"))
    if isinstance(value, Mapping):
        return {key: resolved(one, found) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolved(one, found) for one in value]
    return value


def at(value: Any, path: str) -> Any:
    """None where the path leads nowhere."""
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def fitting(text: str, most: int) -> str:
    """`text`, or its beginning with a digest of it, where it is too long for a name."""
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: most - 9].rstrip('-')}-{digest}"
