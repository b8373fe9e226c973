"""JSON merge patch, RFC 7386."""

from typing import Any


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """`document` with `patch` merged into it: null deletes, objects merge, anything else replaces.

    What does not change is shared with `document`, lists with `patch`: neither is written to.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged
