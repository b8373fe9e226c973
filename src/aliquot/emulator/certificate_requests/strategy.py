"""What becomes of a CertificateSigningRequest on each of its endpoints: who asks and what is asked stays as it was."""

from base64 import b64decode
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.objects import Json, metadata

JUDGEMENTS = ("Approved", "Denied")

Condition = dict[str, Any]


def update(new: Json, old: Json, now: float) -> Json:
    """Of everything but status: nothing but metadata changes."""
    return {**new, "spec": old["spec"]}


def approval(new: Json, old: Json, now: float) -> Json:
    """Conditions alone."""
    conditions = _timed(_conditions(new), _conditions(old), now)
    return _with_status(new, old, {**(old.get("status") or {}), "conditions": conditions})


def status(new: Json, old: Json, now: float) -> Json:
    """The certificate and every condition but the judgements, which are approval's."""
    judged = [one for one in _conditions(old) if one.get("type") in JUDGEMENTS]
    others = [one for one in _conditions(new) if one.get("type") not in JUDGEMENTS]
    found = {**(new.get("status") or {}), "conditions": _timed([*judged, *others], _conditions(old), now)}
    return _with_status(new, old, {key: value for key, value in found.items() if value})


def _with_status(new: Json, old: Json, found: Json) -> Json:
    kept = {key: metadata(old)[key] for key in ("ownerReferences", "finalizers") if key in metadata(old)}
    rest = {
        key: value for key, value in metadata(new).items() if key not in ("ownerReferences", "finalizers")
    }
    return {**old, "metadata": {**rest, **kept}, "status": found}


def _conditions(obj: Json) -> list[Condition]:
    return list((obj.get("status") or {}).get("conditions") or ())


def _timed(conditions: list[Condition], old: list[Condition], now: float) -> list[Condition]:
    since = {(one.get("type"), one.get("status")): one.get("lastTransitionTime") for one in old}
    return [
        {
            **one,
            "lastUpdateTime": one.get("lastUpdateTime") or rfc3339(now),
            "lastTransitionTime": one.get("lastTransitionTime")
            or since.get((one.get("type"), one.get("status")))
            or rfc3339(now),
        }
        for one in conditions
    ]


def request_of(obj: Json) -> bytes:
    """The PEM of what is asked."""
    return b64decode((obj.get("spec") or {}).get("request") or "")
