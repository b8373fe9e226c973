"""metadata.managedFields: who wrote which field, kept over every write.

A `Ledger` is the decoded list: owner -> what it owns. Every write that is no server-side apply goes through
`track_update`: fields that it changed or added become the writer's, fields that it removed become nobody's.
Server-side apply itself stands in `apply.py`. After Kubernetes' managedfields package, including its small
print: reads and writes of the list by users (reset with `[]`), the ten oldest updaters kept apart, times that
only move when something was taken.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aliquot.clock import parse_rfc3339
from aliquot.emulator.patching import field_set, structured
from aliquot.emulator.patching.field_set import FieldSet
from aliquot.emulator.patching.first_fields import fields_of_new
from aliquot.emulator.schema.shapes import Shape

MAX_UPDATE_MANAGERS = 10
ANCIENT_CHANGES = "ancient-changes"

NEVER_OWNED = field_set.make(
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "creationTimestamp"),
    ("metadata", "selfLink"),
    ("metadata", "uid"),
    ("metadata", "clusterName"),
    ("metadata", "generation"),
    ("metadata", "managedFields"),
    ("metadata", "resourceVersion"),
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: `manager` as in ?fieldManager (or the user agent's first word), at `now` (RFC 3339)."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry's identity. An applier is the same at every `api_version`, which is then empty here."""

    manager: str
    applies: bool
    api_version: str
    subresource: str

    @classmethod
    def of(cls, writer: Writer, *, applies: bool) -> "Owner":
        return cls(
            writer.manager or "unknown", applies, "" if applies else writer.api_version, writer.subresource
        )

    def __str__(self) -> str:
        """As conflicts name it: `"kubectl" using v1`."""
        text = json.dumps(self.manager)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        return text if self.applies else f"{text} using {self.api_version}"


@dataclass(frozen=True, slots=True)
class Ownership:
    """What an owner owns, at which version it last wrote, and when (RFC 3339; empty when never told).

    `entry` is how this very ownership stands in the stored object: most writes touch few of the entries.
    """

    fields: FieldSet
    api_version: str
    time: str = ""
    entry: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    def owning(self, fields: FieldSet) -> "Ownership":
        return self if fields is self.fields else Ownership(fields, self.api_version, self.time)


Ledger: TypeAlias = dict[Owner, Ownership]


def decode(entries: Any, *, stored: bool = False) -> Ledger:
    """The ledger of a managedFields list. Raises ValueError with Kubernetes' text when it is malformed.

    The fields of a list that was `stored` by this server are not looked through again.
    """
    ledger: Ledger = {}
    for index, entry in enumerate(entries or ()):
        operation = entry.get("operation")
        if operation not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion"):
            raise ValueError("apiVersion must not be empty")
        fields_type = entry.get("fieldsType", "")
        if fields_type != "FieldsV1":
            word = f'invalid fieldsType "{fields_type}"' if fields_type else "missing fieldsType"
            raise ValueError(f"{word} in managed fields entry {index}")
        applies = operation == "Apply"
        owner = Owner(
            entry.get("manager", ""),
            applies,
            "" if applies else entry["apiVersion"],
            entry.get("subresource", ""),
        )
        fields = entry.get("fieldsV1") or {}
        if not stored:
            fields = field_set.checked(fields)
        ledger[owner] = Ownership(
            fields, entry["apiVersion"], entry.get("time") or "", entry if stored else None
        )
    return ledger


def encode(ledger: Ledger) -> list[dict[str, Any]]:
    """The managedFields list, entries and fields in Kubernetes' order."""
    entries = []
    for owner, owned in sorted(ledger.items(), key=_order):
        if owned.entry is not None:
            entries.append(owned.entry)
            continue
        entries.append(_entry(owner, owned.api_version, owned.time, field_set.ordered(owned.fields)))
    return entries


def _entry(owner: Owner, api_version: str, time: str, fields: FieldSet) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if owner.manager:
        entry["manager"] = owner.manager
    entry["operation"] = "Apply" if owner.applies else "Update"
    entry["apiVersion"] = api_version
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if owner.subresource:
        entry["subresource"] = owner.subresource
    return entry


def _order(item: tuple[Owner, Ownership]) -> tuple[bool, int, str, str, str]:
    owner, owned = item
    return not owner.applies, _seconds(owned.time), owner.manager, owned.api_version, owner.subresource


