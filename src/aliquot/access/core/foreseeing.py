"""What a request would come to if it were made now: what it gives, who would have to agree, how long it may last, what stands in its way."""

from msgspec import Struct

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.limits import Usage, over_limits, stopped
from aliquot.access.core.quorum import Slot
from aliquot.access.core.requests import Request
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import Need, StepUp, StepUpLevel, Template
from aliquot.access.core.terms import TicketFound, proof_needed, ticket_trouble
from aliquot.access.core.times import WORST_AFTER_END_S, WORST_AFTER_REVOKE_S


class Approvals(Struct, frozen=True, rename="camel"):
    slots: tuple[Slot, ...]
    distinct_groups: bool


class Foreseen(Struct, frozen=True, kw_only=True, rename="camel"):
    rules: tuple[Rule, ...]
    duration_s: int
    approvals: Approvals
    """Each slot by somebody else; none: nobody is asked."""
    step_up: StepUp
    ticket: Need
    reviewed: bool
    """Whether somebody judges it afterwards."""
    latest_end_s: float
    """Agreed to at the last moment, and begun at the last one after that."""
    latest_end_with_extensions_s: float
    use_after_end_s: int
    use_after_revoke_s: int
    missing: tuple[str, ...]
    """What would have it refused, or wait for ever, if it were asked for as it is."""


def foresee(
    request: Request,
    template: Template,
    *,
    step_up: StepUpLevel,
    usage: Usage,
    switch: KillSwitch,
    ticket: TicketFound | None,
    now_s: float,
) -> Foreseen:
    """`step_up`: what whoever asks has proven so far."""
    quorum = template.quorum
    began_s = now_s if request.start_s is None else request.start_s
    latest_s = began_s
    if not request.emergency:
        waits = request.start_s is None and not template.is_pre_approved
        latest_s += template.start_window_s + (template.approval_timeout_s if waits else 0)
    until_s = began_s + request.duration_s
    missing = [
        "" if (no := stopped(switch)) is None else no.reason,
        _proof(template, step_up),
        ""
        if (no := ticket_trouble(template.ticket, request, ticket, from_s=began_s, until_s=until_s)) is None
        else no.reason,
        ""
        if (no := over_limits(template, usage, emergency=request.emergency, now_s=now_s)) is None
        else no.reason,
        "" if request.emergency else _nobody(quorum.slots),
    ]
    return Foreseen(
        rules=request.rules,
        duration_s=request.duration_s,
        approvals=Approvals(() if request.emergency else quorum.slots, quorum.distinct_groups),
        step_up=template.step_up,
        ticket=template.ticket.need,
        reviewed=template.review is not None and (request.emergency or template.review.every_use),
        latest_end_s=latest_s + request.duration_s,
        latest_end_with_extensions_s=latest_s + template.absolute_cap_s,
        use_after_end_s=WORST_AFTER_END_S,
        use_after_revoke_s=WORST_AFTER_REVOKE_S,
        missing=tuple(one for one in missing if one),
    )


def _proof(template: Template, step_up: StepUpLevel) -> str:
    needed = template.step_up.request
    return proof_needed(template, needed) if step_up.rank < needed.rank else ""


def _nobody(slots: tuple[Slot, ...]) -> str:
    empty = [str(number) for number, slot in enumerate(slots, 1) if not (slot.groups or slot.people)]
    if not empty:
        return ""
    return f"somebody who may agree: nobody is bound to the words of slot {' and '.join(empty)}"
