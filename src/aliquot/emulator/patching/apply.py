"""Server-side apply: merge what a manager applies into the live object, by field ownership.

1. Lay the applied object over the live one.
2. Take out what this manager applied last time and no longer applies, unless somebody else owns it.
3. Fields that others own and that now differ are conflicts, unless forced; then they change hands.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aliquot.emulator.patching import field_set, managed_fields, structured
from aliquot.emulator.patching.errors import PatchError, bad_request
from aliquot.emulator.patching.field_set import FieldSet
from aliquot.emulator.patching.managed_fields import Ledger, Owner, Ownership, Writer
from aliquot.emulator.schema.shapes import Shape

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BEFORE_FIRST_APPLY = "before-first-apply"


class _Conflicts(Exception):
    """(owner, path) of every field that the apply would take from somebody."""

    def __init__(self, conflicts: Iterable[tuple[Owner, field_set.Path]]) -> None:
        super().__init__()
        self.conflicts = list(conflicts)


def server_side_apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    shape: Shape,
    writer: Writer,
    *,
    force: bool = False,
    reset_fields: Sequence[tuple[str, ...]] = (),
) -> dict[str, Any]:
    """The object after `writer` applied `applied`: merged, with managedFields; decode and default it next.

    An apply that changes nothing answers `live` with at most a new owner in it. Raises PatchError: 409 Conflict
    with one cause for each field that others own, 400 for managedFields in `applied`, 500 (as Kubernetes does)
    for an object that does not fit `shape`.
    """
    if managed_fields.entries_of(applied) is not None:
        raise bad_request("metadata.managedFields must be nil")
    check_applied(applied, shape, writer.api_version)
    ignored = field_set.make(*reset_fields)
    base = dict(shape.skeleton) if live is None else managed_fields.without_entries(live)
    ledger = managed_fields.ledger_of(live)
    if not ledger and live is not None:
        first = Writer(_BEFORE_FIRST_APPLY, writer.api_version, writer.now)
        ledger = managed_fields.take({}, shape.zero, base, shape, first)
    try:
        merged, ledger = _apply(base, applied, shape, writer, ledger, ignored, force=force)
    except _Conflicts as refused:
        conflicts = _not_from_last_apply(refused.conflicts, base, shape, writer)
        if conflicts:
            raise _conflict_error(conflicts) from None
        merged, ledger = _apply(base, applied, shape, writer, ledger, ignored, force=True)
    if writer.manager == "kubectl":
        merged = _with_last_applied(merged, applied)
    return managed_fields.with_entries(merged, ledger)


def check_applied(applied: dict[str, Any], shape: Shape, api_version: str) -> None:
    """Raises PatchError, 500 as Kubernetes does, for unknown fields, wrong types, or two items of one key."""
    try:
        structured.check(applied, shape)
    except structured.StructureError as error:
        called = f"{_where(applied)}; {_kind(applied, api_version)}"
        raise PatchError(500, "", f"failed to create typed patch object ({called}): {error}") from None


def not_convertible(applied: dict[str, Any], api_version: str, cause: str) -> PatchError:
    """Of what fits its schema and is no object of the kind all the same: a quantity that is none. 500, as Kubernetes does."""
    kind = _kind(applied, api_version)
    return PatchError(
        500,
        "",
        f"failed to convert new object ({_where(applied)}; {kind}) to proper version: "
        f"unable to convert unstructured object to {kind}: {cause}",
    )


def _where(applied: dict[str, Any]) -> str:
    metadata = applied.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _kind(applied: dict[str, Any], api_version: str) -> str:
    shown = api_version if "/" in api_version else f"/{api_version}"
    return f"{shown}, Kind={applied.get('kind', '')}"


def _apply(
    live: dict[str, Any],
    applied: dict[str, Any],
    shape: Shape,
    writer: Writer,
    ledger: Ledger,
    ignored: FieldSet,
    *,
    force: bool,
) -> tuple[dict[str, Any], Ledger]:
    ledger = managed_fields.reconciled(ledger, shape)
    owner = Owner.of(writer, applies=True)
    last = ledger.get(owner)
    fields = field_set.without(structured.fields_of(applied, shape), ignored)
    ledger = {**ledger, owner: Ownership(fields, writer.api_version, last.time if last else "")}
    merged = structured.merge(live, applied, shape)
    if last is not None and last.fields:
        merged = _prune(merged, shape, last.fields, ledger)
    found = structured.compare(live, merged, shape).without(ignored)
    changed = found.changed
    taken: dict[Owner, FieldSet] = {}
    for other, owned in ledger.items():
        if other != owner and (conflict := field_set.intersection(owned.fields, changed)):
            taken[other] = conflict
    if taken and not force:
        raise _Conflicts(
            (other, path) for other in sorted(taken, key=repr) for path in field_set.members(taken[other])
        )
    for other, conflict in taken.items():
        ledger[other] = ledger[other].owning(field_set.difference(ledger[other].fields, conflict))
    for other, owned in list(ledger.items()):
        if other != owner and found.removed:
            ledger[other] = owned.owning(field_set.difference(owned.fields, found.removed))
    own = field_set.difference(fields, managed_fields.NEVER_OWNED)
    noop = structured.same(live, merged)
    ledger[owner] = Ownership(own, writer.api_version, ledger[owner].time if noop else writer.now)
    return (live if noop else merged), {other: owned for other, owned in ledger.items() if owned.fields}


def _prune(merged: dict[str, Any], shape: Shape, last: FieldSet, ledger: Ledger) -> dict[str, Any]:
    """`merged` without what was applied last time, save what anybody (this manager included) owns now."""
    unowned = last
    for ownership in ledger.values():
        unowned = field_set.difference(unowned, ownership.fields)
    if not unowned:
        # Most applies say the same fields again. All of the object would be gone through to find that out.
        return merged
    return _pruned(merged, shape, last, ledger)


def _pruned(merged: dict[str, Any], shape: Shape, last: FieldSet, ledger: Ledger) -> dict[str, Any]:
    def named(fields: FieldSet) -> FieldSet:
        return field_set.with_named_fields(fields, shape)

    everything = named(structured.fields_of(merged, shape))
    dropped = named(last)
    pruned = structured.remove(merged, dropped, shape)
    owned: FieldSet = {}
    for ownership in ledger.values():
        owned = field_set.union(owned, ownership.fields)
    kept = field_set.union(named(structured.fields_of(pruned, shape)), named(owned))
    pruned = structured.remove(merged, field_set.difference(everything, kept), shape)
    # What went only because something around it went, and was never this manager's, comes back.
    kept = named(structured.fields_of(pruned, shape))
    gone = field_set.intersection(field_set.difference(everything, kept), dropped)
    result = structured.remove(merged, gone, shape)
    return result if isinstance(result, dict) else {}


# --- kubectl's move from client-side to server-side apply ---


def _not_from_last_apply(
    conflicts: list[tuple[Owner, field_set.Path]], live: dict[str, Any], shape: Shape, writer: Writer
) -> list[tuple[Owner, field_set.Path]]:
    """Conflicts less those on fields that kubectl itself last set by client-side apply."""
    text = _annotations(live).get(LAST_APPLIED)
    if writer.manager != "kubectl" or not text:
        return conflicts
    try:
        last = json.loads(text)
        structured.check(last, shape)
    except ValueError:
        return conflicts
    if not isinstance(last, dict) or last.get("apiVersion") != writer.api_version:
        return conflicts
    found = structured.compare(last, live, shape)
    mine = structured.fields_of(last, shape)
    for other in (found.modified, found.added, found.removed):
        mine = field_set.difference(mine, other)
    return [(owner, path) for owner, path in conflicts if not field_set.has(mine, path)]


def _with_last_applied(merged: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """Keeps kubectl's annotation true where there is one, so that client-side apply may be used again."""
    if not _annotations(merged).get(LAST_APPLIED):
        return merged
    metadata = dict(applied.get("metadata") or {})
    annotations = {key: value for key, value in _annotations(applied).items() if key != LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    text = json.dumps(
        {**applied, "metadata": metadata}, separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )
    annotations = {**_annotations(merged), LAST_APPLIED: text + "\n"}
    return {**merged, "metadata": {**merged["metadata"], "annotations": annotations}}


def _annotations(obj: dict[str, Any]) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


# --- conflicts ---


def _conflict_error(conflicts: list[tuple[Owner, field_set.Path]]) -> PatchError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {owner}",
            "field": field_set.path_text(path),
        }
        for owner, path in conflicts
    ]
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {owner}: {field_set.path_text(path)}"
    else:
        lines: list[str] = []
        previous = None
        for owner, path in conflicts:
            if owner != previous:
                lines.append(f"conflicts with {owner}:")
                previous = owner
            lines.append(f"- {field_set.path_text(path)}")
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return PatchError(409, "Conflict", message, {"causes": causes})
