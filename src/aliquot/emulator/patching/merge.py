"""JSON merge patch, RFC 7386."""

from typing import Any


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """`document` with `patch` merged into it: null deletes, objects merge, anything else replaces."""
    raise NotImplementedError
