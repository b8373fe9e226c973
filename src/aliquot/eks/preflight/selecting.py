"""Which of many things a selector takes: found by a label that it asks for, not by looking at each of them."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from aliquot.kube.selectors.labels import Operator, Requirement, from_object

T = TypeVar("T")

_ONE_VALUE = frozenset({Operator.EQUALS, Operator.DOUBLE_EQUALS, Operator.IN})


class Labelled(Generic[T]):
    """Things with labels, in namespaces."""

    def __init__(self, things: Iterable[tuple[str, Mapping[str, str], T]]) -> None:
        """`things`: namespace, labels, thing."""
        self._all: dict[str, list[tuple[Mapping[str, str], T]]] = {}
        self._by_label: dict[tuple[str, str, str], list[tuple[Mapping[str, str], T]]] = {}
        for namespace, labels, thing in things:
            self._all.setdefault(namespace, []).append((labels, thing))
            for key, value in labels.items():
                self._by_label.setdefault((namespace, key, value), []).append((labels, thing))

    def selected(self, namespace: str, selector: Any) -> list[T]:
        """In their order. An empty selector takes all of the namespace; None takes nothing. Raises SelectorError."""
        if selector is None:
            return []
        wanted = from_object(selector)
        fewest = self._all.get(namespace, [])
        for one in wanted.requirements:
            if _asks_for_one(one):
                with_it = self._by_label.get((namespace, one.key, one.values[0]), [])
                fewest = min(fewest, with_it, key=len)
        return [thing for labels, thing in fewest if wanted.matches(labels)]


def _asks_for_one(requirement: Requirement) -> bool:
    return requirement.operator in _ONE_VALUE and len(requirement.values) == 1
