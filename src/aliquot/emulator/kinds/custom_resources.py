"""CustomResourceDefinitions: their names, conditions and end. Pure.

A CRD is accepted at the moment it is written, not later by a controller: who created it may use it at once. Its
end is as Kubernetes': a finalizer holds it until its objects are gone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.objects import Json, metadata, with_metadata

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"

_NAMES = ("plural", "singular", "kind", "listKind")


def begin(crd: Json, now: float) -> Json:
    """A new CRD, its names completed, its end guarded."""
    finalizers = [*(metadata(crd).get("finalizers") or ()), CLEANUP]
    return with_metadata(_complete(crd), finalizers=list(dict.fromkeys(finalizers)))


def go_on(new: Json, old: Json, now: float) -> Json:
    """The successor of `old`: to be judged anew by `judge`."""
    return _complete(new)


def _complete(crd: Json) -> Json:
    """Runs before validation: what is missing is left for it to find."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind")
    derived = {"singular": kind.lower(), "listKind": kind + "List"} if kind else {}
    complete = {"conversion": {"strategy": "None"}, **spec, "names": {**derived, **names}}
    if spec.get("versions"):
        unsaid = {"served": False, "storage": False}
        complete["versions"] = [unsaid | version for version in spec["versions"]]
    return {**crd, "spec": complete}


def judge(crd: Json, others: Iterable[Mapping[str, Any]], now: float) -> Json:
    """`crd`, which is valid, with the status that its names deserve beside those of `others`, which came first."""
    spec, status = crd["spec"], crd.get("status") or {}
    names = spec["names"]
    clash = _clash(crd, others)
    was = {found.get("type", ""): found for found in status.get("conditions") or ()}
    if clash is None:
        accepted = names
        named = _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
        reason, message = "InitialNamesAccepted", "the initial names have been accepted"
        established = _condition("Established", "True", reason, message)
    else:
        accepted = status.get("acceptedNames") or {"plural": "", "kind": ""}
        named = _condition("NamesAccepted", "False", *clash)
        established = _condition("Established", "False", "NotAccepted", "not all names are accepted")
        if was.get("Established", {}).get("status") == "True":
            # Once established it stays so, under the names that it was accepted with.
            established = was["Established"]
    conditions = [_since(found, was.get(found["type"]), now) for found in (named, established)]
    conditions += [found for kind, found in was.items() if kind not in ("NamesAccepted", "Established")]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    stored = list(dict.fromkeys([*(status.get("storedVersions") or ()), storage]))
    return {**crd, "status": {"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}}


def terminating(crd: Json, now: float) -> Json:
    status = crd.get("status") or {}
    condition = _condition(
        "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
    )
    conditions = [found for found in status.get("conditions") or () if found.get("type") != "Terminating"]
    return {**crd, "status": {**status, "conditions": [*conditions, _since(condition, None, now)]}}


def is_terminating(crd: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in metadata(crd)


def _clash(crd: Json, others: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """(reason, message) of the first name that somebody else of the group holds."""
    group, own = crd["spec"]["group"], crd["spec"]["names"]
    taken: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != group or metadata(other)["name"] == metadata(crd)["name"]:
            continue
        held = (other.get("status") or {}).get("acceptedNames") or {}
        taken.update(name for name in (held.get("plural"), held.get("singular")) if name)
        taken.update(held.get("shortNames") or ())
        kinds.update(name for name in (held.get("kind"), held.get("listKind")) if name)
    for field in _NAMES:
        if own[field] in (kinds if field in ("kind", "listKind") else taken):
            reason = field[0].upper() + field[1:] + "Conflict"
            return reason, f'"{own[field]}" is already in use'
    for short in own.get("shortNames") or ():
        if short in taken:
            return "ShortNamesConflict", f'"{short}" is already in use'
    return None


def _condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _since(condition: dict[str, str], before: Mapping[str, str] | None, now: float) -> dict[str, str]:
    began = rfc3339(now)
    if before is not None and before.get("status") == condition["status"]:
        began = before.get("lastTransitionTime", began)
    return {**condition, "lastTransitionTime": began}
