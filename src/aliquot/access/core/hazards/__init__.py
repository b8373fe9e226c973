"""What rules would lead to besides what they are for: found by reading them, before anybody is given anything.

Every right that `rules` allow is judged once; what is not known is judged like what is dangerous. This reads rules alone. What a
template asks of people in return, and which namespaces it is for, is judged by `templates.objections`.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from aliquot.access.core.hazards import kinds
from aliquot.access.core.hazards.dangers import Reach, Row, first
from aliquot.access.core.hazards.hazard import Hazard, Safeguard, Severity
from aliquot.access.core.hazards.spelling import misspellings
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import Tier

__all__ = ["Hazard", "Safeguard", "Severity", "hazards"]


def hazards(rules: Sequence[Rule], namespaced: bool) -> tuple[Hazard, ...]:
    """In the order of the rules. `namespaced`: they are granted in one namespace, not in the cluster."""
    return tuple(one for index, rule in enumerate(rules) for one in _of_rule(index, rule, namespaced))


def _of_rule(index: int, rule: Rule, namespaced: bool) -> Iterator[Hazard]:
    wrong = [
        Hazard(rule=index, what=one.what, why=one.why, instead=one.instead, tier=None)
        for one in misspellings(rule, namespaced)
    ]
    if wrong:
        # What its words were meant to allow is not known.
        yield from wrong
        return
    found: dict[Row, dict[str, list[str]]] = {}
    for group, resource, verb in product(rule.api_groups, rule.resources, rule.verbs):
        if group in kinds.GROUPS and resource not in kinds.known(group):
            continue
        reach = _reach(rule, group, resource, namespaced)
        row = first(group, resource, verb, reach, is_known=group in kinds.GROUPS)
        if row.tier is not Tier.STANDARD or row.safeguard:
            verbs = found.setdefault(row, {}).setdefault(_named(group, resource), [])
            verbs.append(verb)
    for row, verbs_of in found.items():
        yield Hazard(
            rule=index,
            what=_in_words(verbs_of),
            why=row.why,
            instead=row.instead.replace("{tier}", row.tier or ""),
            tier=row.tier,
            safeguard=row.safeguard,
        )


def _reach(rule: Rule, group: str, resource: str, namespaced: bool) -> Reach:
    if rule.resource_names:
        if kinds.is_of_the_cluster(group, resource):
            return Reach.NAMED_OF_THE_CLUSTER
        return Reach.NAMED_HERE if namespaced else Reach.NAMED_EVERYWHERE
    return Reach.NAMESPACE if namespaced else Reach.CLUSTER


def _named(group: str, resource: str) -> str:
    name, slash, sub = resource.partition("/")
    return f"{name}.{group}{slash}{sub}" if group else resource


def _in_words(verbs_of: dict[str, list[str]]) -> str:
    alike: dict[str, list[str]] = {}
    for resource, verbs in verbs_of.items():
        alike.setdefault(", ".join(verbs), []).append(resource)
    return "; ".join(f"{verbs} {', '.join(resources)}" for verbs, resources in alike.items())
