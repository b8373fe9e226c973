"""Strategic merge patch: a merge patch that knows which lists are maps by key."""

from typing import Any

from aliquot.emulator.schema.shapes import Shape


def apply_strategic_merge_patch(
    document: dict[str, Any], patch: dict[str, Any], shape: Shape
) -> dict[str, Any]:
    """`document` with `patch` merged by the patch strategies of `shape`. Raises PatchError."""
    raise NotImplementedError
