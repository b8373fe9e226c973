"""metadata.managedFields: who wrote which field, kept over every write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.schema.shapes import Shape


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: `manager` as in ?fieldManager (or the user agent's first word), at `now` (RFC 3339)."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""


def track_update(
    live: dict[str, Any] | None,
    new: dict[str, Any],
    shape: Shape,
    writer: Writer,
    reset_fields: Sequence[tuple[str, ...]] = (),
) -> dict[str, Any]:
    """`new` with managedFields after a create, update or patch by `writer` (operation Update).

    `live` is the stored object (None: create). `reset_fields` are the paths this endpoint ignores, such as
    `("status",)`; nobody comes to own them. When nothing but times would change, the times stay.
    """
    raise NotImplementedError
