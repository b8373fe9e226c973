"""The default way of placement: a fleet that counts what it is asked for, and places by the policy that suits that."""

from collections.abc import Iterable, Mapping, Sequence

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Gpu
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.policy import Policy, Ranking, rank
from aliquot.partition.suited import SuitedPolicy
from aliquot.partition.value_tables import ValueTable


class AdaptiveFleet(Fleet):
    """A `Placer`. `observe` is what it lives by; without it, it places by the fallback."""

    def __init__(
        self,
        states: BoardStates,
        gpus: Iterable[Gpu] | Mapping[Gpu, Iterable[Placing]] = (),
        tables: Sequence[ValueTable] | None = None,
        fallback: Policy = MOST_SLOT_CAPABILITY,
    ) -> None:
        """`tables`: the shipped ones, unless others are given. Those of other profiles than the board's are left out."""
        super().__init__(states, fallback, gpus)
        self._suited = SuitedPolicy(states, tables, fallback)
        self._rankings: dict[str, tuple[Ranking, ...]] = {
            policy.name: rank(policy, self.divisions) for policy in self._suited.policies
        }

    def observe(self, profile: int) -> None:
        if self._suited.observe(profile):
            policy = self._suited.policy
            self.follow_ranking(policy, self._rankings[policy.name])
