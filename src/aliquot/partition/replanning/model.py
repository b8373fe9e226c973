"""The integer program of a re-plan, over pools of GPUs that are alike.

Columns, all whole numbers:

    e_su    GPUs in state s of which unit u is evicted, which leads to the state s - u
    f_a     slices placed along arc a of a pool's network
    a_dp    pods of demand d admitted in pool p
    r_kp    evicted pods of kind k that go on in pool p
    m_k     1 when the pod k, whose slices are on several GPUs, is evicted

Rows:

    out of state s - into s <= GPUs that begin there
    out of fill v - into v <= GPUs that are left in the states which are v when nothing more is evicted
    slices of profile i placed in p = sum_d needs_di a_dp + sum_k needs_ki r_kp
    sum_p a_dp <= pods of d                  (equal, where they are required)
    sum_p r_kp = evicted of k                (who is evicted goes on somewhere)
    e of k = GPUs it is on * m_k             (all slices of a pod or none)
    evicted of budget b <= what it allows;   all evicted <= moves that are left
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aliquot.partition.integer_program import IntegerProgram
from aliquot.partition.replanning.limits import Limits, Rule
from aliquot.partition.replanning.network import Network, worth
from aliquot.partition.replanning.pools import Alike, Demand, Needs, Pool, Pools, Unit

Aim = dict[int, float]


@dataclass(frozen=True, slots=True)
class Eviction:
    """An arc between states of GPUs: one unit less."""

    source: Alike
    unit: Unit
    target: Alike
    column: int


@dataclass
class Model:
    pools: Pools
    budgets: Mapping[str, int]
    limits: Limits
    program: IntegerProgram = field(default_factory=IntegerProgram)
    networks: dict[int, Network] = field(default_factory=dict)
    """By pool."""
    leaving: dict[int, list[Eviction]] = field(default_factory=dict)
    """By pool; those that leave more behind first."""
    flow: dict[tuple[int, int], int] = field(default_factory=dict)
    """(pool, arc) -> column"""
    admitted: dict[tuple[Demand, int], int] = field(default_factory=dict)
    """(demand, pool) -> column"""
    resettled: dict[tuple[int, int], int] = field(default_factory=dict)
    """(kind, pool) -> column"""
    evictions: dict[int, Aim] = field(default_factory=dict)
    """Kind -> how many of it are evicted, in columns."""

    _slices: dict[int, dict[int, Aim]] = field(default_factory=dict)
    """Pool -> profile -> slices placed, in columns."""
    # --- aims ---

    def admission(self, priority: int) -> Aim:
        """Less than nothing for the memory of every admitted pod of the priority, in 64ths of a GPU."""
        return {
            column: -float(memory(self.pools.pools[pool], demand.needs))
            for (demand, pool), column in self.admitted.items()
            if demand.priority == priority
        }

    def evicted(self, above: int | None = None) -> Aim:
        """How many pods are evicted; of priorities above one."""
        return _sum(
            aim
            for kind, aim in self.evictions.items()
            if above is None or self.pools.kinds[kind].priority > above
        )

    def operations(self) -> Aim:
        """GPU instances that are made and destroyed."""
        aim = {arc.column: float(len(arc.unit.placings)) for arcs in self.leaving.values() for arc in arcs}
        for (pool, number), column in self.flow.items():
            if operations := self.networks[pool].arcs[number].operations:
                aim[column] = float(operations)
        return aim

    def loss(self) -> Aim:
        """By how much less what is free is worth, less what evictions free."""
        aim: Aim = {}
        for pool, arcs in self.leaving.items():
            states = self.networks[pool].states
            for leaving in arcs:
                before, after = leaving.source.occupancy, leaving.target.occupancy
                aim[leaving.column] = float(worth(states, before) - worth(states, after))
        for (pool, number), column in self.flow.items():
            network = self.networks[pool]
            arc = network.arcs[number]
            source, target = network.fills[arc.source][0], network.fills[arc.target][0]
            aim[column] = float(worth(network.states, source) - worth(network.states, target))
        return aim

    # --- building ---

    def add_pool(self, pool: Pool, *, moving: bool) -> None:
        begin = {alike: len(gpus) for alike, gpus in pool.groups.items()}
        # No arc can take more. Without the bound HiGHS narrows the columns down step by step, for longer than the search.
        gpus = sum(begin.values())
        arcs = self._evictions(begin, gpus) if moving else []
        self.leaving[pool.number] = arcs
        stay: dict[Alike, Aim] = {alike: {} for alike in begin}
        for leaving in arcs:
            _add(stay[leaving.source], leaving.column, 1)
            _add(stay.setdefault(leaving.target, {}), leaving.column, -1)
        network = Network(pool.states, (alike.fill for alike in stay), self._wanted(pool))
        self.networks[pool.number] = network
        supply = [0.0] * len(network.fills)
        leads: list[Aim] = [{} for _ in network.fills]
        for alike, aim in stay.items():
            at = network.number(alike.fill)
            supply[at] += begin.get(alike, 0)
            for column, coefficient in aim.items():
                _add(leads[at], column, coefficient)
            if any(coefficient > 0 for coefficient in aim.values()):
                self.program.row(aim.items(), at_most=begin.get(alike, 0))
        slices: dict[int, Aim] = {}
        for number, arc in enumerate(network.arcs):
            column = self.program.column(gpus)
            self.flow[pool.number, number] = column
            _add(leads[arc.source], column, 1)
            _add(leads[arc.target], column, -1)
            slices.setdefault(arc.placing.profile, {})[column] = 1.0
        for at, aim in enumerate(leads):
            if any(coefficient > 0 for coefficient in aim.values()):
                self.program.row(aim.items(), at_most=supply[at])
        self._slices[pool.number] = slices

    def _evictions(self, begin: Iterable[Alike], gpus: int) -> list[Eviction]:
        """From every state that GPUs are in, and that others lead to."""
        found: list[Eviction] = []
        seen = set(begin)
        queue = sorted(seen, key=lambda alike: (-len(alike.units), alike.occupancy))
        for alike in queue:
            for number, unit in enumerate(alike.units):
                rest = Alike(alike.held, alike.units[:number] + alike.units[number + 1 :], alike.idle)
                column = self.program.column(gpus)
                found.append(Eviction(alike, unit, rest, column))
                _add(self.evictions.setdefault(unit.kind, {}), column, 1)
                if rest not in seen:
                    seen.add(rest)
                    queue.append(rest)
        found.sort(key=lambda arc: -len(arc.source.units))
        return found

    def _wanted(self, pool: Pool) -> list[int]:
        names: set[str] = set()
        for demand in self.pools.demands:
            if pool.allows(demand.where, demand.needs):
                names |= {name for name, _ in demand.needs}
        for kind in self.pools.kinds:
            if pool.allows(kind.where, kind.needs):
                names |= {name for name, _ in kind.needs}
        return [number for number, profile in enumerate(pool.states.profiles) if profile.name in names]

    def _settle(self, pool: Pool) -> None:
        slices = self._slices[pool.number]
        rows = {profile.name: dict(slices.get(n, {})) for n, profile in enumerate(pool.states.profiles)}
        for demand, pods in self.pools.demands.items():
            if pool.allows(demand.where, demand.needs):
                column = self.program.column(len(pods))
                self.admitted[demand, pool.number] = column
                _take(rows, demand.needs, column)
        for number, kind in enumerate(self.pools.kinds):
            if number in self.evictions and pool.allows(kind.where, kind.needs):
                column = self.program.column(self.pools.running[number])
                self.resettled[number, pool.number] = column
                _take(rows, kind.needs, column)
        for row in rows.values():
            if row:
                self.program.row(row.items(), at_least=0, at_most=0)

    def close(self) -> None:
        """What needs all pools to be there."""
        for pool in self.pools.pools:
            self._settle(pool)
        for demand, pods in self.pools.demands.items():
            columns = [column for (of, _), column in self.admitted.items() if of == demand]
            least = len(pods) if demand.required else 0
            self.program.row([(column, 1) for column in columns], at_least=least, at_most=len(pods))
        self._link()
        goes_on: dict[int, Aim] = {}
        for (kind, _), column in self.resettled.items():
            goes_on.setdefault(kind, {})[column] = -1.0
        by_budget: dict[str, Aim] = {}
        for number, aim in self.evictions.items():
            self.program.row([*aim.items(), *goes_on.get(number, {}).items()], at_least=0, at_most=0)
            budget = self.pools.kinds[number].budget
            if budget and self.limits.heed(Rule.BUDGET, budget):
                by_budget.setdefault(budget, {}).update(aim)
        for budget, aim in by_budget.items():
            self.program.row(aim.items(), at_most=self.budgets.get(budget, 0))
        if self.evictions and self.limits.moves is not None and self.limits.heed(Rule.MOVES):
            self.program.row(self.evicted().items(), at_most=self.limits.moves)

    def _link(self) -> None:
        """A pod with slices on several GPUs leaves all of them or none."""
        for number, kind in enumerate(self.pools.kinds):
            if kind.pod and number in self.evictions:
                on = sum(
                    len(gpus)
                    for pool in self.pools.pools
                    for alike, gpus in pool.groups.items()
                    if any(unit.kind == number for unit in alike.units)
                )
                whole = self.program.column(1)
                self.program.row([*self.evictions[number].items(), (whole, -on)], at_least=0, at_most=0)
                self.evictions[number] = {whole: 1.0}


def build(pools: Pools, budgets: Mapping[str, int], limits: Limits, *, moving: bool) -> Model:
    """`moving` False: nothing is evicted, and what is movable counts as held."""
    model = Model(pools, budgets, limits)
    for pool in pools.pools:
        model.add_pool(pool, moving=moving)
    model.close()
    return model


def without_moving_as_start(full: Model, bare: Model, values: Sequence[int]) -> list[int]:
    """A solution of the program that moves nothing, in the columns of the one that may."""
    start = [0] * full.program.columns
    for (pool, number), column in bare.flow.items():
        if values[column]:
            start[full.flow[pool, _same_arc(full, bare, pool, number)]] = values[column]
    for key, column in bare.admitted.items():
        start[full.admitted[key]] = values[column]
    return start


def _same_arc(full: Model, bare: Model, pool: int, number: int) -> int:
    arc = bare.networks[pool].arcs[number]
    source = full.networks[pool].number(bare.networks[pool].fills[arc.source])
    return full.networks[pool].leading(source, arc.placing)


def memory(pool: Pool, needs: Needs) -> int:
    """In 64ths of a GPU: boards have 4, 8 or 12 memory slots, and aims are whole numbers."""
    sizes = {profile.name: profile.memory_slots for profile in pool.states.profiles}
    return round(sum(sizes[name] * count for name, count in needs) * 64 / pool.states.memory_slots)


def _take(rows: Mapping[str, Aim], needs: Needs, column: int) -> None:
    for name, count in needs:
        rows[name][column] = -float(count)


def _add(aim: Aim, column: int, coefficient: float) -> None:
    aim[column] = aim.get(column, 0.0) + coefficient


def _sum(aims: Iterable[Aim]) -> Aim:
    total: Aim = {}
    for aim in aims:
        for column, coefficient in aim.items():
            _add(total, column, coefficient)
    return total
