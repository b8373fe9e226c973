"""A template as its owner writes it: durations like 30m, and words for people, which an installation binds.

What is left out has a default that gives less: no emergency, no ticket system but any that is open, no time to spare. What decides
who gets in has none and has to be said: that nobody needs to approve is `preApproved: true`, not an empty list.
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.access.core.quorum import Quorum
from aliquot.access.core.rules import Denial, Rule, without
from aliquot.access.core.templates import patterns
from aliquot.access.core.templates.bindings import Bindings, circle, quorum
from aliquot.access.core.templates.template import (
    Emergency,
    Need,
    Parameter,
    Review,
    StepUp,
    StepUpLevel,
    Template,
    TicketRule,
    Tier,
    parameter_of,
)
from aliquot.access.core.times import SHORTEST_GRANT_S
from aliquot.document import Document, nearest
from aliquot.document.parts import Key
from aliquot.kube import duration
from aliquot.kube.quoted import quoted

_Count = Annotated[int, Meta(ge=1, le=1000)]
_Word = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?\Z")]
"""Of a role, and a template's name: a part of Kubernetes names."""
_Words = Annotated[list[_Word], Meta(min_length=1)]
_Texts = Annotated[list[str], Meta(min_length=1)]
_LONGEST_GRANT_S = 24 * 3600


class _Rule(Struct, rename="camel"):
    api_groups: _Texts
    resources: _Texts
    verbs: _Texts
    resource_names: _Texts | None = None


class _Denial(Struct, rename="camel"):
    verbs: _Texts
    resources: _Texts | None = None
    api_groups: _Texts | None = None


class _Parameter(Struct, rename="camel"):
    pattern: str
    names: Annotated[str, Meta(min_length=1)]
    description: str = ""


class _Times(Struct, rename="camel"):
    default: str
    most: str
    with_extensions: str
    start_within: str = "1h"
    approve_within: str = "1h"
    cool_down: str = "0s"


class _Approval(Struct, rename="camel"):
    slots: Annotated[list[_Words], Meta(min_length=1)] | None = None
    pre_approved: bool = False
    distinct_groups: bool = True


class _StepUp(Struct, rename="camel"):
    request: StepUpLevel
    approval: StepUpLevel


class _Ticket(Struct, rename="camel"):
    need: Need
    systems: list[str] = []
    states: list[str] = []
    within_window: bool = False


class _Emergency(Struct, rename="camel"):
    who: _Words
    most: str


class _Review(Struct, rename="camel"):
    within: str
    slots: Annotated[list[_Words], Meta(min_length=1)]
    distinct_groups: bool = True
    every_use: bool = False


class _File(Struct, rename="camel"):
    name: _Word
    owner: Annotated[str, Meta(min_length=1)]
    description: Annotated[str, Meta(min_length=1)]
    tier: Tier
    requesters: _Words
    rules: Annotated[list[_Rule], Meta(min_length=1)]
    clusters: _Texts
    times: _Times
    approval: _Approval
    step_up: _StepUp
    ticket: _Ticket
    namespaces: _Texts | None = None
    except_namespaces: list[str] = []
    cluster_wide: bool = False
    denied: list[_Denial] = []
    parameters: dict[str, _Parameter] = {}
    emergency: _Emergency | None = None
    review: _Review | None = None
    most_per_person: _Count = 1
    most_at_once: _Count = 10


def parse(text: str, source: str, bindings: Bindings) -> Template:
    """One template, complete. Raises DocumentError."""
    return read(document.parse(text, source=source), bindings)


def read(found: Document, bindings: Bindings) -> Template:
    """Raises DocumentError."""
    file = found.into(_File)
    template = Template(
        name=file.name,
        owner=file.owner,
        description=" ".join(file.description.split()),
        tier=file.tier,
        requesters=circle(file.requesters, bindings),
        rules=tuple(map(_rule, file.rules)),
        denied=tuple(map(_denial, file.denied)),
        parameters={name: _parameter(found, name, one) for name, one in file.parameters.items()},
        clusters=tuple(file.clusters),
        namespaces=_namespaces(found, file),
        except_namespaces=tuple(file.except_namespaces),
        cluster_wide=file.cluster_wide,
        default_duration_s=_seconds(found, ("times", "default"), file.times.default),
        max_duration_s=_seconds(found, ("times", "most"), file.times.most),
        absolute_cap_s=_seconds(found, ("times", "withExtensions"), file.times.with_extensions),
        start_window_s=_seconds(found, ("times", "startWithin"), file.times.start_within),
        approval_timeout_s=_seconds(found, ("times", "approveWithin"), file.times.approve_within),
        quorum=_approval(found, file.approval, bindings),
        step_up=StepUp(request=file.step_up.request, approval=file.step_up.approval),
        ticket=_ticket(found, file.ticket),
        emergency=_emergency(found, file, bindings),
        review=_review(found, file.review, bindings),
        most_per_person=file.most_per_person,
        most_at_once=file.most_at_once,
        cool_down_s=_seconds(found, ("times", "coolDown"), file.times.cool_down),
    )
    _check_times(found, template)
    _check_references(found, template)
    _check_denied(found, template)
    return template


