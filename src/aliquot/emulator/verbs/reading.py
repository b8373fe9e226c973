"""Get and list: one object or a page of many, at the present or at a past revision."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.emulator import statuses
from aliquot.emulator.field_selectors import FieldSelector, parse_fields
from aliquot.emulator.http.request import Query, parse_uint
from aliquot.emulator.objects import Json
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.errors import FieldError, forbidden, not_supported
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.conversion import from_stored
from aliquot.emulator.storage.log import Compacted
from aliquot.emulator.storage.records import Record
from aliquot.emulator.storage.store import Store
from aliquot.emulator.verbs.call import Call
from aliquot.kube.selectors import LabelSelector, SelectorError, parse_labels

MATCH = "resourceVersionMatch"
_INCONSISTENT = -1
_TOKEN_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class _LabelsOnly(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _LabelsOnly


_labels = msgspec.json.Decoder(_Labelled)


class _PlaceOnly(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str | None = None


class _Placed(msgspec.Struct):
    spec: _PlaceOnly = _PlaceOnly()


_placed = msgspec.json.Decoder(_Placed)


def _node_of(record: Record) -> str:
    return _placed.decode(record.body).spec.node_name or ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource a list, a watch or a delete of many is about."""

    served: Served
    namespace: str | None
    """None: all of them."""
    name: str | None
    labels: LabelSelector
    fields: FieldSelector

    @property
    def by_content(self) -> bool:
        """Whether an object may come to be selected, or cease to be, as it changes."""
        return not self.labels.empty or self._reads_fields

    @property
    def _reads_fields(self) -> bool:
        return any(term.field not in ("metadata.name", "metadata.namespace") for term in self.fields.terms)

    @property
    def node(self) -> str:
        """The one node that all of it is on, as pods are; empty: it is of any."""
        return (self.fields.exact("spec.nodeName") or "") if self.served.crd is None else ""

    def candidates(self, store: Store) -> Sequence[Record]:
        """All that it may be about now, in the order of a list."""
        if self.node:
            return store.having(self.served.storage, _node_of, self.node)
        return store.list(self.served.storage, self.namespace).records

    def matches(self, store: Store, record: Record) -> bool:
        if self.namespace is not None and record.namespace != self.namespace:
            return False
        if self.name is not None and record.name != self.name:
            return False
        if not self.labels.empty and not self.labels.matches(_labels.decode(record.body).metadata.labels):
            return False
        if self.fields.empty:
            return True
        if self.served.crd is None and not all(mark in record.body for mark in self.fields.marks):
            return False
        return self.fields.matches(self._readable(store, record))

    def _readable(self, store: Store, record: Record) -> Mapping[str, Any]:
        if not self._reads_fields:
            return {"metadata": {"namespace": record.namespace, "name": record.name}}
        if self.served.crd is not None:
            return shown(store, self.served, record)
        return store.view(record)


def selection(call: Call) -> Selection:
    """Raises StatusError 400 for selectors that cannot be read."""
    query, resource = call.request.query, call.served.resource
    try:
        labels = parse_labels(query.text("labelSelector"))
        fields = parse_fields(
            query.text("fieldSelector"),
            resource.group,
            resource.kind,
            custom=resource.custom,
            selectable=call.served.selectable,
        )
    except SelectorError as error:
        raise statuses.bad_request(str(error)) from error
    namespace = call.namespace or None
    return Selection(call.served, namespace, fields.exact("metadata.name"), labels, fields)


@dataclass(frozen=True, slots=True)
class Page:
    records: Sequence[Record]
    metadata: dict[str, Any]
    """The list's: resourceVersion, continue, remainingItemCount."""


def revision_asked(query: Query) -> int | None:
    """`?resourceVersion`; None where it is not set. Raises StatusError 400."""
    text = query.text("resourceVersion")
    if not text:
        return None
    try:
        return parse_uint(text)
    except ValueError as error:
        raise statuses.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": {error}'
        ) from None


