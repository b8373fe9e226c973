"""Where nodes are: domains within domains, by the labels that a Topology names, coarse to fine. Below them are the levels
within a node, which are of GPUs and need no label: see `gpu_domains`.

A domain is named by its labels from the top down: rack 1 of block a is not rack 1 of block b. A node that lacks a label is
in no domain of that level, nor of a finer one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from aliquot.kube.api.podgroup import NUMA_LEVEL, NVLINK_LEVEL

Domain: TypeAlias = tuple[str, ...]


class GpuLevel(StrEnum):
    """A level within a node. Neither is always the coarser: an NVLink bridge joins two GPUs of one NUMA node, an NVSwitch the
    GPUs of both."""

    NVLINK = NVLINK_LEVEL
    """GPUs that reach each other by NVLink, some of them over others."""
    NUMA = NUMA_LEVEL
    """GPUs that are near to the same CPUs and memory."""

    @property
    def in_words(self) -> str:
        return "NVLink domain" if self is GpuLevel.NVLINK else "NUMA node"


GPU_LEVELS: Mapping[str, GpuLevel] = {level.value: level for level in GpuLevel}


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
