"""JSON patch, RFC 6902."""

from typing import Any


def apply_json_patch(document: Any, patch: Any) -> Any:
    """`document` with the operations of `patch` done in order, all or none.

    Raises PatchError: 400 when `patch` is no list of operations, 422 when an operation cannot be done.
    """
    raise NotImplementedError
