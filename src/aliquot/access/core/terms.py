"""On what terms access is given: what somebody may ask for, and whether a template and the policy still give it.

The same questions are asked again at approval, at activation and for each credential, of the template as it is then: who may have
it, whether the rules still are within the template's and the policy's, whether the ticket still stands.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.requests import Request, is_id
from aliquot.access.core.rules import covers, uncovered
from aliquot.access.core.spelling import to_ms
from aliquot.access.core.templates import resolving
from aliquot.access.core.templates.resolving import allows_cluster, is_name, resolve
from aliquot.access.core.templates.template import Need, StepUpLevel, Template, TicketRule
from aliquot.access.core.templates.template import digest as template_digest
from aliquot.access.core.times import SHORTEST_GRANT_S
from aliquot.document import nearest
from aliquot.kube.duration import text as duration
from aliquot.kube.quoted import quoted

MOST_CHARACTERS = 2000
"""Of what somebody writes in their own words."""
MOST_AHEAD_S = 90 * 86_400
SHORTEST_EXTENSION_S = 60
_LONGEST_PARAMETER = 63
TICKET_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
_TICKET = re.compile(TICKET_PATTERN, re.ASCII)
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They have a text read otherwise than it is written, by whoever is to agree to it."""


class Ask(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """As it comes to the door."""

    template: str
    cluster: str
    namespace: str = ""
    parameters: Mapping[str, str] = {}
    duration_s: int | None = None
    """None: as long as the template has it."""
    start_s: float | None = None
    justification: str
    ticket: str = ""
    emergency: bool = False
    extends: str = ""


class Standing(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    """Or cancelled, or not for this person or cluster."""
    MISSING = "missing"
    """Its system has none of that name."""
    UNREACHABLE = "unreachable"


class TicketFound(Struct, frozen=True, kw_only=True):
    """What a ticket's system says of it now."""

    ticket: str
    standing: Standing
    system: str = ""
    state: str = ""
    planned_from_s: float | None = None
    planned_until_s: float | None = None
    why: str = ""
    """Of one that is not open."""


def terms(
    ask: Ask, *, request_id: str, requester: Identity, step_up: StepUpLevel, policy: Policy, now_s: float
) -> Request | Refused:
    """What an ask comes to. How much else is given, and whether its ticket stands, is not asked here."""
    if wrong := _misspelt(ask, request_id):
        return Refused(wrong, Ground.INVALID)
    template = policy.templates.get(ask.template)
    if template is None:
        return Refused(
            f"there is no template '{ask.template}'{nearest(ask.template, policy.templates)}", Ground.INVALID
        )
    if why := ineligible(template, requester, emergency=ask.emergency):
        return Refused(why, Ground.FORBIDDEN)
    if step_up.rank < template.step_up.request.rank:
        return Refused(
            proof_needed(template, template.step_up.request),
            Ground.FORBIDDEN,
        )
    if ask.ticket and template.ticket.need is Need.NONE:
        return Refused(f"template '{template.name}' takes no ticket: leave it out", Ground.INVALID)
    most_s = _most_s(template, emergency=ask.emergency)
    duration_s = ask.duration_s
    if duration_s is None:
        duration_s = min(most_s, template.default_duration_s)
    least_s = SHORTEST_EXTENSION_S if ask.extends else SHORTEST_GRANT_S
    if not least_s <= duration_s <= most_s:
        return Refused(
            f"template '{template.name}' gives {duration(least_s)} to {duration(most_s)}, not {duration(duration_s)}",
            Ground.INVALID,
        )
    if ask.start_s is not None and not now_s <= ask.start_s <= now_s + MOST_AHEAD_S:
        return Refused(
            f"a start lies ahead, by no more than {MOST_AHEAD_S // 86_400} days: leave it out to begin at once",
            Ground.INVALID,
        )
    try:
        rules = resolve(template, ask.parameters, ask.namespace)
    except resolving.Refused as refused:
        return Refused(str(refused), Ground.INVALID)
    request = Request(
        id=request_id,
        template=template.name,
        template_digest=template_digest(template),
        requester=requester.person,
        cluster=ask.cluster,
        namespace=ask.namespace,
        parameters=dict(ask.parameters),
        rules=rules,
        duration_s=duration_s,
        start_s=None if ask.start_s is None else to_ms(ask.start_s),
        justification=ask.justification,
        ticket=ask.ticket,
        emergency=ask.emergency,
        extends=ask.extends,
        asked_at_s=to_ms(now_s),
    )
    if why := not_given(request, policy):
        return Refused(why, Ground.FORBIDDEN)
    return request


def ineligible(template: Template, identity: Identity, *, emergency: bool) -> str:
    """Why somebody may not have of it; empty: they may."""
    if emergency:
        if template.emergency is None:
            return f"template '{template.name}' gives nothing in an emergency"
        if not template.emergency.who.has(identity):
            return f"you are not of those who give themselves template '{template.name}' in an emergency"
        return ""
    if not template.requesters.has(identity):
        return f"you are not of those who may ask for template '{template.name}'"
    return ""


def not_given(request: Request, policy: Policy, *, running: bool = False) -> str:
    """Why the template and the policy, as they are now, do not give what is asked for; empty: they do. `running`: its end is fixed
    already, and no business of theirs any more."""
    template = policy.templates.get(request.template)
    if template is None:
        return f"there is no template '{request.template}' any more"
    if request.emergency and template.emergency is None:
        return f"template '{template.name}' gives nothing in an emergency any more"
    if not allows_cluster(template, request.cluster):
        return f"template '{template.name}' is not for cluster {quoted(request.cluster)}: it is for {', '.join(template.clusters)}"
    try:
        rules = resolve(template, request.parameters, request.namespace)
    except resolving.Refused as refused:
        return str(refused)
    if not request.rules:
        return f"template '{template.name}' comes to no rules at all"
    if not covers(rules, request.rules):
        return f"template '{template.name}' does not give '{uncovered(rules, request.rules)[0]}' any more"
    if not covers(policy.ceiling, request.rules):
        return f"the policy lets nobody have '{uncovered(policy.ceiling, request.rules)[0]}'"
    most_s = _most_s(template, emergency=request.emergency)
    if not running and request.duration_s > most_s:
        return f"template '{template.name}' gives no more than {duration(most_s)} any more, not {duration(request.duration_s)}"
    return ""


def ticket_trouble(
    rule: TicketRule,
    request: Request,
    found: TicketFound | None,
    *,
    from_s: float,
    until_s: float,
) -> Refused | None:
    """In an emergency none is needed: it is asked for when that is reviewed."""
    if rule.need is Need.NONE:
        return None
    if not request.ticket:
        if rule.need is Need.REQUIRED and not request.emergency:
            return Refused(f"template '{request.template}' asks for a ticket: name it", Ground.INVALID)
        return None
    if found is None or found.ticket != request.ticket or found.standing is Standing.UNREACHABLE:
        if request.emergency:
            return None
        return Refused(f"nobody could be asked whether ticket {request.ticket} stands", Ground.UNKNOWN)
    if why := _unfit(rule, found, from_s, until_s):
        return Refused(f"ticket {request.ticket} {why}", Ground.CONFLICT)
    return None


def proof_needed(template: Template, level: StepUpLevel) -> str:
    by = "a passkey" if level is StepUpLevel.WEBAUTHN else "a code of your app (--code), or a passkey"
    return f"template '{template.name}' asks for a fresh proof of who you are ({level.value}): {by}"


def bad_text(what: str, text: str, *, may_be_empty: bool = False) -> str:
    """What is wrong with what somebody wrote in their own words; empty: nothing."""
    if len(text) > MOST_CHARACTERS:
        return f"{what} has {len(text)} characters: {MOST_CHARACTERS} are enough"
    if not may_be_empty and not text.strip():
        return f"{what} is empty: say in your own words why"
    for one in text:
        if one in _TURNING or (one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cs")):
            return f"{what} has the control character U+{ord(one):04X}: leave it out"
    return ""


def is_ticket(text: str) -> bool:
    return _TICKET.fullmatch(text) is not None


def is_person(person: Person) -> bool:
    return bool(person.issuer and person.subject)


def _misspelt(ask: Ask, request_id: str) -> str:
    if not is_id(request_id):
        return f"{quoted(request_id)} is no id: `r` and a ULID in lower case"
    if wrong := bad_text("the justification", ask.justification):
        return wrong
    if not is_name(ask.template):
        return f"{quoted(ask.template)} is not a template's name: lower-case letters, digits, '-' and '.'"
    if not is_name(ask.cluster):
        return f"{quoted(ask.cluster)} is not a cluster's name: lower-case letters, digits, '-' and '.'"
    if long := next((name for name in ask.parameters if len(name) > _LONGEST_PARAMETER), ""):
        return f"no parameter's name is as long as {quoted(long)}"
    if ask.ticket and not is_ticket(ask.ticket):
        return f"{quoted(ask.ticket)} is not a ticket's name, like CHG0031234 or OPS-17"
    if ask.extends and not is_id(ask.extends):
        return f"{quoted(ask.extends)} is no grant's id"
    if ask.start_s is not None and not math.isfinite(ask.start_s):
        return "the start is no moment"
    if ask.start_s is not None and (ask.emergency or ask.extends):
        return "neither an emergency nor an extension has a start: leave it out"
    if ask.emergency and ask.extends:
        return (
            "an extension has to be agreed to, also of what was given in an emergency: leave 'emergency' out"
        )
    return ""


def _most_s(template: Template, *, emergency: bool) -> int:
    if emergency and template.emergency is not None:
        return min(template.emergency.duration_s, template.absolute_cap_s)
    return min(template.max_duration_s, template.absolute_cap_s)


def _unfit(rule: TicketRule, found: TicketFound, from_s: float, until_s: float) -> str:
    if found.standing is Standing.MISSING:
        return "is not there"
    if found.standing is Standing.CLOSED:
        return f"is not open: {found.why}" if found.why else "is not open"
    if rule.systems and found.system not in rule.systems:
        return f"is of {found.system or 'no known system'}, and has to be of {' or '.join(rule.systems)}"
    if rule.states and found.state not in rule.states:
        return f"is in state {quoted(found.state)}, and has to be in {' or '.join(rule.states)}"
    if rule.within_window:
        if found.planned_from_s is None or found.planned_until_s is None:
            return "says no time for which the change is planned"
        if from_s < found.planned_from_s or until_s > found.planned_until_s:
            return "plans the change for another time than from this grant's start to its end"
    return ""
