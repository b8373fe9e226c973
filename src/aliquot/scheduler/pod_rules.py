"""Rules between pods, out of the API's words: what a pod brings, and which rules of others select it.

Pods of one shape must be alike to every rule, but for most rules a pod's labels are nobody's business: a shape knows
of them only which of the rules there are select it. So a new rule may part pods that were of one shape. `take_news`
names the rules that nobody had brought before; whoever keeps shapes reads those pods again that they select.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from aliquot.kube.api.core import Pod
from aliquot.scheduler.core.matching import Operator, Requirement, satisfies
from aliquot.scheduler.core.rules import NO_RULES, Carried, Kin, PodSelector, PodTerm, Pull, Rules, Spread
from aliquot.scheduler.core.selector_index import SelectorIndex
from aliquot.scheduler.label_selectors import label_requirements

C = TypeVar("C", PodTerm, Pull)

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT_OF_REQUIRED = 1
"""Of another's required affinity, to whom it selects: hardPodAffinityWeight, as kube-scheduler has it by default."""
_MOST_KNOWN = 20_000

Namespaces = Mapping[str, Mapping[str, str]]
"""Labels by name."""


@dataclass(frozen=True, slots=True)
class PodRules:
    rules: Rules
    signature: str = ""


NONE = PodRules(NO_RULES)


class RuleReader:
    def __init__(self) -> None:
        self.namespaces: Namespaces = {}
        """Set anew when one of them changes, and `forget`."""
        self.may_open = False
        """Whether there was ever a pod to which another one may open a node."""
        self._kin: dict[bytes, Kin] = {}
        self._carried: WeakValueDictionary[str, PodTerm | Pull] = WeakValueDictionary()
        self._by_selector: SelectorIndex[Carried] = SelectorIndex()
        self._news: list[Carried] = []

    def forget(self) -> None:
        """What was read with other namespaces."""
        self._kin.clear()

    def take_news(self) -> list[Carried]:
        news, self._news = self._news, []
        return news

    def kin(self, pod: Pod) -> Kin:
        """Rules that cannot be read count as none."""
        affinity = pod.spec.affinity or {}
        brings = affinity.get("podAffinity"), affinity.get("podAntiAffinity")
        signature = msgspec.json.encode((pod.metadata.namespace, pod.metadata.labels, brings))
        known = self._kin.get(signature)
        if known is None:
            known = self._read_kin(pod, brings[0] or {}, brings[1] or {})
            if len(self._kin) >= _MOST_KNOWN:
                self._kin.clear()
            self._kin[signature] = known
        return known

    def of(self, pod: Pod, kin: Kin) -> PodRules:
        """All that concern the pod. Raises KeyError, TypeError or ValueError for what cannot be read."""
        selecting = [
            rule
            for rule in self._by_selector.candidates(kin.labels)
            if _selector(rule).selects(kin.namespace, kin.labels)
        ]
        own = self._own(pod, kin)
        if not selecting and own is NO_RULES:
            return NONE
        spelled = {repr(rule): rule for rule in selecting}
        in_order = [spelled[text] for text in sorted(spelled)]
        rules = Rules(
            affinity=own.affinity,
            selects_itself=own.selects_itself,
            anti_affinity=own.anti_affinity,
            pulls=own.pulls,
            spread=own.spread,
            soft_spread=own.soft_spread,
            kept_out_by=tuple(rule for rule in in_order if isinstance(rule, PodTerm)),
            pulled_by=tuple(rule for rule in in_order if isinstance(rule, Pull)),
        )
        return PodRules(rules, repr(rules))

    def _own(self, pod: Pod, kin: Kin) -> Rules:
        affinity = pod.spec.affinity or {}
        together, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
        constraints = pod.spec.topology_spread_constraints or ()
        if not (together or apart or constraints):
            return NO_RULES
        required = tuple(self._terms(together, kin))
        rules = Rules(
            affinity=required,
            selects_itself=all(term.selector.selects(kin.namespace, kin.labels) for term in required),
            anti_affinity=tuple(self._terms(apart, kin)),
            pulls=(*self._pulls(together, kin, 1), *self._pulls(apart, kin, -1)),
            spread=tuple(_spread(c, kin) for c in constraints if _must_hold(c)),
            soft_spread=tuple(_spread(c, kin) for c in constraints if not _must_hold(c)),
        )
        self.may_open = self.may_open or rules.may_open
        return rules if rules else NO_RULES

    def _read_kin(self, pod: Pod, together: Mapping[str, Any], apart: Mapping[str, Any]) -> Kin:
        kin = Kin(pod.metadata.namespace, pod.metadata.labels or {})
        if not (together or apart):
            return kin
        try:
            repels = tuple(self._terms(apart, kin))
            pulls = (
                *(Pull(term, _WEIGHT_OF_REQUIRED) for term in self._terms(together, kin)),
                *self._pulls(together, kin, 1),
                *self._pulls(apart, kin, -1),
            )
        except (KeyError, TypeError, ValueError):
            # The API server lets none of this through; `of` says so of a pod that waits.
            return kin
        return Kin(kin.namespace, kin.labels, tuple(map(self._known, repels)), tuple(map(self._known, pulls)))

    def _known(self, rule: C) -> C:
        spelled = repr(rule)
        known = self._carried.get(spelled)
        if known is None:
            self._carried[spelled] = rule
            self._by_selector.add((_selector(rule),), rule)
            self._news.append(rule)
            return rule
        assert isinstance(known, type(rule))
        return known

    def _terms(self, affinity: Mapping[str, Any], kin: Kin) -> Iterator[PodTerm]:
        for term in affinity.get(_REQUIRED) or ():
            yield self._term(term, kin)

    def _pulls(self, affinity: Mapping[str, Any], kin: Kin, sign: int) -> Iterator[Pull]:
        for preferred in affinity.get(_PREFERRED) or ():
            yield Pull(self._term(preferred["podAffinityTerm"], kin), sign * int(preferred["weight"]))

    def _term(self, term: Mapping[str, Any], kin: Kin) -> PodTerm:
        return PodTerm(
            PodSelector(self._namespaces(term, kin), _requirements(term, kin)), term["topologyKey"]
        )

    def _namespaces(self, term: Mapping[str, Any], kin: Kin) -> frozenset[str] | None:
        listed = frozenset(term.get("namespaces") or ())
        selector = term.get("namespaceSelector")
        if selector is None:
            return listed or frozenset((kin.namespace,))
        requirements = tuple(label_requirements(selector))
        if not requirements:
            return None
        return listed.union(
            name
            for name, labels in self.namespaces.items()
            if all(satisfies(labels, requirement) for requirement in requirements)
        )


