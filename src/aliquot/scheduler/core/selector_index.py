"""Which selectors may select a pod, found by the pod's labels, so that a pod is not held against all there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakSet

from aliquot.scheduler.core.matching import Operator
from aliquot.scheduler.core.rules import PodSelector

T = TypeVar("T")

_Place: TypeAlias = tuple[str, str]
_ANYWHERE: _Place = ("", "")


class SelectorIndex(Generic[T]):
    """Things found under a label that one of their selectors asks for. Holds nothing alive."""

    def __init__(self) -> None:
        self._under: dict[_Place, WeakSet[T]] = {}

    def add(self, selectors: Sequence[PodSelector], thing: T) -> None:
        for place in [place for place, here in self._under.items() if not here]:
            del self._under[place]
        for place in _places(selectors):
            self._under.setdefault(place, WeakSet()).add(thing)

    def candidates(self, labels: Mapping[str, str]) -> Iterator[T]:
        """All whose selectors select a pod with these labels, each once, and others besides."""
        if self._under:
            for place in (_ANYWHERE, *labels.items()):
                yield from self._under.get(place, ())


def _places(selectors: Sequence[PodSelector]) -> list[_Place]:
    """A pod that all of them select is at exactly one."""
    for selector in selectors:
        for requirement in selector.requirements or ():
            if requirement.operator is Operator.IN:
                return [(requirement.key, value) for value in dict.fromkeys(requirement.values)]
    return [_ANYWHERE]
