"""Files of what a cluster was asked for: the profile of each request, and how long it stayed.

`history: [{profile: 1g.10gb, stayed: 5400}, ...]`, in seconds or any other unit: only their ratios count. `ended: false`
is of one that has stayed so long and still does, or still waits.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from aliquot import document
from aliquot.document import Document, nearest
from aliquot.partition.training import Stay


class Entry(Struct, frozen=True, omit_defaults=True):
    profile: str
    stayed: Annotated[float, Meta(ge=0)]
    ended: bool = True
    pod: str = ""
    """`namespace/name`; for the reader."""
    uid: str = ""
    """Of the pod: what is noted of it later takes the place of this."""


class _File(Struct):
    history: list[Entry]


def parse(text: str, profiles: Sequence[str], *, source: str) -> list[Stay]:
    """By index in `profiles`. Raises DocumentError."""
    parsed, entries = _read(text, profiles, source)
    if not entries:
        raise parsed.error(("history",), "the history is empty: there is nothing to learn from")
    index = {name: number for number, name in enumerate(profiles)}
    return [Stay(index[entry.profile], entry.stayed, entry.ended) for entry in entries]


def entries(text: str, profiles: Sequence[str], *, source: str) -> list[Entry]:
    """As they were written; there may be none. Raises DocumentError."""
    return _read(text, profiles, source)[1]


def spell(found: Iterable[Entry]) -> bytes:
    """One to a line."""
    lines = b",\n".join(map(msgspec.json.encode, found))
    return b'{"history": [\n' + lines + b"\n]}\n"


def _read(text: str, profiles: Sequence[str], source: str) -> tuple[Document, list[Entry]]:
    parsed = document.parse(text, source=source)
    found = parsed.into(_File).history
    for number, entry in enumerate(found):
        if entry.profile not in profiles:
            hint = nearest(entry.profile, profiles) or f"; there are {', '.join(profiles)}"
            raise parsed.error(
                ("history", number, "profile"), f"the board has no profile '{entry.profile}'{hint}"
            )
        if entry.ended and not entry.stayed:
            raise parsed.error(("history", number, "stayed"), "one that ended has stayed for more than 0")
    return parsed, found
