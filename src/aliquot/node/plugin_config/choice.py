"""Which of several configurations a node takes: the one that its label names, else what the fallbacks say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aliquot.document import nearest

LABEL = "nvidia.com/device-plugin.config"
DEFAULT = "default"


class Fallback(StrEnum):
    """For a node without the label, in the order given."""

    NAMED = "named"
    """The configuration called `default`."""
    SINGLE = "single"
    """The only one there is."""
    EMPTY = "empty"
    """None: an empty file."""


FALLBACKS = (Fallback.NAMED, Fallback.SINGLE, Fallback.EMPTY)


@dataclass(frozen=True, slots=True)
class Chosen:
    name: str
    """Empty: an empty file."""


@dataclass(frozen=True, slots=True)
class NotChosen:
    reason: str
    """One line."""


def choose(
    labels: Mapping[str, str],
    names: Collection[str],
    *,
    default: str = "",
    fallbacks: Sequence[Fallback] = FALLBACKS,
) -> Chosen | NotChosen:
    """`default` is taken before the fallbacks where it is given."""
    wanted = labels.get(LABEL, "")
    if wanted:
        return _named(wanted, names, f"label {LABEL}")
    if default:
        return _named(default, names, "the default")
    for fallback in fallbacks:
        if fallback is Fallback.NAMED and DEFAULT in names:
            return Chosen(DEFAULT)
        if fallback is Fallback.SINGLE and len(names) == 1:
            return Chosen(next(iter(names)))
        if fallback is Fallback.EMPTY:
            return Chosen("")
    there = ", ".join(sorted(names)) or "none"
    return NotChosen(f"the node has no label {LABEL}, and no fallback fits; there are {there}")


def _named(name: str, names: Collection[str], who: str) -> Chosen | NotChosen:
    if name in names:
        return Chosen(name)
    there = f"; there are {', '.join(sorted(names))}" if names else "; there is none"
    return NotChosen(f"{who} names '{name}', which is no configuration{nearest(name, names) or there}")
