"""Which nodes may start their upgrade now.

Within the limits: so many under way, so many out of use for whatever reason, the first few alone and for a while, in
maintenance windows, and none at all once one has failed. Nodes that a gang spans go together, so that it is stopped once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from aliquot.operator.core.upgrade.effects import Step
from aliquot.operator.core.upgrade.memory import NOTHING
from aliquot.operator.core.upgrade.node import UpgradeNode, Validation
from aliquot.operator.core.upgrade.rules import Rules
from aliquot.operator.core.upgrade.states import UNDER_WAY, State
from aliquot.operator.core.upgrade.steps import is_to_start
from aliquot.windows import opens_in_s

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Starts:
    nodes: Mapping[str, Step]
    """Those that start, by name."""
    held_back: str = ""
    """Why others that could do not; empty: there are none."""
    look_again_s: float | None = None


def starts(nodes: Sequence[UpgradeNode], rules: Rules, now_s: float) -> Starts:
    """`nodes`: all of the policy."""
    if (held := nobody(nodes, rules, now_s)) is not None:
        return held
    waiting = [node for node in nodes if node.state is State.UPGRADE_REQUIRED and _may(node, rules)]
    if not waiting:
        return Starts({})
    canaries = _Canaries.of(nodes, rules, now_s)
    limits = _Limits.of(nodes, rules)
    found: dict[str, Step] = {}
    for bundle in _bundles(waiting):
        # A gang that is larger than what may ever go goes in parts.
        fits = limits.fits_ever(bundle) and canaries.fit_ever(bundle)
        together = bundle if fits else bundle[:1]
        if canaries.may_take(together) and limits.take(together):
            canaries.take(together)
            for node in together:
                found[node.name] = _start(node, now_s)
    if len(found) == len(waiting):
        return Starts(found)
    return Starts(found, canaries.why or limits.why, canaries.look_again_s)


def nobody(nodes: Sequence[UpgradeNode], rules: Rules, now_s: float) -> Starts | None:
    """Nobody may start, whatever is on the nodes: this is known without a look at their pods. None: somebody may."""
    waiting = [node for node in nodes if node.state is State.UPGRADE_REQUIRED]
    if not waiting:
        return Starts({})
    failed = sorted(node.name for node in nodes if _failed(node))
    if failed:
        return Starts({}, f"node {failed[0]} has failed: retry it, or label it to be skipped")
    if (opens_s := opens_in_s(rules.windows, now_s)) > 0:
        return Starts({}, "the maintenance window is closed", opens_s)
    limits = _Limits.of(nodes, rules)
    if any(limits.take([node]) for node in waiting):
        return None
    canaries = _Canaries.of(nodes, rules, now_s)
    return Starts({}, canaries.why or limits.why, canaries.look_again_s)


def _may(node: UpgradeNode, rules: Rules) -> bool:
    return is_to_start(node, node.memory or NOTHING, rules)


def _failed(node: UpgradeNode) -> bool:
    return node.state is State.UPGRADE_FAILED and not node.is_skipped and not node.is_retried


def _start(node: UpgradeNode, now_s: float) -> Step:
    memory = node.memory or NOTHING
    started = replace(memory, revision=node.wanted_revision, since_s=now_s, reason="")
    return Step(State.CORDON_REQUIRED, started, look_again_s=0.0)


@dataclass(slots=True)
class _Canaries:
    """Nodes on which no driver works have nothing to lose: they are none, and wait for none."""

    under_test: bool
    """The others are not let start yet."""
    most: int = 0
    free: int = 0
    """Canaries that may still start."""
    why: str = ""
    look_again_s: float | None = None

    @staticmethod
    def of(nodes: Sequence[UpgradeNode], rules: Rules, now_s: float) -> "_Canaries":
        if rules.canary_nodes <= 0:
            return _Canaries(False)
        done = [node for node in nodes if _is_done(node)]
        under_way = sum(node.state in UNDER_WAY for node in nodes)
        wanted = min(rules.canary_nodes, len(nodes))
        first = "the first node" if wanted == 1 else f"the first {wanted} nodes"
        if len(done) < wanted:
            free = max(0, wanted - len(done) - under_way)
            return _Canaries(True, wanted, free, f"{first} {'goes' if wanted == 1 else 'go'} alone")
        done.sort(key=lambda node: (node.memory.since_s if node.memory is not None else 0.0, node.name))
        last = done[wanted - 1]
        left_s = rules.soak_s - max(0.0, now_s - (last.memory.since_s if last.memory is not None else 0.0))
        if left_s > 0:
            named = f"node {last.name} has" if wanted == 1 else f"{first} have"
            why = f"{named} to stay well for {rules.soak_s:.0f} s"
            return _Canaries(True, wanted, 0, why, left_s)
        return _Canaries(False)

    def fit_ever(self, bundle: Sequence[UpgradeNode]) -> bool:
        return not self.under_test or sum(map(_works, bundle)) <= self.most

    def may_take(self, bundle: Sequence[UpgradeNode]) -> bool:
        return not self.under_test or sum(map(_works, bundle)) <= self.free

    def take(self, bundle: Sequence[UpgradeNode]) -> None:
        self.free -= sum(map(_works, bundle))


def _works(node: UpgradeNode) -> bool:
    return node.driver is None or node.driver.ready


def _is_done(node: UpgradeNode) -> bool:
    """And is still well."""
    return (
        node.state is State.UPGRADE_DONE
        and node.memory is not None
        and node.memory.revision == node.wanted_revision
        and node.is_ready
        and node.validation is not Validation.FAILED
    )


@dataclass(slots=True)
class _Limits:
    parallel: float
    """How many more may be under way."""
    unavailable: int
    """How many more may be taken out of use."""
    most_parallel: float
    most_unavailable: int
    most_costs: int
    """Of those that start together, once nobody is under way: what is out of use for other reasons may stay so."""
    others: Sequence[str]
    """Who is out of use for other reasons, and why."""
    why: str = ""

    @staticmethod
    def of(nodes: Sequence[UpgradeNode], rules: Rules) -> "_Limits":
        most_parallel = float(rules.max_parallel) if rules.max_parallel > 0 else float("inf")
        most_unavailable = rules.max_unavailable.of(len(nodes))
        under_way = sum(node.state in UNDER_WAY for node in nodes)
        others = sorted(
            f"{node.name} is {'cordoned' if node.is_cordoned else 'not ready'}"
            for node in nodes
            if node.state not in UNDER_WAY and _is_out_of_use(node)
        )
        return _Limits(
            most_parallel - under_way,
            most_unavailable - under_way - len(others),
            most_parallel,
            most_unavailable,
            most_unavailable - len(others),
            others,
        )

    def fits_ever(self, bundle: Sequence[UpgradeNode]) -> bool:
        return len(bundle) <= self.most_parallel and self._costs(bundle) <= self.most_costs

    def take(self, bundle: Sequence[UpgradeNode]) -> bool:
        costs = self._costs(bundle)
        if len(bundle) > self.parallel:
            self.why = self.why or f"{_nodes(self.most_parallel)} under way at most"
            return False
        if costs > max(0, self.unavailable):
            self.why = self.why or f"{_nodes(self.most_unavailable)} out of use at most{self._who()}"
            return False
        self.parallel -= len(bundle)
        self.unavailable -= costs
        return True

    def _who(self) -> str:
        if not self.others:
            return ""
        more = f" and {len(self.others) - _MOST_NAMED} more" if len(self.others) > _MOST_NAMED else ""
        return f", and {', '.join(self.others[:_MOST_NAMED])}{more}"

    @staticmethod
    def _costs(bundle: Iterable[UpgradeNode]) -> int:
        """Who is out of use already costs nothing."""
        return sum(not _is_out_of_use(node) for node in bundle)


def _nodes(count: float) -> str:
    return "1 node is" if count == 1 else f"{count:.0f} nodes are"


def _is_out_of_use(node: UpgradeNode) -> bool:
    return node.is_cordoned or not node.is_ready


def _bundles(waiting: Sequence[UpgradeNode]) -> list[list[UpgradeNode]]:
    """Nodes that share gangs are one; first those with the fewest pods that would have to go."""
    bundle_of: dict[str, list[UpgradeNode]] = {}
    by_gang: dict[str, list[UpgradeNode]] = {}
    for node in waiting:
        bundle = [node]
        for gang in {pod.gang for pod in node.gpu_pods if pod.gang}:
            other = by_gang.get(gang)
            if other is not None and other is not bundle:
                other.extend(bundle)
                for one in bundle:
                    bundle_of[one.name] = other
                bundle = other
            by_gang[gang] = bundle
        for one in bundle:
            bundle_of[one.name] = bundle
            for gang in {pod.gang for pod in one.gpu_pods if pod.gang}:
                by_gang[gang] = bundle
    found = {id(bundle): bundle for bundle in bundle_of.values()}
    for bundle in found.values():
        bundle.sort(key=_disturbance)
    return sorted(found.values(), key=lambda bundle: (sum(len(n.gpu_pods) for n in bundle), bundle[0].name))


def _disturbance(node: UpgradeNode) -> tuple[int, str]:
    return len(node.gpu_pods), node.name
