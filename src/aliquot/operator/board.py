"""How far each node is, and why upgrades are held back: what one loop of the operator found out and another tells."""

from collections.abc import Callable, Mapping

from aliquot.operator.core.summary import NodeStanding


class Board:
    """Nothing on it is remembered beyond the process: every loop finds it out again."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeStanding] = {}
        self._held_back: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._subscribers: list[Callable[[str], None]] = []

    @property
    def nodes(self) -> Mapping[str, NodeStanding]:
        return self._nodes

    def put_node(self, policy: str, standing: NodeStanding) -> None:
        if self._nodes.get(standing.name) != standing:
            self._nodes[standing.name] = standing
            self._tell(policy)

    def drop_node(self, name: str) -> None:
        """Told to nobody: that it is no node of the policy any more is seen where that is known."""
        self._nodes.pop(name, None)

    def held_back(self, policy: str) -> str:
        """Why drivers that could be upgraded are not; empty: none is."""
        return self._held_back.get(policy, "")

    def hold_back(self, policy: str, why: str) -> None:
        self._put(self._held_back, policy, why)

    def refused(self, policy: str) -> str:
        """What the API server has against what is rendered for it; empty: nothing."""
        return self._refused.get(policy, "")

    def refuse(self, policy: str, why: str) -> None:
        self._put(self._refused, policy, why)

    def subscribe(self, policy_changed: Callable[[str], None]) -> Callable[[], None]:
        self._subscribers.append(policy_changed)
        return lambda: self._subscribers.remove(policy_changed)

    def _put(self, where: dict[str, str], policy: str, why: str) -> None:
        if where.get(policy, "") == why:
            return
        if why:
            where[policy] = why
        else:
            del where[policy]
        self._tell(policy)

    def _tell(self, policy: str) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(policy)
