"""What is written down of access that is ended while the database is gone. Pure."""

from enum import StrEnum
from typing import TypeAlias

import msgspec
from msgspec import Struct

from aliquot.access.core.people import Person


class Means(StrEnum):
    """By what it was known whose grant it is."""

    MEMORY = "memory"
    """What the database said last."""
    CLUSTER = "cluster"
    """What its objects say."""


class _Record(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", forbid_unknown_fields=True
):
    id: str
    """Nobody else's. By it the database knows whether it has it already."""
    at_s: float
    """By this server's clock."""


class _Act(_Record, frozen=True, kw_only=True):
    by: Person
    auth: str
    credential: str
    why: str


class Revoked(_Act, frozen=True, kw_only=True, tag="revoked"):
    grant: str
    cluster: str
    namespace: str
    means: Means


class Returned(_Act, frozen=True, kw_only=True, tag="returned"):
    """Its holder gave it back."""

    grant: str
    cluster: str
    namespace: str
    means: Means


class Pulled(_Act, frozen=True, kw_only=True, tag="pulled"):
    """The kill switch."""

    pull_id: str


class Removed(_Record, frozen=True, kw_only=True, tag="removed"):
    """The clusters have nothing any more of what `of` ended."""

    of: str


Ended: TypeAlias = Revoked | Returned
Act: TypeAlias = Revoked | Returned | Pulled
Record: TypeAlias = Revoked | Returned | Pulled | Removed

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encoded(record: Record) -> bytes:
    return _encoder.encode(record)


def decoded(payload: bytes) -> Record:
    """Raises ValueError: another version wrote it."""
    return _decoder.decode(payload)
