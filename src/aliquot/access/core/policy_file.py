"""The policy of an installation as a file, beside its templates and who is who:

security: [security]                          # may end anything, and pull the kill switch
auditors: [auditors]                          # may have reports; left out, only those of security
clearing: {slots: [[platform], [security]]}   # who has to agree before there is access again
ceiling:                                      # whatever templates say, nobody gets more
- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
"""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.access.core.policy import Policy, policy
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.bindings import Bindings, circle, quorum
from aliquot.access.core.templates.objections import can_never_be_met
from aliquot.access.core.templates.template import Template

_Words = Annotated[list[str], Meta(min_length=1)]


class _Clearing(Struct, rename="camel"):
    slots: list[_Words]
    distinct_groups: bool = True


class _File(Struct, rename="camel"):
    security: _Words
    clearing: _Clearing
    ceiling: Annotated[list[Rule], Meta(min_length=1)]
    auditors: list[str] = []


def parse_policy(text: str, source: str, templates: Iterable[Template], bindings: Bindings) -> Policy:
    """Raises DocumentError."""
    found = document.parse(text, source=source)
    file = found.into(_File)
    clearing = quorum(file.clearing.slots, file.clearing.distinct_groups, bindings)
    if can_never_be_met(clearing):
        raise found.error(
            ("clearing",),
            "can never be met, so a kill switch would stay pulled: bind the words of its slots to different groups",
        )
    try:
        return policy(
            templates,
            ceiling=tuple(file.ceiling),
            security=circle(file.security, bindings),
            clearing=clearing,
            auditors=circle(file.auditors, bindings),
        )
    except ValueError as error:
        raise found.error(("clearing",), str(error)) from None
