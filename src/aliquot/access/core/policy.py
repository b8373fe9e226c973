"""What holds now: the templates, the most that any of them gives, and who looks after all."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from aliquot import canonical_json
from aliquot.access.core.people import Identity
from aliquot.access.core.quorum import Quorum
from aliquot.access.core.rules import Rule
from aliquot.access.core.spelling import spell
from aliquot.access.core.templates.template import Circle, Template
from aliquot.access.core.templates.template import digest as template_digest

FEWEST_TO_CLEAR = 2
NOBODY = Circle()


class Policy(Struct, frozen=True, kw_only=True):
    templates: Mapping[str, Template]
    ceiling: tuple[Rule, ...]
    """Whatever templates say, nobody gets more. Empty: nobody gets anything."""
    security: Circle
    """May end anything, and pull the kill switch."""
    clearing: Quorum
    """Who has to agree before there is access again."""
    auditors: Circle = NOBODY
    """May have reports of who had what, beside those who look after all."""
    digest: str

    def may_have_reports(self, identity: Identity) -> bool:
        return self.security.has(identity) or self.auditors.has(identity)


def policy(
    templates: Iterable[Template],
    *,
    ceiling: tuple[Rule, ...],
    security: Circle,
    clearing: Quorum,
    auditors: Circle = NOBODY,
) -> Policy:
    """Raises ValueError: two templates of one name, or fewer than two people who clear the kill switch."""
    by_name: dict[str, Template] = {}
    for template in templates:
        if template.name in by_name:
            raise ValueError(f"two templates are named '{template.name}': rename one")
        by_name[template.name] = template
    if len(clearing.slots) < FEWEST_TO_CLEAR:
        raise ValueError(
            f"the kill switch is cleared by at least {FEWEST_TO_CLEAR} people, not {len(clearing.slots)}: add slots to 'clearing'"
        )
    said: dict[str, Any] = {
        "templates": {name: template_digest(one) for name, one in by_name.items()},
        "ceiling": [spell(rule) for rule in ceiling],
        "security": spell(security),
        "clearing": spell(clearing),
        "auditors": spell(auditors),
    }
    return Policy(
        templates=by_name,
        ceiling=ceiling,
        security=security,
        clearing=clearing,
        auditors=auditors,
        digest="sha256:" + hashlib.sha256(canonical_json.dumps(said)).hexdigest(),
    )


class Held(Struct, frozen=True):
    """A policy by its digests: enough to tell what of it is another."""

    digest: str = ""
    templates: dict[str, str] = {}
    """By name."""


def held(policy: Policy) -> Held:
    return Held(policy.digest, {name: template_digest(one) for name, one in policy.templates.items()})
