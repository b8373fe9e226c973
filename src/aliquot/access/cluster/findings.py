"""What is in a cluster and should not be, and what should be and is not. Pure.

Objects have to have been listed before the grants were: a grant counts before its first object is made, so what is there and
is of no grant has none.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aliquot.access.cluster import grants
from aliquot.access.cluster.grants import Part, Piece
from aliquot.access.cluster.naming import NAMESPACE, SENTINEL, account_user, grant_of, is_ours
from aliquot.access.core.life.grant import GrantSpec
from aliquot.clock import parse_rfc3339
from aliquot.kube import roles
from aliquot.kube.api.core import Event
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.decoding import JsonObject
from aliquot.kube.resources import EVENTS, Resource

BINDINGS = (roles.ROLE_BINDINGS, roles.CLUSTER_ROLE_BINDINGS)
ALARMS_S = 600.0
"""So long an Event of the sentinel counts as told now; it repeats what goes on."""
_ALL_ACCOUNTS = f"system:serviceaccounts:{NAMESPACE}"


class Sort(StrEnum):
    MISSING = "missing"
    """Of a grant that is active. Made anew."""
    CHANGED = "changed"
    """Of a grant that is active. Made anew."""
    LEFT_OVER = "left over"
    """Of a grant that has ended, or that nobody knows. Taken away."""
    BYPASS = "bypass"
    """Access that no grant gave: taken away where it has our name, and told in any case."""
    ALARM = "alarm"
    """Of the sentinel: its Event, by the reason's name."""


@dataclass(frozen=True, slots=True)
class Finding:
    sort: Sort
    resource: Resource
    namespace: str
    name: str
    grant: str
    """Empty: it says none."""
    why: str
    ours: bool = True
    """Whether it carries our name or label: the agent may delete nothing else."""

    @property
    def about(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.resource.kind} {place}{self.name}"

    def __str__(self) -> str:
        return f"{self.sort.value}: {self.about}: {self.why}"


Found = Mapping[Resource, Sequence[JsonObject]]
"""Objects of the kinds of `naming.KINDS`: bindings all, of the others those with the label at least."""


def findings(found: Found, live: Sequence[GrantSpec]) -> tuple[Finding, ...]:
    there = {
        (resource, one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for resource, objects in found.items()
        for one in objects
    }
    wanted: set[tuple[Resource, str, str]] = set()
    told: list[Finding] = []
    for spec in live:
        uids: dict[Part, str] = {}
        for piece in _pieces(spec):
            at = (piece.resource, piece.namespace or "", piece.name)
            wanted.add(at)
            owner_uid = uids.get(piece.owner, "") if piece.owner else ""
            one = there.get(at)
            if one is None:
                told.append(Finding(Sort.MISSING, *at, spec.id, "it is not there"))
                continue
            uids[piece.part] = one["metadata"]["uid"]
            if differs := grants.differences(piece, spec, one, owner_uid):
                told.append(Finding(Sort.CHANGED, *at, spec.id, ", ".join(differs)))
    known = frozenset(spec.id for spec in live)
    for at, one in there.items():
        if at not in wanted:
            told += _unwanted(at, one, known)
    return tuple(told)


def alarms(events: Iterable[Event], now_s: float) -> Iterator[Finding]:
    """What the sentinel has told within some minutes."""
    for one in events:
        if one.source.component != SENTINEL or one.type != "Warning":
            continue
        if now_s - _moment(one.last_timestamp) < ALARMS_S:
            yield Finding(Sort.ALARM, EVENTS, NAMESPACE, one.reason, "", one.message, ours=False)


def _moment(text: str | None) -> float:
    try:
        return parse_rfc3339(text or "")
    except ValueError:
        return 0.0


def _pieces(spec: GrantSpec) -> tuple[Piece, ...]:
    try:
        return grants.pieces(spec)
    except ValueError:
        # It can be none, and was never made.
        return ()


def _unwanted(at: tuple[Resource, str, str], one: JsonObject, known: Container[str]) -> Iterator[Finding]:
    resource, _, _ = at
    metadata = one["metadata"]
    marks = ObjectMeta(name=metadata["name"], labels=metadata.get("labels"))
    grant = grant_of(marks)
    if is_ours(marks):
        if grant in known:
            yield Finding(Sort.BYPASS, *at, grant, "it says that it is of a grant that has no such object")
        elif resource in BINDINGS and not _is_plain(one, grant):
            yield Finding(Sort.BYPASS, *at, grant, "it has a grant's name or label, and no grant made it")
        else:
            yield Finding(Sort.LEFT_OVER, *at, grant, "there is no such grant")
    elif resource in BINDINGS and (named := next(_of_ours(one.get("subjects") or ()), "")):
        yield Finding(Sort.BYPASS, *at, "", f"it binds {named}, whom grants alone may bind", ours=False)


def _is_plain(binding: JsonObject, grant: str) -> bool:
    """Whether it is what we would have made: then it was forgotten, and else it is somebody else's."""
    return bool(grant) and binding.get("subjects") == [grants.subject(grant)]


def _of_ours(subjects: Iterable[JsonObject]) -> Iterator[str]:
    for one in subjects:
        kind, name = one.get("kind", ""), one.get("name", "")
        if (
            (kind == "ServiceAccount" and one.get("namespace") == NAMESPACE)
            or (kind == "Group" and name == _ALL_ACCOUNTS)
            or (kind == "User" and name.startswith(account_user("")))
        ):
            yield f"{kind} {name}"
