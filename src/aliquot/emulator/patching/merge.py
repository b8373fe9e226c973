"""JSON merge patch, RFC 7386."""

from typing import Any


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """`document` with `patch` merged into it: null deletes, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return _copied(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


def _copied(value: Any) -> Any:
    """Of JSON, which is all that a patch holds."""
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value