def bad_list_option(error: FieldError) -> StatusError:
    return statuses.invalid_options("ListOptions", [error])


def list_page(store: Store, call: Call) -> Page:
    """Raises StatusError."""
    query, chosen = call.request.query, selection(call)
    query.number("timeoutSeconds")
    if query.has("sendInitialEvents"):
        raise bad_list_option(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    limit = query.number("limit") or 0
    if limit < 0:
        raise statuses.bad_request("limit must be 0 or more")
    token = query.text("continue")
    at, after = _decode_token(token) if token else (_revision_wanted(store, query, limit), None)
    try:
        return _collect(store, call.served, chosen, at, after, limit)
    except Compacted as compacted:
        if token and after is not None:
            raise statuses.expired(_TOKEN_TOO_OLD, continue_=_token(_INCONSISTENT, after)) from None
        raise statuses.too_old(compacted.asked, compacted.oldest) from None


def _collect(
    store: Store,
    served: Served,
    chosen: Selection,
    at: int | None,
    after: tuple[str, str] | None,
    limit: int,
) -> Page:
    """Reads on until the page is full: a selector may leave out whole stretches."""
    if at is None and chosen.node:
        return _of_one_node(store, chosen, after, limit)
    records: list[Record] = []
    everything = chosen.name is None and not chosen.by_content and chosen.fields.empty
    while True:
        listing = store.list(served.storage, chosen.namespace, at=at, after=after, limit=limit)
        at = listing.revision
        found = listing.records if everything else [r for r in listing.records if chosen.matches(store, r)]
        room = limit - len(records) if limit else len(found)
        records += found[:room]
        if listing.records:
            last = found[room - 1] if limit and len(found) > room else listing.records[-1]
            after = (last.namespace, last.name)
        full = limit and len(records) >= limit
        more = listing.remaining > 0 or len(found) > room
        if full or not more:
            break
    metadata: dict[str, Any] = {"resourceVersion": str(at)}
    if limit and more and after is not None:
        metadata["continue"] = _token(at, after)
        if everything:
            metadata["remainingItemCount"] = listing.remaining
    return Page(records, metadata)


def _of_one_node(store: Store, chosen: Selection, after: tuple[str, str] | None, limit: int) -> Page:
    """Of the present."""
    found = [record for record in chosen.candidates(store) if chosen.matches(store, record)]
    if after is not None:
        found = [record for record in found if (record.namespace, record.name) > after]
    metadata: dict[str, Any] = {"resourceVersion": str(store.revision)}
    if limit and len(found) > limit:
        found = found[:limit]
        metadata["continue"] = _token(store.revision, (found[-1].namespace, found[-1].name))
    return Page(found, metadata)


def _revision_wanted(store: Store, query: Query, limit: int) -> int | None:
    """At which past revision to list; None for the present."""
    asked, match = revision_asked(query), query.text(MATCH)
    if match not in ("", "Exact", "NotOlderThan"):
        raise bad_list_option(not_supported(MATCH, match, ("Exact", "NotOlderThan", "")))
    if match and asked is None:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise bad_list_option(forbidden(MATCH, why))
    if match == "Exact" and asked == 0:
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise bad_list_option(forbidden(MATCH, why))
    if not asked:
        return None
    if asked > store.revision:
        raise statuses.not_there_yet(asked, store.revision)
    return asked if match == "Exact" or (limit and not match) else None


def _token(revision: int, after: tuple[str, str]) -> str:
    return urlsafe_b64encode(msgspec.json.encode([revision, *after])).decode()


def _decode_token(token: str) -> tuple[int | None, tuple[str, str]]:
    try:
        revision, namespace, name = msgspec.json.decode(
            urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=tuple[int, str, str]
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise statuses.bad_request(f"continue key is not valid: {error}") from error
    return (None if revision == _INCONSISTENT else revision), (namespace, name)


def shown(store: Store, served: Served, record: Record) -> Json:
    """The object in the form that `served` shows, for looking at."""
    return from_stored(served, store.view(record))
