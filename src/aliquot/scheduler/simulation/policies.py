"""The ways of placement that can be compared, by name."""

from collections.abc import Mapping

from aliquot.scheduler.simulation.baselines import BestFit, Clustering, DotProduct, Packing, Random
from aliquot.scheduler.simulation.engine import MakePolicy
from aliquot.scheduler.simulation.fgd import Fgd
from aliquot.scheduler.simulation.keeping_worth import KeepingWorth

POLICIES: Mapping[str, MakePolicy] = {
    "aliquot": lambda fleet, demand, _: KeepingWorth(fleet, demand),
    "fgd": lambda fleet, demand, _: Fgd(fleet, demand),
    "bestfit": lambda fleet, _, __: BestFit(fleet),
    "packing": lambda fleet, _, __: Packing(fleet),
    "clustering": lambda fleet, _, __: Clustering(fleet),
    "dotprod": lambda fleet, _, __: DotProduct(fleet),
    "random": lambda fleet, _, chance: Random(fleet, chance),
}
