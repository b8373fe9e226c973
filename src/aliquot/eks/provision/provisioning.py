"""From a file to what there is and what is missing: what `create` shows before it begins."""

from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from aliquot.eks.aws import prices
from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.provision import costs
from aliquot.eks.provision.asking import site
from aliquot.eks.provision.checking import wrong
from aliquot.eks.provision.cluster_config.reading import Wanted
from aliquot.eks.provision.costs import Costs
from aliquot.eks.provision.creating import there
from aliquot.eks.provision.looking import Found
from aliquot.eks.provision.patience import FIRST, Patient, Pause
from aliquot.eks.provision.resources import Resource
from aliquot.eks.provision.wanted.addons import chosen
from aliquot.eks.provision.wanted.graph import Graph, graph, support_of
from aliquot.eks.versions.calendar import Calendar


class Provision(Struct, frozen=True, kw_only=True):
    graph: Graph
    there: dict[str, Found]
    costs: Costs

    @property
    def missing(self) -> tuple[Resource, ...]:
        return tuple(one for one in self.graph.resources if one.key not in self.there)

    @property
    def wrong(self) -> Iterator[str]:
        """A line for each call that AWS would not take."""
        for one in self.missing:
            if line := wrong(one.make):
                yield f"{one.title}: {one.make.service}:{one.make.operation}: {line}"


async def look(api: Api, wanted: Wanted, calendar: Calendar, today: date, pause: Pause) -> Provision:
    """Changes nothing. Raises DocumentError, Failure, NotOurs, Twice."""
    patient = Patient(api, pause, FIRST)
    addons = [addon.name for addon in chosen(wanted.config)]
    seen = await site(patient, wanted.config, wanted.minor, addons, calendar, today)
    plan = graph(wanted, seen, today)
    support = support_of(seen, wanted.minor, today)
    known = await there(patient, plan.resources, plan.names.cluster)
    gateways = sum(one.make.operation == "CreateNatGateway" for one in plan.resources)
    control_plane = seen.calendar.prices.of(support) if support is not None else 0.0
    types = {name for group in wanted.config.groups for name in group.types}
    return Provision(
        graph=plan,
        there=known,
        costs=costs.of(wanted.config, control_plane, await _prices(api, types, plan), gateways),
    )


async def _prices(api: Api, types: set[str], plan: Graph) -> dict[str, float]:
    try:
        return await prices.read(api, sorted(types), plan.names.region)
    except Failure:
        # Whoever may not read the price list still may make a cluster; it says that nodes are not priced.
        return {}
