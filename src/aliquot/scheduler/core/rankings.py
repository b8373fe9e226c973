"""The rankings that are in use: a few hundred shapes at most, the ones asked for last."""

from aliquot.partition.value import BY_RULE, Valuation
from aliquot.scheduler.core.making import Makings
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.core.policies import Judge, Policies
from aliquot.scheduler.core.ranking import Ranking


class Rankings:
    """One Ranking for each shape that was asked for lately: of the nodes as they are, and as they could be made. When another
    policy of the valuation comes into use, whoever noticed it calls `clear`."""

    def __init__(self, policies: Policies, valuation: Valuation = BY_RULE, *, most: int = 512) -> None:
        self.policies = policies
        self.makings = Makings(policies, valuation)
        self.valuation = valuation
        self._most = most
        self._there: dict[str, Ranking] = {}
        self._made: dict[str, Ranking] = {}

    def of(self, shape: PodShape) -> Ranking:
        return self._kept(self._there, shape, self.policies)

    def of_made(self, shape: PodShape) -> Ranking:
        return self._kept(self._made, shape, self.makings)

    def _kept(self, rankings: dict[str, Ranking], shape: PodShape, judge: Judge) -> Ranking:
        ranking = rankings.pop(shape.signature, None) or Ranking(shape, judge)
        rankings[shape.signature] = ranking
        if len(rankings) > self._most:
            del rankings[next(iter(rankings))]
        return ranking

    def use(self, policies: Policies) -> None:
        """Other ones from now on."""
        self.policies = policies
        self.makings = Makings(policies, self.valuation)
        self.clear()

    def clear(self) -> None:
        """Judge all nodes anew."""
        self._there.clear()
        self._made.clear()
        self.makings.forget()