def _seconds(time: str) -> int:
    try:
        return int(parse_rfc3339(time)) if time else 0
    except ValueError:
        return 0


def ledger_of(obj: Mapping[str, Any] | None) -> Ledger:
    """The ledger of a stored object; a damaged one counts as none, so that nothing stops writing."""
    try:
        return decode(entries_of(obj), stored=True)
    except (ValueError, AttributeError, TypeError):
        return {}


def entries_of(obj: Mapping[str, Any] | None) -> Any:
    return (obj or {}).get("metadata", {}).get("managedFields")


def without_entries(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def with_entries(obj: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    bare = without_entries(obj)
    if ledger:
        bare["metadata"]["managedFields"] = encode(ledger)
    return bare


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
    ledger = _ledger_for_update(live, new, writer)
    if not ledger and live is not None:
        return without_entries(new)  # never tracked, or its owner asked to forget
    ignored = field_set.make(*reset_fields)
    after = without_entries(new)
    if live is None and not ledger:
        fields = fields_of_new(after, shape, NEVER_OWNED, ignored)
        if fields:
            owner = Owner.of(writer, applies=False)
            after["metadata"]["managedFields"] = [_entry(owner, writer.api_version, writer.now, fields)]
        return after
    before = shape.zero if live is None else without_entries(live)
    return with_entries(after, take(ledger, before, after, shape, writer, ignored))


def _ledger_for_update(live: Mapping[str, Any] | None, new: Mapping[str, Any], writer: Writer) -> Ledger:
    if writer.subresource:
        return ledger_of(live)
    entries = entries_of(new)
    if entries == entries_of(live):
        return ledger_of(live)
    if entries is not None and (not entries or entries == [{}]):
        return {}
    try:
        return decode(entries) or ledger_of(live)
    except (ValueError, AttributeError, TypeError):
        return ledger_of(live)


def take(
    ledger: Ledger, before: Any, after: Any, shape: Shape, writer: Writer, ignored: FieldSet = field_set.NONE
) -> Ledger:
    """The ledger after `writer` turned `before` into `after` without applying."""
    ledger = reconciled(ledger, shape)
    found = structured.compare(before, after, shape).without(ignored)
    changed = found.changed
    gone = field_set.union(changed, found.removed) if ledger else field_set.NONE
    ledger = {
        owner: owned.owning(field_set.difference(owned.fields, gone)) for owner, owned in ledger.items()
    }
    taken = field_set.difference(changed, NEVER_OWNED)
    if taken:
        owner = Owner.of(writer, applies=False)
        previous = ledger.get(owner)
        fields = field_set.union(taken, previous.fields) if previous else taken
        ledger[owner] = Ownership(fields, writer.api_version, writer.now)
    return _capped({owner: owned for owner, owned in ledger.items() if owned.fields})


def reconciled(ledger: Ledger, shape: Shape) -> Ledger:
    """The ledger for the schema as it is now; only those of custom kinds change under a running server."""
    if shape.name:
        return ledger
    return {owner: owned.owning(field_set.reconcile(owned.fields, shape)) for owner, owned in ledger.items()}


def _capped(ledger: Ledger) -> Ledger:
    """Merges the oldest updaters into one entry for each version when there are more than ten."""
    if len(ledger) <= MAX_UPDATE_MANAGERS:
        return ledger
    updaters = sorted(
        (owner for owner in ledger if not owner.applies),
        key=lambda owner: (_seconds(ledger[owner].time), owner.manager, owner.api_version, owner.subresource),
    )
    surplus = len(updaters) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return ledger
    ledger = dict(ledger)
    first_of: dict[str, Owner] = {}
    for owner in updaters:
        if surplus <= 0:
            break
        owned = ledger[owner]
        first = first_of.setdefault(owned.api_version, owner)
        if first is owner:
            continue
        bucket = Owner(ANCIENT_CHANGES, False, owned.api_version, "")
        if bucket not in ledger:
            ledger[bucket] = ledger.pop(first)
        ledger[bucket] = Ownership(
            field_set.union(owned.fields, ledger[bucket].fields), owned.api_version, owned.time
        )
        del ledger[owner]
        surplus -= 1
    return ledger
