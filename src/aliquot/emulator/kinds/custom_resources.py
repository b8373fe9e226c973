"""CustomResourceDefinitions: their names, conditions and end. Pure.

A CRD is accepted at the moment it is written, not later by a controller: who created it may use it at once. Its
end is as Kubernetes': a finalizer holds it until its objects are gone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.objects import Json, metadata, with_metadata

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"

_NAMES = ("plural", "singular", "shortNames", "kind", "listKind")
"""In the order in which they are judged: resources, then kinds."""


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
    accepted, clash = _accepted(crd, others)
    was = {found.get("type", ""): found for found in status.get("conditions") or ()}
    if clash is None:
        named = _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
        reason, message = "InitialNamesAccepted", "the initial names have been accepted"
        established = _condition("Established", "True", reason, message)
    else:
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


def waits_for_names(crd: Mapping[str, Any], group: str) -> bool:
    """Whether a definition of `group` goes without a name that another one had first."""
    status = crd.get("status") or {}
    wanted = crd["spec"]["group"] == group and crd["spec"]["names"] != status.get("acceptedNames")
    return wanted and not is_terminating(crd)


def terminating(crd: Json, now: float) -> Json:
    status = crd.get("status") or {}
    condition = _condition(
        "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
    )
    conditions = [found for found in status.get("conditions") or () if found.get("type") != "Terminating"]
    return {**crd, "status": {**status, "conditions": [*conditions, _since(condition, None, now)]}}


def is_terminating(crd: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in metadata(crd)


def _accepted(crd: Json, others: Iterable[Mapping[str, Any]]) -> tuple[Json, tuple[str, str] | None]:
    """The names that `crd` has, and the (reason, message) of the last that somebody else of its group holds."""
    group, wanted = crd["spec"]["group"], crd["spec"]["names"]
    resources, kinds = _held(group, metadata(crd)["name"], others)
    had = {"plural": "", "kind": "", **((crd.get("status") or {}).get("acceptedNames") or {})}
    accepted = {**had, "categories": wanted.get("categories")}
    clash = None
    for field in _NAMES:
        used = kinds if field in ("kind", "listKind") else resources
        asked, own = _listed(wanted.get(field)), _listed(had.get(field))
        if taken := [f'"{name}" is already in use' for name in asked if name in used and name not in own]:
            message = taken[0] if len(taken) == 1 else f"[{', '.join(taken)}]"
            clash = f"{field[0].upper()}{field[1:]}Conflict", message
        else:
            accepted[field] = wanted.get(field)
    return {name: value for name, value in accepted.items() if value is not None}, clash


def _held(group: str, but: str, others: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """(names of resources, names of kinds) that those of a group hold."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] == group and metadata(other)["name"] != but:
            held = (other.get("status") or {}).get("acceptedNames") or {}
            resources.update(name for field in _NAMES[:3] for name in _listed(held.get(field)))
            kinds.update(name for field in _NAMES[3:] for name in _listed(held.get(field)))
    return resources, kinds


def _listed(names: str | list[str] | None) -> list[str]:
    return names if isinstance(names, list) else [names] if names else []


def _condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _since(condition: dict[str, str], before: Mapping[str, str] | None, now: float) -> dict[str, str]:
    began = rfc3339(now)
    if before is not None and before.get("status") == condition["status"]:
        began = before.get("lastTransitionTime", began)
    return {**condition, "lastTransitionTime": began}
