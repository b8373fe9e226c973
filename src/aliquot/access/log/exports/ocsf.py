"""OCSF 1.6 events: what a grant gave and took away as User Access Management (3005), all else as Entity Management (3004).

Who holds a grant, and what it is for, is told once, when it is asked for: it is remembered from there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from aliquot import __version__
from aliquot.access.log.dump import Recorded
from aliquot.access.log.entries import Actor, Entry
from aliquot.clock import parse_rfc3339

VERSION = "1.6.0"

ENTITY_MANAGEMENT, USER_ACCESS_MANAGEMENT = 3004, 3005
CREATE, UPDATE, OTHER = 1, 3, 99
ASSIGN, REVOKE = 1, 2
INFORMATIONAL, MEDIUM, HIGH = 1, 3, 4
SUCCESS, FAILURE = 1, 2

_ACCESS = {"grant.active": ASSIGN, "grant.made": ASSIGN, "grant.ended": REVOKE}
_NEVER_GIVEN = {"approved", "scheduled"}
"""What ends from there took nothing away."""
_SEVERITY = {
    "killswitch.pulled": HIGH,
    "grant.not_made": MEDIUM,
    "grant.not_removed": HIGH,
    "review.overdue": MEDIUM,
    "finding.seen": HIGH,
}
ASKED = "request.asked"
_FAILED = {"grant.not_made", "grant.not_removed"}


class _Asked(Struct, frozen=True):
    holder: Actor
    template: str
    cluster: str
    namespace: str


def ocsf(recorded: Iterable[Recorded], earlier: Iterable[Recorded] = ()) -> Iterator[dict[str, Any]]:
    """`earlier`: entries before these, which are not told again, for what was asked in them."""
    asked = {one.entry.grant: _asked(one.entry) for one in earlier if one.entry.action == ASKED}
    for one in recorded:
        entry = one.entry
        if entry.action == ASKED:
            asked[entry.grant] = _asked(entry)
        yield _event(one, asked.get(entry.grant))


def is_about_access(entry: Entry) -> bool:
    """Whose it is, and to what, is only told when it is asked for."""
    return entry.action in _ACCESS and entry.before not in _NEVER_GIVEN


def _event(one: Recorded, asked: _Asked | None) -> dict[str, Any]:
    entry = one.entry
    if is_about_access(entry):
        class_uid, activity = USER_ACCESS_MANAGEMENT, _ACCESS[entry.action]
        about = _access(entry, asked)
    else:
        class_uid, activity = ENTITY_MANAGEMENT, _activity(entry.action)
        about = {"entity": {"type": entry.action.partition(".")[0], "uid": entry.grant or entry.action}}
        if why := one.personal.get("request.justification", one.personal.get("justification")):
            about["comment"] = why
    return {
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": entry.action,
        "type_uid": class_uid * 100 + activity,
        "time": round(parse_rfc3339(entry.time) * 1000),
        "severity_id": _SEVERITY.get(entry.action, INFORMATIONAL),
        "status_id": FAILURE if entry.action in _FAILED or entry.action.startswith("refused.") else SUCCESS,
        "actor": {"user": _user(entry.actor), "idp": {"name": entry.actor.iss}}
        | ({"session": {"uid": entry.actor.credential}} if entry.actor.credential else {}),
        "metadata": {
            "version": VERSION,
            "product": {"name": "Aliquot", "vendor_name": "Aliquot", "version": __version__},
            "log_name": one.origin,
            "uid": f"{one.origin}/{entry.seq}",
            "sequence": entry.seq,
            "event_code": entry.action,
            "original_time": entry.time,
        }
        | ({"correlation_uid": entry.grant} if entry.grant else {}),
        "unmapped": {
            "before": entry.before,
            "after": entry.after,
            "request_digest": entry.request_digest,
            "policy_digest": entry.policy_digest,
            "details": entry.details,
        },
        **about,
    }


def _activity(action: str) -> int:
    if action == ASKED:
        return CREATE
    return OTHER if action.startswith("intends.") else UPDATE


def _access(entry: Entry, asked: _Asked | None) -> dict[str, Any]:
    if asked is None:
        return {"user": {"name": f"aliquot-bg-{entry.grant}", "type_id": 4}}
    return {
        "user": _user(asked.holder),
        "privileges": [asked.template],
        "resources": [
            {"type": "namespace" if asked.namespace else "cluster", "name": asked.namespace or asked.cluster}
        ],
    }


def _user(actor: Actor) -> dict[str, Any]:
    return {"uid": actor.sub, "domain": actor.iss, "type_id": 1}


def _asked(entry: Entry) -> _Asked:
    changed = entry.details.get("changed")
    request = changed.get("request") if isinstance(changed, Mapping) else None
    told = request if isinstance(request, Mapping) else {}
    return _Asked(entry.actor, *(str(told.get(name, "")) for name in ("template", "cluster", "namespace")))
