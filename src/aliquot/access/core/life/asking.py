"""How a life begins: somebody asks. Whoever writes it down looks at it at once (`Look`): what needs nobody's consent goes on then."""

from aliquot.access.core.life.effects import Audience
from aliquot.access.core.life.here import Here, Step
from aliquot.access.core.life.life import Life, entitled
from aliquot.access.core.life.stages import INITIAL
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.limits import over_limits
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.requests import Request, digest
from aliquot.access.core.spelling import to_ms
from aliquot.access.core.templates.template import StepUpLevel, Template
from aliquot.access.core.terms import Ask, terms


def ask(
    asked: Ask,
    *,
    request_id: str,
    by: Person,
    now_s: float,
    around: Surroundings,
    step_up: StepUpLevel = StepUpLevel.NONE,
) -> Step | Refused:
    """`request_id`: a new one, or the one that the same ask had before, which the store then has already."""
    now_s = to_ms(now_s)
    if around.policy is None:
        return Refused("it is not known what templates there are now", Ground.UNKNOWN)
    identity = around.identities.get(by)
    if identity is None:
        return Refused(f"{by} is not known to their issuer now", Ground.UNKNOWN)
    request = terms(
        asked, request_id=request_id, requester=identity, step_up=step_up, policy=around.policy, now_s=now_s
    )
    if isinstance(request, Refused):
        return request
    template = around.policy.templates[request.template]
    if no := _too_much(request, template, around, now_s):
        return no
    life = Life(
        request=request,
        digest=digest(request),
        stage=INITIAL,
        seen_s=now_s,
        lapses_s=_lapses_s(request, template, now_s),
    )
    here = Here(life, now_s, around)
    return here.hindrance() or here.begun(
        "request.asked",
        by=by,
        details={"stepUp": step_up.value},
        to=() if template.is_pre_approved or request.emergency else (Audience.APPROVERS,),
    )


def extension(parent: Life, *, duration_s: int | None, justification: str, ticket: str = "") -> Ask:
    """Of a grant: for the same, where it is."""
    request = parent.request
    return Ask(
        template=request.template,
        cluster=request.cluster,
        namespace=request.namespace,
        parameters=request.parameters,
        duration_s=duration_s,
        justification=justification,
        ticket=ticket,
        extends=request.id,
    )


_EMERGENCY_S = 60
"""One that cannot begin by then does not begin behind somebody's back later on."""


def _lapses_s(request: Request, template: Template, now_s: float) -> float:
    if request.emergency:
        return to_ms(now_s + _EMERGENCY_S)
    lapses_s = now_s + template.approval_timeout_s
    if request.start_s is not None:
        lapses_s = min(lapses_s, request.start_s + template.start_window_s)
    return to_ms(lapses_s)


def _too_much(request: Request, template: Template, around: Surroundings, now_s: float) -> Refused | None:
    if not request.extends:
        return over_limits(template, around.usage, emergency=request.emergency, now_s=now_s)
    parent = around.parent
    if parent is None or parent.id != request.extends:
        return Refused(f"it is not known how grant {request.extends} stands", Ground.UNKNOWN)
    if parent.holder != request.requester:
        return Refused("it is not yours", Ground.FORBIDDEN)
    if _what(parent.request) != _what(request):
        return Refused("an extension is for the same as its grant, and for nothing else", Ground.INVALID)
    if not entitled(parent, now_s):
        return Refused(f"grant {parent.id} is not active: there is nothing to extend", Ground.CONFLICT)
    if parent.end_s is None or parent.max_end_s is None or parent.end_s >= parent.max_end_s:
        return Refused(f"grant {parent.id} is as long as it may be", Ground.CONFLICT)
    if around.usage is None:
        return Refused("it is not known how much else is asked for", Ground.UNKNOWN)
    if around.usage.extending:
        return Refused(f"another extension of grant {parent.id} is open", Ground.LIMITED)
    return None


def _what(request: Request) -> tuple[object, ...]:
    return request.template, request.cluster, request.namespace, request.parameters
