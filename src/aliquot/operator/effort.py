"""What the operator does, counted: looks of its loops, and calls that each node has cost the API server."""

from collections import Counter
from collections.abc import Mapping


class Effort:
    def __init__(self) -> None:
        self._by_node: dict[str, Counter[str]] = {}
        self._writes: Counter[str] = Counter()
        self._looks: Counter[str] = Counter()

    def looked(self, loop: str) -> None:
        self._looks[loop] += 1

    def wrote(self, what: str, node: str = "") -> None:
        """`node`: of which, where it is one node's."""
        self._writes[what] += 1
        if node:
            self._by_node.setdefault(node, Counter())[what] += 1

    def forget(self, node: str) -> None:
        self._by_node.pop(node, None)

    @property
    def looks(self) -> Mapping[str, int]:
        """By loop."""
        return self._looks

    @property
    def writes(self) -> Mapping[str, int]:
        """By what was written."""
        return self._writes

    @property
    def by_node(self) -> Mapping[str, Mapping[str, int]]:
        """Of the nodes that are there, by what was written."""
        return self._by_node
