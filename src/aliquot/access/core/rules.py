"""What may be done, as RBAC's PolicyRules say it, and whether one set of rules allows all that another does.

Read as the API server's authorizer reads them: a rule with names allows nothing to a request that has none (create,
deletecollection, a list without a field selector), `*` is everything there is and will be, `*/scale` every resource's subresource,
`pods` is not `pods/exec`. URLs that are no resources do not occur.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

ALL = "*"


class Rule(Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One without groups, resources or verbs allows nothing."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    """`pods`, `pods/exec`."""
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()
    """None: whatever its name."""

    def __str__(self) -> str:
        groups = {group: f".{group}" if group else "" for group in self.api_groups}
        what = ", ".join(
            f"{name}{groups[group]}{slash}{sub}"
            for group, (name, slash, sub) in product(
                self.api_groups, (one.partition("/") for one in self.resources)
            )
        )
        named = f" named {', '.join(self.resource_names)}" if self.resource_names else ""
        return f"{', '.join(self.verbs)} {what}{named}"


class Denial(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Verbs that are refused on resources, whatever their names; spelt and read as in a rule."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...] = (ALL,)
    api_groups: tuple[str, ...] = (ALL,)


def covers(outer: Sequence[Rule], inner: Iterable[Rule]) -> bool:
    """Whether whatever `inner` allows `outer` allows as well, also what no cluster has yet."""
    return next(_uncovered(outer, inner), None) is None


def uncovered(outer: Sequence[Rule], inner: Iterable[Rule]) -> tuple[Rule, ...]:
    """What `inner` allows and `outer` does not, each of one group, one resource and one verb."""
    return tuple(_uncovered(outer, inner))


def without(rules: Iterable[Rule], denied: Sequence[Denial]) -> tuple[Rule, ...]:
    """What of `rules` is left. Raises ValueError where no rule can say it: everything but something."""
    return tuple(left for rule in rules for left in _left(rule, denied))


def _uncovered(outer: Sequence[Rule], inner: Iterable[Rule]) -> Iterator[Rule]:
    for rule in inner:
        if rule in outer:
            continue
        for group, resource, verb in product(rule.api_groups, rule.resources, rule.verbs):
            matching = [one for one in outer if matches(one, group, resource, verb)]
            if any(not one.resource_names for one in matching):
                continue
            named = {name for one in matching for name in one.resource_names}
            missing = tuple(name for name in rule.resource_names if name not in named)
            if missing or not rule.resource_names:
                yield Rule((group,), (resource,), (verb,), missing)


def matches(rule: Rule | Denial, group: str, resource: str, verb: str) -> bool:
    """Whether it is about all that these words of another rule are about, names aside."""
    return (
        _among(group, rule.api_groups)
        and _among(verb, rule.verbs)
        and (_among(resource, rule.resources) or _of_every_resource(resource) in rule.resources)
    )


def _among(word: str, words: tuple[str, ...]) -> bool:
    return word in words or ALL in words


def _of_every_resource(resource: str) -> str:
    """`*/scale` for `deployments/scale`; of what is no subresource, itself."""
    _, _, sub = resource.partition("/")
    return f"{ALL}/{sub}" if sub else resource


def _left(rule: Rule, denied: Sequence[Denial]) -> Iterator[Rule]:
    touching = [one for one in denied if _touches(rule.api_groups, rule.resources, rule.verbs, one)]
    if not touching:
        yield rule
        return
    cells = list(product(rule.api_groups, rule.resources))
    verbs = {
        cell: tuple(verb for verb in rule.verbs if not any(matches(one, *cell, verb) for one in touching))
        for cell in cells
    }
    for (group, resource), rest in verbs.items():
        if any(_touches((group,), (resource,), rest, one) for one in touching):
            raise ValueError(
                f"'{rule}' has more than is denied of it, which no rule can say: list what it allows"
            )
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), rest in verbs.items():
        if rest:
            alike.setdefault((group, rest), []).append(resource)
    for (group, rest), resources in alike.items():
        yield replace(rule, api_groups=(group,), resources=tuple(resources), verbs=rest)


def _touches(
    groups: tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...], one: Denial
) -> bool:
    """Whether something of it is denied."""
    return (
        any(_overlap(verb, one.verbs) for verb in verbs)
        and any(_overlap(group, one.api_groups) for group in groups)
        and any(_meet(resource, one.resources) for resource in resources)
    )


def _overlap(word: str, words: tuple[str, ...]) -> bool:
    return _among(word, words) or (word == ALL and bool(words))


def _meet(resource: str, resources: tuple[str, ...]) -> bool:
    if _overlap(resource, resources) or _of_every_resource(resource) in resources:
        return True
    return resource.startswith(f"{ALL}/") and any(
        one.partition("/")[2] == resource.partition("/")[2] for one in resources
    )
