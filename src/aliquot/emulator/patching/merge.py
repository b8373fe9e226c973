"""JSON merge patch, RFC 7386."""

import copy
from typing import Any


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """`document` with `patch` merged into it: null deletes, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged
