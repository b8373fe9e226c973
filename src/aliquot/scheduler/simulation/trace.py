"""A cluster and the pods that come to it, as a trace file tells them."""

from dataclasses import dataclass

from aliquot.scheduler.core.fragmentation import Task


class TraceError(Exception):
    """A line that cannot be read: names file and line."""


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    model: str


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    task: Task
    memory_mib: int
