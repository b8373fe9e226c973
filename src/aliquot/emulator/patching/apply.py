"""Server-side apply: merge what a manager applies into the live object, by field ownership."""

from collections.abc import Sequence
from typing import Any

from aliquot.emulator.patching.managed_fields import Writer
from aliquot.emulator.schema.shapes import Shape


def server_side_apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    shape: Shape,
    writer: Writer,
    *,
    force: bool = False,
    reset_fields: Sequence[tuple[str, ...]] = (),
) -> dict[str, Any]:
    """The object after `writer` applied `applied`: merged, with managedFields, not yet defaulted.

    Raises PatchError: 409 Conflict with one cause for each field that others own, 400 for an object that does
    not fit `shape`. An apply that changes nothing answers `live` as it was.
    """
    raise NotImplementedError
