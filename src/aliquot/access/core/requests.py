"""What somebody asks for, resolved to the rules that they would get; once agreed to it is a grant with the same id.

A request never changes. Its digest is over all of it, and whoever agrees names the digest: what they agreed to cannot become
something else afterwards.
"""

import hashlib
import re

from msgspec import Struct

from aliquot.access.core.people import Person
from aliquot.access.core.rules import Rule
from aliquot.access.core.spelling import canonical

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
ID_PATTERN = rf"r[0-7][{_CROCKFORD}]{{25}}"
_ID = re.compile(ID_PATTERN, re.ASCII)
RANDOM_BYTES = 10
"""Of an id."""


class Request(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    id: str
    template: str
    template_digest: str
    """Of the template as it was when this was asked for."""
    requester: Person
    cluster: str
    namespace: str = ""
    """Empty: cluster-wide."""
    parameters: dict[str, str] = {}
    rules: tuple[Rule, ...]
    duration_s: int
    """Of an extension: how much longer."""
    start_s: float | None = None
    """None: once whoever asked activates it."""
    justification: str
    ticket: str = ""
    emergency: bool = False
    """Given by the requester to themselves, to be judged afterwards."""
    extends: str = ""
    """The grant that this is to make longer."""
    asked_at_s: float


def new_id(now_s: float, randomness: bytes) -> str:
    """A ULID in lower case behind an `r`, so that it can be part of a Kubernetes name. `randomness`: RANDOM_BYTES of it."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"an id takes {RANDOM_BYTES} bytes of randomness, not {len(randomness)}")
    number = int.from_bytes(int(now_s * 1000).to_bytes(6) + randomness)
    return "r" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def made_at_s(request_id: str) -> float:
    """As an id says."""
    number = 0
    for character in request_id[1:]:
        number = number << 5 | _CROCKFORD.index(character)
    return (number >> 8 * RANDOM_BYTES) / 1000


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def digest(request: Request) -> str:
    return "sha256:" + hashlib.sha256(canonical(request)).hexdigest()
