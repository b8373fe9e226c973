"""What a cluster is to have of a grant: all that its agent has to know."""

from msgspec import Struct

from aliquot.access.core.life.life import Life
from aliquot.access.core.people import Person
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import Template, role_name


class GrantSpec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    id: str
    template: str
    cluster: str
    namespace: str
    """Empty: cluster-wide."""
    rules: tuple[Rule, ...]
    role: str
    """The ClusterRole made beforehand; empty: the grant has a role of its own, with just its rules."""
    holder: Person
    ticket: str
    digest: str
    end_s: float
    max_end_s: float
    """No extension goes beyond."""


def spec_of(life: Life, template: Template) -> GrantSpec:
    """Raises ValueError: it has no end, so nothing is made of it."""
    request = life.request
    if life.end_s is None or life.max_end_s is None:
        raise ValueError(f"{request.id} has no end: nothing is made of it")
    return GrantSpec(
        id=request.id,
        template=request.template,
        cluster=request.cluster,
        namespace=request.namespace,
        rules=request.rules,
        role="" if template.has_own_role else role_name(template),
        holder=request.requester,
        ticket=request.ticket,
        digest=life.digest,
        end_s=life.end_s,
        max_end_s=life.max_end_s,
    )
