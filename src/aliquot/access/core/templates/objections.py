"""What speaks against a template: hazards that its tier may not have, and what its tier asks for and is not there.

Whoever loads a template refuses it while there is an objection. A tier is a promise to those who live with its use. Of the second:
two people from two groups have agreed, and everybody has just proven who they are. Of the third also: it is short, and looked at
afterwards.
"""

from collections.abc import Iterator
from typing import NamedTuple

from aliquot.access.core.hazards import Hazard, Safeguard, hazards
from aliquot.access.core.hazards.spelling import READS
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.quorum import Quorum, is_met
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.resolving import allows_namespace
from aliquot.access.core.templates.template import Need, StepUpLevel, Template, Tier
from aliquot.document.parts import Key
from aliquot.kube import duration

OUR_NAMESPACE = "aliquot-break-glass"
PRIVILEGED_NAMESPACES = (
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "aliquot-system",
    "gpu-operator",
    "nvidia-gpu-operator",
)
"""Whose pods are root on nodes, as GPU agents and drivers are, or hold a cluster together."""

_PASSIVE = ("", "log", "status", "scale")
"""Subresources that are read without anything being entered."""
_NOBODY = Person("", "")


class Objection(NamedTuple):
    path: tuple[Key, ...]
    """Into the template's file."""
    message: str


class _Demands(NamedTuple):
    """What a tier asks of its templates."""

    step_up: StepUpLevel
    most_s: int
    cap_s: int


_DEMANDS = {
    Tier.HIGH: _Demands(StepUpLevel.TOTP, most_s=2 * 3600, cap_s=4 * 3600),
    Tier.CRITICAL: _Demands(StepUpLevel.WEBAUTHN, most_s=30 * 60, cap_s=3600),
}
_CRITICAL_REVIEW_S = 24 * 3600


def objections(template: Template) -> tuple[Objection, ...]:
    found = [*_of_rules(template), *_of_places(template), *_of_people(template)]
    if template.tier in _DEMANDS:
        found += _of_tier(template, _DEMANDS[template.tier])
    return tuple(found)


def _of_rules(template: Template) -> Iterator[Objection]:
    # As they are written, not as `denied` leaves them: that is for what nobody has thought of.
    for one in hazards(template.rules, namespaced=not template.cluster_wide):
        if objected := _objected(template, one):
            yield Objection(("rules", one.rule), f"{objected}: {one.what}: {one.why}; {one.instead}")


def _objected(template: Template, hazard: Hazard) -> str:
    if hazard.tier is None:
        return "refused"
    if template.tier.rank < hazard.tier.rank:
        return f"needs tier {hazard.tier}"
    if hazard.safeguard is Safeguard.CHANGE_WINDOW and not template.ticket.within_window:
        return f"needs {hazard.safeguard}"
    return ""


def _of_places(template: Template) -> Iterator[Objection]:
    if template.cluster_wide:
        return
    if allows_namespace(template, OUR_NAMESPACE):
        yield Objection(
            ("namespaces",),
            f"refused: {OUR_NAMESPACE} has the credentials of all grants; put it into exceptNamespaces",
        )
    active = [number for number, rule in enumerate(template.rules, 1) if not _only_reads(rule)]
    inside = [one for one in PRIVILEGED_NAMESPACES if allows_namespace(template, one)]
    if active and inside and template.tier is not Tier.CRITICAL:
        yield Objection(
            ("namespaces",),
            f"needs tier {Tier.CRITICAL}: rule {active[0]} changes or enters what is in {', '.join(inside)}, "
            "whose pods are root on nodes or hold the cluster together; put them into exceptNamespaces",
        )


def _only_reads(rule: Rule) -> bool:
    return all(verb in READS for verb in rule.verbs) and all(
        one.partition("/")[2] in _PASSIVE for one in rule.resources
    )


def _of_people(template: Template) -> Iterator[Objection]:
    if can_never_be_met(template.quorum):
        yield Objection(("approval",), _HOPELESS)
    if template.review and can_never_be_met(template.review.reviewers):
        yield Objection(("review",), _HOPELESS)
    if template.emergency and template.step_up.request is StepUpLevel.NONE:
        yield Objection(
            ("stepUp", "request"), "who lets themselves in proves anew who they are: totp or webauthn"
        )


_HOPELESS = (
    "can never be met: its slots need people of different groups, and the installation has bound too few to them; "
    "bind their words to different groups, or say distinctGroups: false"
)


def can_never_be_met(quorum: Quorum) -> bool:
    """Though somebody belongs to each slot. One to which nobody does is the installation's own way to say no."""
    if not all(slot.groups or slot.people for slot in quorum.slots):
        return False
    groups = dict.fromkeys(group for slot in quorum.slots for group in slot.groups)
    named = dict.fromkeys(person for slot in quorum.slots for person in slot.people)
    everybody = [
        Identity(person=Person(group, str(number)), groups=frozenset((group,)))
        for group in groups
        for number in range(len(quorum.slots))
    ]
    everybody += [Identity(person=person) for person in named]
    return not is_met(quorum, everybody, _NOBODY)


def _of_tier(template: Template, demands: _Demands) -> Iterator[Objection]:
    tier = f"tier {template.tier}"
    if len(template.quorum.slots) < 2 or not template.quorum.distinct_groups:
        yield Objection(
            ("approval",),
            f"{tier} asks for two people from two groups: two slots, and no distinctGroups: false",
        )
    for name, level in (("request", template.step_up.request), ("approval", template.step_up.approval)):
        if level.rank < demands.step_up.rank:
            yield Objection(("stepUp", name), f"{tier} asks for {demands.step_up}, not {level}")
    if template.emergency:
        yield Objection(("emergency",), f"{tier} asks for two others, so nobody lets themselves in")
    for name, seconds, most_s in (
        ("most", template.max_duration_s, demands.most_s),
        ("withExtensions", template.absolute_cap_s, demands.cap_s),
    ):
        if seconds > most_s:
            yield Objection(("times", name), f"{tier} asks for no more than {duration.text(most_s)}")
    if template.tier is Tier.CRITICAL:
        yield from _of_critical(template)


def _of_critical(template: Template) -> Iterator[Objection]:
    tier = f"tier {template.tier}"
    review = template.review
    if review is None or not review.every_use or review.within_s > _CRITICAL_REVIEW_S:
        yield Objection(
            ("review",),
            f"{tier} asks for a look at every use within {duration.text(_CRITICAL_REVIEW_S)}: review with everyUse: true",
        )
    if template.ticket.need is Need.NONE:
        yield Objection(("ticket", "need"), f"{tier} asks for a ticket, at least 'optional'")
