"""A job as one object draws it, before labels and annotations have their say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aliquot.kube.api.core import ObjectReference
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.quoted import quoted
from aliquot.scheduler.core.jobs import Group, TopologyWish

T_co = TypeVar("T_co", covariant=True)


class Refused(Exception):
    """What is said contradicts itself, or cannot be read: one line that names the place and the fix."""


class Served(Protocol[T_co]):
    """The objects of one kind, as far as the cluster serves it."""

    @property
    def is_open(self) -> bool:
        """False: the cluster has no such kind, or does not show it to us."""
        ...

    def get(self, key: str) -> T_co | None: ...

    def inside(self, key: str) -> Iterable[T_co]:
        """Those that name the one with that key as what they are in."""
        ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """What it leaves open (None, empty) is for labels, annotations and the pods to say."""

    source: ObjectReference
    key: str
    root: Group | None
    """None: the pod is a job of its own."""
    leaf: str = ""
    metadata: tuple[ObjectMeta, ...] = ()
    """Of the objects whose labels and annotations count before the pod's, those that count most first."""
    created: str | None = None
    queue: str = ""
    priority_class: str = ""
    priority: int | None = None
    preemptible: bool | None = None
    preemptible_by_priority: bool = False
    """As KAI has it where nobody says: below 100 it is."""
    max_runtime_s: float | None = None
    minimum_runtime_s: float | None = None
    stale_after_s: float | None = None
    after: tuple[tuple[str, bool], ...] = ()
    """Names of jobs in its namespace that have to end first; True: with success."""
    by_status: bool = False
    """It rests on the status of `source` too."""


def job_key(namespace: str, kind: str, group: str, *names: str) -> str:
    """`team-a/pytorchjob.kubeflow.org:mnist`. No object's name has a colon: it is nobody else's key, a pod's least of all."""
    return f"{namespace}/{kind.lower()}{'.' if group else ''}{group}:{':'.join(names)}"


def reference(api_version: str, kind: str, metadata: ObjectMeta) -> ObjectReference:
    return ObjectReference(
        api_version=api_version,
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
    )


def value(metadata: ObjectMeta, key: str) -> str:
    """Of a label or an annotation; empty where there is none."""
    return (metadata.labels or {}).get(key, "") or (metadata.annotations or {}).get(key, "")


def said(objects: Sequence[ObjectMeta]) -> dict[str, str]:
    """Labels and annotations of all of them. Of those with one key the first object's counts, and its label."""
    found: dict[str, str] = {}
    for one in reversed(objects):
        found.update(one.annotations or ())
        found.update(one.labels or ())
    return found


def first(said: Mapping[str, str], keys: Iterable[str]) -> tuple[str, str]:
    """The first of `keys` that says anything, with what it says; two empty strings where none does."""
    for key in keys:
        if found := said.get(key, ""):
            return key, found
    return "", ""


_MOST_OF_A_NUMBER = (1 << 31) - 1
"""As fields of Kubernetes' own kinds have it."""


def number(text: str, said_by: str, *, least: int = 1) -> int:
    """Raises Refused. `said_by` names the annotation or field."""
    try:
        found = int(text)
    except ValueError:
        raise Refused(f"{said_by} is {quoted(text)}: give a whole number") from None
    if found < least:
        raise Refused(f"{said_by} is {found}: give at least {least}")
    if found > _MOST_OF_A_NUMBER:
        raise Refused(f"{said_by} is {quoted(text)}: give at most {_MOST_OF_A_NUMBER}")
    return found


def of_roles(sizes: Mapping[str, int], minimum: int | None, said_by: str, elastic: str = "") -> Group:
    """A leaf for each role, all of them needed. Where `minimum` is below the sum, the role `elastic` (or else the largest) can do
    with less; where that is not enough, roles are not told apart.

    Raises Refused for a minimum that is above the sum.
    """
    total = sum(sizes.values())
    if not sizes:
        return Group(minimum=minimum or 1)
    if minimum is None or minimum == total:
        return _all_of(sizes)
    if minimum > total:
        raise Refused(f"{said_by} is {minimum}, above its {total} pods: lower it")
    if elastic not in sizes:
        elastic = max(sizes, key=lambda role: sizes[role])
    left = sizes[elastic] - (total - minimum)
    return _all_of({**sizes, elastic: left}) if left >= 0 else Group(minimum=minimum)


OTHERS = "*"
"""The leaf of pods that are in none of the named ones. No object is called so."""


def with_others(minima: Mapping[str, int]) -> Group:
    """A leaf for each name, all of them needed, and one for the rest of the pods, of which none is."""
    return _all_of({**minima, OTHERS: 0})


def _all_of(minima: Mapping[str, int]) -> Group:
    leaves = tuple(Group(name=role, minimum=minimum) for role, minimum in minima.items())
    return Group(minimum=len(leaves), groups=leaves)


@dataclass(frozen=True, slots=True)
class Part:
    """A group within another, as it is listed: by the name of its parent."""

    name: str
    parent: str = ""
    minimum: int | None = None
    """Of a leaf: pods. Of others: groups, and None stands for all."""
    topology: TopologyWish | None = None


def tree(parts: Sequence[Part], minimum: int | None, topology: TopologyWish | None, where: str) -> Group:
    """Parts that name their parents, as a tree. `minimum` counts those without a parent; None stands for all.

    Raises Refused for parts that are no tree, and for a minimum above what there is.
    """
    names = {part.name for part in parts}
    if len(names) < len(parts):
        raise Refused(f"{where}: two of its subGroups have one name")
    below: dict[str, list[Part]] = {}
    for part in parts:
        if part.parent and part.parent not in names:
            raise Refused(
                f"{where}: subGroup {part.name!r} is in {part.parent!r}, which is none of the subGroups"
            )
        below.setdefault(part.parent, []).append(part)
    placed = 0

    def grown(name: str, least: int | None, wish: TopologyWish | None) -> Group:
        nonlocal placed
        inner = below.get(name, ())
        placed += len(inner)
        if not inner:
            return Group(name=name, minimum=1 if least is None else least, topology=wish)
        if least is not None and least > len(inner):
            of = f"subGroup {name!r}" if name else "minSubGroup"
            raise Refused(f"{where}: {of} needs {least} subGroups and has {len(inner)}")
        groups = tuple(grown(part.name, part.minimum, part.topology) for part in inner)
        return Group(name=name, minimum=len(inner) if least is None else least, groups=groups, topology=wish)

    root = grown("", minimum, topology)
    if placed < len(parts):
        raise Refused(f"{where}: some of its subGroups are each other's parents: give one of them no parent")
    return root


def leaf_of(root: Group, metadata: ObjectMeta, keys: Sequence[str]) -> str:
    """The leaf that the pod names; the only one, where it names none. Raises Refused."""
    leaves = [leaf.name for leaf in root.leaves]
    key, named = first(said((metadata,)), keys)
    if named in leaves:
        return named
    if len(leaves) == 1 and not named:
        return leaves[0]
    known = ", ".join(leaves[:8]) + (", ..." if len(leaves) > 8 else "")
    if named and root.groups:
        raise Refused(f"{key} is {quoted(named)}: its group has {known}, give one of them")
    if not root.groups:
        return root.name
    raise Refused(f"its group has {known}: say which by the label {keys[0]}")
