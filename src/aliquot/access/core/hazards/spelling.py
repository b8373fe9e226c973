"""Rules that RBAC reads otherwise than whoever wrote them: wildcards, words that nothing is called, names that never count.

A word that is read as nothing is refused like one that is read as everything. What it means is not known, and it may come to mean
something: verbs and resources are added to Kubernetes, and to the clusters of whoever installs a CRD.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from aliquot.access.core.hazards import kinds
from aliquot.access.core.rules import ALL, Rule
from aliquot.access.core.templates.resolving import is_name
from aliquot.access.core.templates.template import parameter_of
from aliquot.document import nearest
from aliquot.kube.quoted import quoted

READS = ("get", "list", "watch")
WRITES = ("create", "update", "patch", "delete", "deletecollection")
SPECIAL = {
    "escalate": "it lets its holder write roles that give more than they have",
    "bind": "it lets its holder give themselves any role that it names",
    "impersonate": "its holder is whoever they say they are",
    "approve": "who approves certificates can be anybody, a node or the control plane too",
    "sign": "who signs certificates can be anybody, a node or the control plane too",
    "attest": "who attests trust bundles decides whom all pods trust",
    "use": "it is of policies that say how much a pod may be",
}
"""Verbs that are no ordinary ones, and why nobody gets them."""

_RESOURCE = re.compile(r"[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)?", re.ASCII)
_LIST_THEM = "list what is needed, each by its name"


class Misspelling(NamedTuple):
    what: str
    why: str
    instead: str


def misspellings(rule: Rule, namespaced: bool) -> Iterator[Misspelling]:
    for field, words in (
        ("apiGroups", rule.api_groups),
        ("resources", rule.resources),
        ("verbs", rule.verbs),
    ):
        if not words:
            yield Misspelling(f"no {field}", "such a rule allows nothing", f"say which {field} it is about")
    yield from (one for group in rule.api_groups for one in _of_group(group))
    yield from (one for resource in rule.resources for one in _of_resource(rule, resource, namespaced))
    yield from (one for verb in rule.verbs for one in _of_verb(verb))
    yield from (one for name in rule.resource_names for one in _of_name(name))
    yield from _never_named(rule)


def _of_group(group: str) -> Iterator[Misspelling]:
    if ALL in group:
        yield Misspelling(
            f"apiGroups {quoted(group)}", "it is every API there is, and every one that is added", _LIST_THEM
        )
    elif group in ("core", "v1"):
        yield Misspelling(f"apiGroups {quoted(group)}", "no group has that name", "the core group is ''")
    elif group and not (is_name(group)):
        yield Misspelling(
            f"apiGroups {quoted(group)}",
            "no group has such a name",
            "write a group without its version, in small letters: apps",
        )


def _of_resource(rule: Rule, resource: str, namespaced: bool) -> Iterator[Misspelling]:
    what = f"resources {quoted(resource)}"
    if ALL in resource:
        everything = "every resource there is, with secrets and tokens, and every one that is added"
        nothing = "it is one resource of that very name, not all of them: only '*' and '*/SUBRESOURCE' stand for others"
        literal = resource != ALL and not resource.startswith(f"{ALL}/")
        yield Misspelling(what, nothing if literal else f"it is {everything}", _LIST_THEM)
        return
    if not _RESOURCE.fullmatch(resource):
        hint = "a resource in small letters and the plural: pods, or with a subresource pods/log"
        if "." in resource:
            hint = "the group of a resource stands in apiGroups"
        yield Misspelling(what, "no resource has such a name", hint)
        return
    own = [group for group in rule.api_groups if group in kinds.GROUPS]
    if own and len(own) == len(rule.api_groups):
        words = {word for group in own for word in kinds.known(group)}
        if resource not in words:
            groups = ", ".join(repr(group) for group in own)
            hint = (
                nearest(resource, words).removeprefix("; ") or "`kubectl api-resources` shows what there is"
            )
            yield Misspelling(what, f"API group {groups} has none of that name", hint)
            return
    if (
        namespaced
        and rule.api_groups
        and all(kinds.is_of_the_cluster(group, resource) for group in rule.api_groups)
    ):
        yield Misspelling(
            what,
            "it is in no namespace, so a grant in one does not reach it",
            "leave it out, or make a template with clusterWide: true",
        )


def _of_verb(verb: str) -> Iterator[Misspelling]:
    what = f"verbs {quoted(verb)}"
    special, _, _ = verb.partition(":")
    if ALL in verb and not special.startswith("impersonate"):
        yield Misspelling(
            what, "it is every verb, with escalate, bind and impersonate, and those to come", _LIST_THEM
        )
    elif special in SPECIAL or special.startswith("impersonate"):
        why = SPECIAL["impersonate" if special.startswith("impersonate") else special]
        yield Misspelling(what, why, "leave it out: no template gives this")
    elif verb not in (*READS, *WRITES):
        hint = nearest(verb, (*READS, *WRITES)).removeprefix("; ") or f"known: {', '.join((*READS, *WRITES))}"
        yield Misspelling(what, "no verb that is known here, and an unknown one may allow anything", hint)


def _of_name(name: str) -> Iterator[Misspelling]:
    what = f"resourceNames {quoted(name)}"
    if not name:
        yield Misspelling(
            what, "an empty name is that of requests without one", "write names, or leave resourceNames out"
        )
    elif not is_name(name) and not parameter_of(name):
        yield Misspelling(what, "no object has such a name, and names have no wildcards", "write whole names")


def _never_named(rule: Rule) -> Iterator[Misspelling]:
    """Requests that have no name, so that a rule with names does not allow them, though it reads as if it did."""
    if not rule.resource_names:
        return
    plain = [resource for resource in rule.resources if "/" not in resource]
    for verb in ("create", "deletecollection"):
        if verb in rule.verbs and plain:
            yield Misspelling(
                f"{verb} {', '.join(plain)} with resourceNames",
                "such a request has no name, so this allows nothing",
                f"leave {verb} out, or put it into a rule without names",
            )
