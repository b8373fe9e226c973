"""Pods by the group object that they name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aliquot.kube.api.core import Pod
from aliquot.kube.api.podgroup import PodCounts
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key


class Members:
    """`group` is the key of what a pod names, empty: nothing. `changed` is called with the key of a group of which a pod came,
    changed or went."""

    def __init__(
        self, pods: Cache[Pod], *, group: Callable[[Pod], str], changed: Callable[[str], None]
    ) -> None:
        self._pods = pods
        self._group = group
        self._changed = changed
        self._of: dict[str, dict[str, Pod]] = {}

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it."""
        self._of.clear()
        return self._pods.subscribe(self._pod_changed)

    def of(self, group: str) -> Iterable[Pod]:
        return self._of.get(group, {}).values()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        before = self._group(old) if old is not None else ""
        after = self._group(new) if new is not None else ""
        if before and before != after:
            assert old is not None
            left = self._of.get(before, {})
            left.pop(key(old), None)
            if not left:
                self._of.pop(before, None)
            self._changed(before)
        if after:
            assert new is not None
            self._of.setdefault(after, {})[key(new)] = new
            self._changed(after)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The pods of one group."""

    counts: PodCounts
    waiting: tuple[Pod, ...] = ()
    """They have no node."""
    bound: frozenset[str] = frozenset()
    """Keys of those that have one, and have not ended."""


def gathered(pods: Iterable[Pod]) -> Gathered:
    waiting, bound, running, succeeded, failed = [], [], 0, 0, 0
    for pod in pods:
        match pod.status.phase:
            case "Succeeded":
                succeeded += 1
            case "Failed":
                failed += 1
            case phase if pod.spec.node_name:
                bound.append(key(pod))
                running += phase == "Running"
            case _:
                waiting.append(pod)
    counts = PodCounts(
        pending=len(waiting), scheduled=len(bound), running=running, succeeded=succeeded, failed=failed
    )
    return Gathered(counts, tuple(waiting), frozenset(bound))
