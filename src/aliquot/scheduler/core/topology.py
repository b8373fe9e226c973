"""Where nodes are: domains within domains, by the labels that a Topology names, coarse to fine.

A domain is named by its labels from the top down: rack 1 of block a is not rack 1 of block b. A node that lacks a label is
in no domain of that level, nor of a finer one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Domain: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    levels: tuple[str, ...]
    """Node labels, coarse to fine."""

    def depth(self, level: str) -> int:
        """How many labels name a domain of the level. Raises KeyError."""
        try:
            return self.levels.index(level) + 1
        except ValueError:
            raise KeyError(level) from None


def domain_of(labels: Mapping[str, str], levels: Collection[str]) -> Domain | None:
    found = tuple(labels.get(level, "") for level in levels)
    return None if "" in found else found


def domains(
    nodes: Iterable[tuple[str, Mapping[str, str]]], levels: Collection[str]
) -> dict[Domain, list[str]]:
    """Names of nodes by domain; `nodes` with their labels."""
    found: dict[Domain, list[str]] = {}
    for name, labels in nodes:
        domain = domain_of(labels, levels)
        if domain is not None:
            found.setdefault(domain, []).append(name)
    return found
