"""Pods that were decided on together are bound together: none of them before the devices of all are there.

A pod whose devices are there and that waits for the others is as good as bound to the rest of the scheduler. To the partitioner it
is so by its assignment, which is written on it as on those whose devices are made: else what it is to get could be given up
meanwhile. When one of them cannot have what it was to get, all of them are given back, and decided anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.cycle import Decision
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.preparing import Preparing


@dataclass(slots=True, eq=False)
class _Unit:
    job: str
    preparing: set[str] = field(default_factory=set)
    """Pods whose devices are being made."""
    ready: dict[str, Bind] = field(default_factory=dict)
    """Pods that wait for those."""


class Together:
    """`bind` is given what may be bound now. Told by Preparing of what became `ready` or was `refused`."""

    def __init__(self, *, mirror: Mirror, bind: Callable[[Bind], None]) -> None:
        self._mirror = mirror
        self._bind = bind
        self._unit_of: dict[str, _Unit] = {}
        """By pod."""
        self._units: dict[str, _Unit] = {}
        """By job: one at a time."""

    def submit(self, decision: Decision, preparing: Preparing) -> None:
        made = [bind for bind in decision.binds if bind.placed.reserved]
        unit = self._units.get(decision.job.key)
        if not made and unit is None:
            for bind in decision.binds:
                self._bind(bind)
            return
        # What is under way of the job goes on, and this with it.
        unit = self._unit(decision.job.key)
        binds = [self._mirror.reserve(bind) for bind in decision.binds]
        for bind in binds:
            self._unit_of[bind.pod.key] = unit
            if bind.placed.reserved:
                unit.preparing.add(bind.pod.key)
            else:
                unit.ready[bind.pod.key] = bind
        for bind in binds:
            if bind.placed.reserved:
                preparing.submit(bind.pod, bind.placed)

    def begun(self, job: str, pod: str) -> None:
        """Another leader began to make the devices of a pod of the job: whom else it decided on is not known."""
        unit = self._unit(job)
        unit.preparing.add(pod)
        self._unit_of[pod] = unit

    def ready(self, bind: Bind) -> None:
        """The pod's devices are there."""
        unit = self._unit_of.get(bind.pod.key)
        if unit is None:
            self._bind(bind)
            return
        unit.preparing.discard(bind.pod.key)
        unit.ready[bind.pod.key] = bind
        self._release(unit)

    def refused(self, pod: str, preparing: Preparing) -> None:
        """The pod does not get its devices, or is gone."""
        unit = self._unit_of.pop(pod, None)
        if unit is None:
            return
        others = unit.preparing - {pod}
        held = [bind for key, bind in unit.ready.items() if key != pod]
        self._dissolve(unit)
        for bind in held:
            if bind.placed.reserved:
                # It says so itself, and whoever reads that goes on with it.
                preparing.submit(bind.pod, bind.placed, written=True)
                others.add(bind.pod.key)
            else:
                self._mirror.give_back(bind.pod)
        for key in sorted(others):
            preparing.cancel(key, "another pod of its job could not be placed")

    def stop(self) -> None:
        """Leadership is lost: whoever leads next decides on those who are held."""
        for unit in list(self._units.values()):
            held = list(unit.ready.values())
            self._dissolve(unit)
            for bind in held:
                self._mirror.give_back(bind.pod)

    def _unit(self, job: str) -> _Unit:
        return self._units.setdefault(job, _Unit(job))

    def _release(self, unit: _Unit) -> None:
        if unit.preparing:
            return
        binds = list(unit.ready.values())
        self._dissolve(unit)
        for bind in binds:
            self._bind(bind)

    def _dissolve(self, unit: _Unit) -> None:
        self._units.pop(unit.job, None)
        for key in (*unit.preparing, *unit.ready):
            self._unit_of.pop(key, None)