def words(found: Document) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Every word for people, with the path to it. Raises DocumentError."""
    file = found.into(_File)
    for index, word in enumerate(file.requesters):
        yield ("requesters", index), word
    for path, slots in (
        (("approval", "slots"), file.approval.slots),
        (("review", "slots"), file.review and file.review.slots),
    ):
        for number, slot in enumerate(slots or ()):
            for index, word in enumerate(slot):
                yield (*path, number, index), word
    for index, word in enumerate(file.emergency.who if file.emergency else ()):
        yield ("emergency", "who", index), word


def _rule(rule: _Rule) -> Rule:
    names = tuple(rule.resource_names or ())
    return Rule(tuple(rule.api_groups), tuple(rule.resources), tuple(rule.verbs), names)


def _denial(denial: _Denial) -> Denial:
    everything = ["*"]
    return Denial(
        verbs=tuple(denial.verbs),
        resources=tuple(denial.resources or everything),
        api_groups=tuple(denial.api_groups or everything),
    )


def _parameter(found: Document, name: str, parameter: _Parameter) -> Parameter:
    path: tuple[Key, ...] = ("parameters", name)
    if not parameter_of(f"${{{name}}}"):
        raise found.error(
            path, f"{quoted(name)} is no parameter's name: a small letter, then letters and digits"
        )
    if wrong := patterns.trouble(parameter.pattern):
        raise found.error((*path, "pattern"), wrong)
    return Parameter(pattern=parameter.pattern, names=parameter.names, description=parameter.description)


def _namespaces(found: Document, file: _File) -> tuple[str, ...]:
    if file.cluster_wide and (file.namespaces is not None or file.except_namespaces):
        field = "namespaces" if file.namespaces is not None else "exceptNamespaces"
        raise found.error((field,), "a template with clusterWide: true is for all namespaces: leave this out")
    if not file.cluster_wide and file.namespaces is None:
        raise found.error(
            (), "field 'namespaces' is missing: globs of those that it is for, or clusterWide: true"
        )
    return tuple(file.namespaces or ())


def _seconds(found: Document, path: tuple[Key, ...], text: str) -> int:
    try:
        seconds = duration.seconds(text)
    except ValueError as error:
        raise found.error(path, str(error)) from None
    if seconds != int(seconds):
        raise found.error(path, f"{quoted(text)} is not a whole number of seconds")
    return int(seconds)


def _approval(found: Document, approval: _Approval, bindings: Bindings) -> Quorum:
    if approval.pre_approved == (approval.slots is not None):
        raise found.error(("approval",), "either 'slots', who has to approve, or 'preApproved: true'")
    return quorum(approval.slots or (), approval.distinct_groups, bindings)


def _ticket(found: Document, ticket: _Ticket) -> TicketRule:
    if ticket.within_window and ticket.need is not Need.REQUIRED:
        raise found.error(("ticket", "withinWindow"), "only a ticket has a window: need has to be 'required'")
    return TicketRule(
        need=ticket.need,
        systems=tuple(ticket.systems),
        states=tuple(ticket.states),
        within_window=ticket.within_window,
    )


def _emergency(found: Document, file: _File, bindings: Bindings) -> Emergency | None:
    if file.emergency is None:
        return None
    if file.review is None:
        raise found.error(("emergency",), "an emergency is looked at afterwards: field 'review' is missing")
    return Emergency(
        who=circle(file.emergency.who, bindings),
        duration_s=_seconds(found, ("emergency", "most"), file.emergency.most),
    )


def _review(found: Document, review: _Review | None, bindings: Bindings) -> Review | None:
    if review is None:
        return None
    return Review(
        within_s=_seconds(found, ("review", "within"), review.within),
        reviewers=quorum(review.slots, review.distinct_groups, bindings),
        every_use=review.every_use,
    )


def _check_times(found: Document, template: Template) -> None:
    shortest = duration.text(SHORTEST_GRANT_S)
    ordered = (
        (("times", "default"), template.default_duration_s),
        (("times", "most"), template.max_duration_s),
        (("times", "withExtensions"), template.absolute_cap_s),
    )
    least = SHORTEST_GRANT_S
    why = f"no grant is shorter than {shortest}: no credential could be made for it"
    for path, seconds in ordered:
        if seconds < least:
            raise found.error(path, f"{duration.text(seconds)} is too short: {why}")
        least, why = seconds, f"{path[1]} is {duration.text(seconds)}"
    if template.absolute_cap_s > _LONGEST_GRANT_S:
        raise found.error(
            ordered[2][0], f"{duration.text(_LONGEST_GRANT_S)} are the most: what lasts longer is a role"
        )
    for name, seconds in (
        ("startWithin", template.start_window_s),
        ("approveWithin", template.approval_timeout_s),
    ):
        if not seconds:
            raise found.error(("times", name), "no time at all: nothing could ever be given")
    if (
        template.emergency
        and not SHORTEST_GRANT_S <= template.emergency.duration_s <= template.max_duration_s
    ):
        raise found.error(
            ("emergency", "most"),
            f"between {shortest} and times.most, {duration.text(template.max_duration_s)}",
        )
    if template.review and not template.review.within_s:
        raise found.error(("review", "within"), "no time at all: it would be overdue at once")


def _check_references(found: Document, template: Template) -> None:
    used = set()
    for number, rule in enumerate(template.rules):
        for index, name in enumerate(rule.resource_names):
            path = ("rules", number, "resourceNames", index)
            parameter = parameter_of(name)
            if "$" in name and not parameter:
                raise found.error(path, f"{quoted(name)}: a parameter stands for a whole name, like ${{pod}}")
            if parameter and parameter not in template.parameters:
                hint = nearest(parameter, template.parameters)
                raise found.error(path, f"there is no parameter '{parameter}'{hint}")
            used.add(parameter)
    for name in template.parameters:
        if name not in used:
            raise found.error(
                ("parameters", name), f"no rule uses '{name}': write ${{{name}}} in resourceNames"
            )


def _check_denied(found: Document, template: Template) -> None:
    for number, rule in enumerate(template.rules):
        try:
            left = without((rule,), template.denied)
        except ValueError as error:
            raise found.error(("rules", number), str(error)) from None
        if not left:
            raise found.error(("rules", number), "all of it is denied: leave it out")