def selects_namespaces(pod: Pod) -> bool:
    """Whether a rule of the pod speaks of namespaces by their labels."""
    affinity = pod.spec.affinity or {}
    return any(
        _label_requirements_given((term.get("podAffinityTerm") or term).get("namespaceSelector"))
        for side in (affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {})
        for terms in (side.get(_REQUIRED), side.get(_PREFERRED))
        for term in terms or ()
    )


def _label_requirements_given(selector: Mapping[str, Any] | None) -> bool:
    return bool(selector and (selector.get("matchLabels") or selector.get("matchExpressions")))


def _selector(rule: Carried) -> PodSelector:
    return rule.selector if isinstance(rule, PodTerm) else rule.term.selector


def _must_hold(constraint: Mapping[str, Any]) -> bool:
    return bool(constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule")


def _spread(constraint: Mapping[str, Any], kin: Kin) -> Spread:
    selector = PodSelector(frozenset((kin.namespace,)), _requirements(constraint, kin))
    return Spread(
        selector,
        constraint["topologyKey"],
        max_skew=int(constraint["maxSkew"]),
        min_domains=int(constraint.get("minDomains") or 1),
        honors_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        honors_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
        selects_itself=selector.selects(kin.namespace, kin.labels),
    )


def _requirements(rule: Mapping[str, Any], kin: Kin) -> tuple[Requirement, ...] | None:
    """Of the label selector, with the pod's own values of `matchLabelKeys` and `mismatchLabelKeys`, which newer API
    servers have put there themselves."""
    selector = rule.get("labelSelector")
    if selector is None:
        return None
    found = list(label_requirements(selector))
    for keys, operator in (("matchLabelKeys", Operator.IN), ("mismatchLabelKeys", Operator.NOT_IN)):
        for key in rule.get(keys) or ():
            if key in kin.labels and not any(r.key == key and r.operator is operator for r in found):
                found.append(Requirement(key, operator, (kin.labels[key],)))
    return tuple(found)


def selected(rules: Iterable[Carried], kin: Kin) -> bool:
    """Whether one of the rules selects a pod of this kind."""
    return any(_selector(rule).selects(kin.namespace, kin.labels) for rule in rules)
