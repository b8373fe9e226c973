"""What pods asked for and how long they stayed, as far as a cluster still knows. Pure."""

from collections.abc import Iterable, Sequence

from aliquot.clock import parse_rfc3339
from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.core import Pod
from aliquot.kube.resources import key
from aliquot.partition.asked import MOST_OF_A_POD, asked_of, slice_for
from aliquot.partition.demand import Classes
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.history_file import Entry
from aliquot.partition.policies.learned import shape

_LEAST_S = 1.0
"""Kubernetes notes whole seconds."""


class History:
    """Of the slices of one board. `ordinary`: those of its profiles that others count as. Holds what was `noted` before,
    also of pods that are gone by now."""

    def __init__(
        self, board: GpuFacts, ordinary: Sequence[InstanceProfile], noted: Iterable[Entry] = ()
    ) -> None:
        self._board = board
        self._name_of = {shape(profile): profile.name for profile in ordinary}
        self._by_uid: dict[str, list[Entry]] = {}
        self._nobodys: list[Entry] = []
        for entry in noted:
            (self._by_uid.setdefault(entry.uid, []) if entry.uid else self._nobodys).append(entry)

    def entries(self) -> list[Entry]:
        return [*self._nobodys, *(entry for found in self._by_uid.values() for entry in found)]

    def see(self, pod: Pod, classes: Classes, now_s: float, *, gone: bool = False) -> list[Entry]:
        """Note it as it is, in the place of what was noted of it; empty: it asks for no slice of the board. `gone`: it was
        deleted just now."""
        profiles = self._slices(pod, classes)
        if not profiles:
            return []
        start_s = parse_rfc3339(pod.status.start_time) if pod.status.start_time else None
        end_s = _end_s(pod) if pod.status.has_ended else now_s if gone else None
        stayed = (
            0.0 if start_s is None else round(max((now_s if end_s is None else end_s) - start_s, _LEAST_S), 3)
        )
        # Of one that never had its slice nobody knows how long it would have stayed.
        ended = start_s is not None and end_s is not None
        found = [Entry(name, stayed, ended, key(pod), pod.metadata.uid) for name in profiles]
        self._by_uid[pod.metadata.uid] = found
        return found

    def _slices(self, pod: Pod, classes: Classes) -> list[str]:
        found = []
        for resource, count in sorted(asked_of(pod).items()):
            profile = slice_for(resource, classes, self._board)
            name = self._name_of.get(shape(profile)) if profile is not None else None
            if name is not None:
                found += [name] * min(count, MOST_OF_A_POD)
        return found


def _end_s(pod: Pod) -> float | None:
    """When the last of its containers ended; of one that was put an end to before they said, when its conditions did."""
    status = pod.status
    ended = [
        one.state.terminated.finished_at
        for one in (*(status.container_statuses or ()), *(status.init_container_statuses or ()))
        if one.state.terminated is not None
    ]
    stamps = [stamp for stamp in ended if stamp] or [
        one.last_transition_time for one in status.conditions or () if one.last_transition_time
    ]
    return max(map(parse_rfc3339, stamps), default=None)
