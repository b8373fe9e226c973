"""What the doctor says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Weight(StrEnum):
    TO_DO = "to do"
    """Nothing comes of waiting: somebody has to do something."""
    NOTE = "note"
    """It is under way, or as somebody wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    weight: Weight
    kind: str
    """Of the objects that it is about: `Node`, `GPUPolicy`, `Deployment`; empty: the cluster."""
    names: tuple[str, ...] = ()
    reason: str
    """CamelCase; conditions' own where it is from one."""
    message: str
    advice: str = ""
    """What to do, or who does it."""


def grouped(findings: Iterable[Finding]) -> Sequence[Finding]:
    """What is the same of many is said once, with the advice for the first of them."""
    found: dict[tuple[Weight, str, str, str], Finding] = {}
    for one in findings:
        key = (one.weight, one.kind, one.reason, one.message)
        first = found.get(key)
        found[key] = one if first is None else replace(first, names=(*first.names, *one.names))
    return tuple(found.values())
