"""Jobs that begin after others have ended: `aliquot.dev/after: prepare,scan:Ended`, or `after` of a PodGroup.

A job is named by what makes it, in the same namespace: a PodGroup, a Job, a PyTorchJob, a pod. Who waits for himself, through
whomever, waits for ever, and is told so.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from aliquot.kube.quoted import quoted
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Refused

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", re.ASCII)
"""What an object can be called."""


class Standing(Enum):
    MISSING = auto()
    RUNNING = auto()
    """It is there, and has not ended."""
    SUCCEEDED = auto()
    FAILED = auto()


ENDED = frozenset({Standing.SUCCEEDED, Standing.FAILED})


@dataclass(frozen=True, slots=True, order=True)
class After:
    name: str
    """`namespace/name` of what makes the job."""
    with_success: bool = True
    """False: any end will do."""


def read(namespace: str, text: str) -> tuple[After, ...]:
    """Raises Refused."""
    found = []
    for word in text.split(","):
        name, _, condition = word.strip().partition(":")
        if not _NAME.fullmatch(name) or condition not in ("", "Succeeded", "Ended"):
            raise Refused(
                f"{keys.AFTER} is {quoted(text)}: give names of jobs, with commas; name:Ended where any end will do"
            )
        found.append(After(f"{namespace}/{name}", condition != "Ended"))
    return tuple(sorted(set(found)))


def waits(
    names: Sequence[str],
    after: Sequence[After],
    standing_of: Callable[[str], Standing],
    after_of: Callable[[str], Iterable[After]],
) -> Reason | None:
    """What keeps the job from beginning; None: nothing does. `names`: what others may call it, what makes it first. `after_of`: what
    those wait for that have not begun."""
    if not after:
        return None
    circle = _circle(names, after, after_of)
    if circle:
        names = ", ".join(sorted(map(_bare, circle)))
        text = f"{names} wait for each other" if len(circle) > 1 else f"{names} waits for itself"
        return Reason(Kind.DEPENDENCY_CYCLE, f"{text}: take one out of {keys.AFTER}")
    standings = {one: standing_of(one.name) for one in after}
    for one, standing in standings.items():
        if standing is Standing.FAILED and one.with_success:
            fix = f"make it anew, or take it out of {keys.AFTER}"
            return Reason(Kind.DEPENDENCY_FAILED, f"{_bare(one.name)} was to succeed, and has failed: {fix}")
    awaited = [one for one, standing in standings.items() if standing not in ENDED]
    if not awaited:
        return None
    first = awaited[0]
    end = "succeed" if first.with_success else "end"
    others = f", and for {len(awaited) - 1} more" if len(awaited) > 1 else ""
    missing = ": there is no job of that name" if standings[first] is Standing.MISSING else ""
    return Reason(Kind.DEPENDENCY, f"waits for {_bare(first.name)} to {end}{others}{missing}")


def _circle(
    names: Sequence[str], after: Sequence[After], after_of: Callable[[str], Iterable[After]]
) -> frozenset[str]:
    """All who are on a way from the job back to itself; nobody, where there is none."""
    name = names[0]
    came_from: dict[str, set[str]] = {}
    to_see: list[str] = []

    def goes_on(here: str, others: Iterable[After]) -> None:
        for one in others:
            there = name if one.name in names else one.name
            came_from.setdefault(there, set()).add(here)
            to_see.append(there)

    goes_on(name, after)
    seen = {name}
    while to_see:
        here = to_see.pop()
        if here not in seen:
            seen.add(here)
            goes_on(here, after_of(here))
    if name not in came_from:
        return frozenset()
    circle: set[str] = set()
    back = [name]
    while back:
        here = back.pop()
        if here not in circle:
            circle.add(here)
            back += came_from.get(here, ())
    return frozenset(circle)


def _bare(name: str) -> str:
    return name.partition("/")[2]
