"""How much at once and how soon again: reasons why somebody gets nothing now, however good what they ask for is."""

import math

from msgspec import Struct

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import Template
from aliquot.kube.duration import text as duration


class Usage(Struct, frozen=True, kw_only=True):
    """Of a template, one request itself and extensions not counted. It has to be counted in the transaction that writes what was
    decided by it, with others of the same person and template held off: else two who ask at once both are the last that may."""

    open_of_person: int = 0
    """Requests and grants that are not over and gone."""
    open_of_all: int = 0
    granted_of_person: int = 0
    """Those that may be in a cluster."""
    granted_of_all: int = 0
    last_end_s: float | None = None
    """Of this person's grants of this template."""
    review_due_s: float | None = None
    """The first of the person's open reviews, whatever the template."""
    extending: bool = False
    """Another extension of the same grant is open."""


def over_limits(template: Template, usage: Usage | None, *, emergency: bool, now_s: float) -> Refused | None:
    """When somebody asks."""
    if usage is None:
        return _NOT_COUNTED
    if usage.open_of_person >= template.most_per_person:
        return _limited(
            f"{usage.open_of_person} of template '{template.name}' are yours already, and nobody has more than {template.most_per_person}"
        )
    if usage.open_of_all >= template.most_at_once:
        return _limited(
            f"{usage.open_of_all} of template '{template.name}' are asked for or given, and there are never more than {template.most_at_once}"
        )
    left_s = 0.0 if usage.last_end_s is None else usage.last_end_s + template.cool_down_s - now_s
    if template.cool_down_s and left_s > 0:
        return _limited(
            f"your last grant of template '{template.name}' ended just now: ask again in {duration(math.ceil(left_s))}"
        )
    return overdue(usage, emergency=emergency, now_s=now_s)


def too_many_begun(
    template: Template, usage: Usage | None, *, emergency: bool, now_s: float
) -> Refused | None:
    """When a grant is to begin. Those that wait are not counted, so that they never wait for each other."""
    if usage is None:
        return _NOT_COUNTED
    if usage.granted_of_person >= template.most_per_person:
        return _limited(
            f"{usage.granted_of_person} grants of template '{template.name}' are yours, and nobody has more than {template.most_per_person}"
        )
    if usage.granted_of_all >= template.most_at_once:
        return _limited(
            f"{usage.granted_of_all} grants of template '{template.name}' are given, and there are never more than {template.most_at_once}"
        )
    return overdue(usage, emergency=emergency, now_s=now_s)


def overdue(usage: Usage, *, emergency: bool, now_s: float) -> Refused | None:
    if emergency and usage.review_due_s is not None and now_s >= usage.review_due_s:
        return _limited(
            "a review of what you had access for is overdue: until it is closed you give yourself nothing in an emergency"
        )
    return None


def stopped(switch: KillSwitch | None) -> Refused | None:
    if switch is None:
        return Refused("it is not known whether the kill switch is pulled", Ground.UNKNOWN)
    if switch.is_pulled:
        return Refused(f"the kill switch is pulled (pull {switch.pulls}): nobody gets access", Ground.STOPPED)
    return None


_NOT_COUNTED = Refused("it is not known how much else is given", Ground.UNKNOWN)


def _limited(reason: str) -> Refused:
    return Refused(reason, Ground.LIMITED)
