"""Bytes of an answer into what the caller asked for: a Struct of the fields it reads, or a plain dict."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from aliquot.kube import errors

T = TypeVar("T")

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    items: list[T]
    resource_version: str
    continue_token: str = ""
    """Not empty when there is more."""
    unreadable: tuple["Unreadable", ...] = ()
    """Objects that are there and are not of the type asked for; they are not among the items."""


class Unreadable(Struct, frozen=True, gc=False):
    """An object that does not decode into the type asked for. One of them must not hide all the others."""

    key: str
    resource_version: str
    reason: str


class _ListMeta(Struct, rename="camel", gc=False, frozen=True):
    resource_version: str = ""
    continue_token: str = msgspec.field(name="continue", default="")


class _ListBody(Struct, Generic[T]):
    metadata: _ListMeta = _ListMeta()
    items: list[T] | None = None


def _new_decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(JsonObject if into is dict else into)


def _new_list_decoder(into: Any) -> msgspec.json.Decoder[Any]:
    body: Any = _ListBody
    return msgspec.json.Decoder(body[JsonObject if into is dict else into])


# Building a decoder costs more than using it on a small object.
_decoder: Callable[[Any], msgspec.json.Decoder[Any]] = lru_cache(maxsize=256)(_new_decoder)
_list_decoder: Callable[[Any], msgspec.json.Decoder[Any]] = lru_cache(maxsize=256)(_new_list_decoder)


class _Meta(Struct, rename="camel", gc=False, frozen=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class Identified(Struct, gc=False, frozen=True):
    """As much of any object as tells which one it is."""

    metadata: _Meta


_identified_decoder = msgspec.json.Decoder(Identified)


def identify(body: bytes | msgspec.Raw) -> _Meta:
    """Raises msgspec.DecodeError for what is no object at all."""
    return _identified_decoder.decode(body).metadata


def unreadable(body: msgspec.Raw, into: type) -> Unreadable:
    """Which object it is that does not decode into `into`, and why. Raises msgspec.DecodeError for what is none."""
    metadata = identify(body)
    reason = "not of the type asked for"
    try:
        _decoder(into).decode(body)
    except msgspec.ValidationError as error:
        reason = str(error)
    name = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
    return Unreadable(name, metadata.resource_version, reason)


def decode(body: bytes | msgspec.Raw, into: type[T]) -> T:
    """Raises Unavailable (code 0) for what is no such object."""
    try:
        obj: T = _decoder(into).decode(body)
    except msgspec.DecodeError as error:
        raise errors.Unavailable(f"answer is no {into.__name__}: {error}", code=0) from error
    return obj


def decode_list(body: bytes, into: type[T]) -> Listing[T]:
    """One page of a list. Raises Unavailable (code 0) for what is none."""
    try:
        page = _list_decoder(into).decode(body)
    except msgspec.ValidationError:
        return _decode_each(body, into)
    except msgspec.DecodeError as error:
        raise errors.Unavailable(f"answer is no list: {error}", code=0) from error
    return Listing(page.items or [], page.metadata.resource_version, page.metadata.continue_token)


def _decode_each(body: bytes, into: type[T]) -> Listing[T]:
    items: list[T] = []
    left_out: list[Unreadable] = []
    try:
        page = _list_decoder(msgspec.Raw).decode(body)
        for item in page.items or ():
            try:
                items.append(_decoder(into).decode(item))
            except msgspec.ValidationError:
                left_out.append(unreadable(item, into))
    except msgspec.DecodeError as error:
        raise errors.Unavailable(f"answer is no list: {error}", code=0) from error
    return Listing(items, page.metadata.resource_version, page.metadata.continue_token, tuple(left_out))
