"""How each kind of workload says which of its pods are needed together. One module for each family.

A grouper takes the workload, one of its pods, and the minimum that an annotation asks for (None: none does). It answers with the
pod's part of a job, or with None for a pod that is a job of its own.
"""

from dataclasses import dataclass

from aliquot.scheduler.core.jobs import Group


@dataclass(frozen=True, slots=True)
class Asked:
    """A minimum that an annotation asks for."""

    minimum: int | None = None
    said_by: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What a pod has of its workload's job, and that job."""

    root: Group
    leaf: str = ""
    name: str = ""
    """Which of the workload's jobs, where it has several."""
    queue: str = ""
    priority_class: str = ""
    max_runtime_s: float | None = None
    by_status: bool = False
    """It rests on the workload's status too."""
