"""What one entry says, and the canonical bytes of it (RFC 8785) that are hashed.

What is personal (a justification, a name) is not in them: an entry only commits to it, by a hash with a salt that is kept apart
with the text. Delete both, and nobody can tell any more what it was; the tree stays whole. A subject is not hidden: issuers whose
subjects are telling should be set to give opaque ones.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from aliquot import canonical_json

MOST_ENTRY_BYTES = 1 << 16
SALT_BYTES = 32


class Actor(Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    sub: str
    auth: str = ""
    """How they proved who they are: `oidc`, `webauthn`, ..."""
    credential: str = ""
    """The id of what they proved it with."""


class Draft(Struct, frozen=True, kw_only=True):
    """What is to be logged."""

    time_s: float
    actor: Actor
    action: str
    """`grant.activated`: what it is about, and what happened to it."""
    grant: str = ""
    request_digest: str = ""
    policy_digest: str = ""
    before: str = ""
    after: str = ""
    details: Mapping[str, Any] = {}
    """Texts, whole numbers, truths, lists and objects of them. Nothing personal."""
    personal: Mapping[str, str] = {}
    """Texts that the entry only commits to."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seq: int
    time: str
    actor: Actor
    action: str
    grant: str
    request_digest: str
    policy_digest: str
    before: str
    after: str
    details: dict[str, Any]
    commitments: dict[str, str]
    prev: str
    """The hash of the entry before it; of the first, that of nothing."""


class Opening(Struct, frozen=True, kw_only=True):
    """What an entry commits to. To erase is to delete it."""

    seq: int
    name: str
    salt: bytes
    value: str

    @property
    def commitment(self) -> str:
        return f"sha256:{sha256(self.salt + self.value.encode()).hexdigest()}"


class Sealed(Struct, frozen=True, kw_only=True):
    """An entry as it is stored."""

    seq: int
    grant: str
    body: bytes
    """Canonical: what was hashed."""
    openings: tuple[Opening, ...]


class Unloggable(ValueError):
    """What was to be logged cannot be written canonically. Its text is for people."""


def sealed(draft: Draft, seq: int, time: str, prev: str, salt: Callable[[int], bytes]) -> Sealed:
    """`salt`: so many bytes that nobody can guess. Raises Unloggable."""
    openings = tuple(
        Opening(seq=seq, name=name, salt=salt(SALT_BYTES), value=value)
        for name, value in sorted(draft.personal.items())
    )
    entry = Entry(
        seq=seq,
        time=time,
        actor=draft.actor,
        action=draft.action,
        grant=draft.grant,
        request_digest=draft.request_digest,
        policy_digest=draft.policy_digest,
        before=draft.before,
        after=draft.after,
        details=dict(draft.details),
        commitments={one.name: one.commitment for one in openings},
        prev=prev,
    )
    return Sealed(seq=seq, grant=draft.grant, body=_canonical(entry), openings=openings)


def parse(body: bytes) -> Entry:
    """Raises ValueError."""
    return msgspec.json.decode(body, type=Entry)


def _canonical(entry: Entry) -> bytes:
    document = msgspec.to_builtins(entry)
    where = f"entry {entry.seq} ({entry.action})"
    try:
        body = canonical_json.dumps_plain(document)
    except ValueError as error:
        raise Unloggable(f"{where}: {error}") from error
    if body is None:
        raise Unloggable(f"{where}: {_unwritable(document, '')}")
    if len(body) > MOST_ENTRY_BYTES:
        raise Unloggable(
            f"{where} would be of {len(body)} bytes, at most {MOST_ENTRY_BYTES} are written: long texts belong to what is personal"
        )
    return body


def _unwritable(value: object, path: str) -> str:
    """Why; empty: it can be written. So narrow that any JSON library writes it the same way."""
    if isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, str) or not name.isascii():
                return f"{path}: the name {name!r} is not of ASCII letters"
            if said := _unwritable(one, f"{path}.{name}" if path else name):
                return said
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            if said := _unwritable(one, f"{path}[{index}]"):
                return said
    elif isinstance(value, float):
        return f"{path} is {value!r}: only whole numbers are written, others as texts"
    elif isinstance(value, int) and abs(value) > canonical_json.MOST:
        return f"{path} is {value}: beyond {canonical_json.MOST} numbers are written as texts"
    return ""
