"""What may be asked for: by whom, which rules, where, for how long, and what has to be so first."""

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

import msgspec
from msgspec import Struct

from aliquot import canonical_json
from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.core.quorum import Quorum
from aliquot.access.core.rules import Denial, Rule

Digest = NewType("Digest", str)
"""`sha256:` and hex."""

ROLE_PREFIX = "aliquot-bg:"


class Tier(StrEnum):
    """How much has to be so before access is given; what a tier asks for is in `objections`."""

    STANDARD = "standard"
    HIGH = "high"
    """What may reveal secrets or lead to more rights."""
    CRITICAL = "critical"
    """What as good as is all of a namespace, or of the cluster."""

    @property
    def rank(self) -> int:
        return list(Tier).index(self)


class StepUpLevel(StrEnum):
    """A fresh proof of who somebody is, for this very digest."""

    NONE = "none"
    TOTP = "totp"
    WEBAUTHN = "webauthn"

    @property
    def rank(self) -> int:
        return list(StepUpLevel).index(self)


class Need(StrEnum):
    NONE = "none"
    """None is taken."""
    OPTIONAL = "optional"
    REQUIRED = "required"


class _Part(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Circle(_Part, frozen=True):
    """Who belongs, through a group or by name. Without both: nobody."""

    groups: tuple[Group, ...] = ()
    people: tuple[Person, ...] = ()

    def has(self, identity: Identity) -> bool:
        return identity.person in self.people or any(one in identity.groups for one in self.groups)


class Parameter(_Part, frozen=True):
    pattern: str
    """A regular expression that all of a value has to match."""
    names: str
    """The kind that a value is the name of: Pod, Deployment, Node."""
    description: str = ""


class StepUp(_Part, frozen=True):
    request: StepUpLevel = StepUpLevel.NONE
    approval: StepUpLevel = StepUpLevel.NONE


class TicketRule(_Part, frozen=True):
    need: Need = Need.NONE
    systems: tuple[str, ...] = ()
    """Ticket systems, as the installation calls them; none: any of its."""
    states: tuple[str, ...] = ()
    """As the system writes them, one of which a ticket has to be in; none: any that is open."""
    within_window: bool = False
    """From its start to its end a grant lies within the time for which the ticket plans the change."""


class Review(_Part, frozen=True):
    within_s: int
    """Of a grant's end; after that it is overdue."""
    reviewers: Quorum
    every_use: bool = False
    """Also of grants that were approved, not of emergencies only."""


class Emergency(_Part, frozen=True):
    """Access that somebody gives themselves, and a review of it afterwards. A template without this has none."""

    who: Circle
    duration_s: int
    """At most."""


class Template(_Part, frozen=True):
    name: str
    owner: str
    """Who answers for it: a team, for people to read."""
    description: str
    tier: Tier
    requesters: Circle
    rules: tuple[Rule, ...]
    """Names may be `${PARAMETER}`, as a whole."""
    denied: tuple[Denial, ...]
    """Taken out of the rules, whoever writes what into them later."""
    parameters: Mapping[str, Parameter]
    clusters: tuple[str, ...]
    """Globs, one of which has to match."""
    namespaces: tuple[str, ...]
    """The same; none where it is cluster-wide."""
    except_namespaces: tuple[str, ...]
    """Globs, none of which may match."""
    cluster_wide: bool
    default_duration_s: int
    max_duration_s: int
    absolute_cap_s: int
    """From a grant's start, with all of its extensions."""
    start_window_s: int
    """After the last approval; not begun until then, a grant ends."""
    approval_timeout_s: int
    quorum: Quorum
    """Of a template that is approved beforehand it has no slots."""
    step_up: StepUp
    ticket: TicketRule
    emergency: Emergency | None
    review: Review | None
    """Always there where `emergency` is."""
    most_per_person: int
    """Grants and open requests at one time."""
    most_at_once: int
    """The same, of everybody together."""
    cool_down_s: int
    """From the end of a person's grant until they may ask again."""

    @property
    def is_pre_approved(self) -> bool:
        return not self.quorum.slots

    @property
    def has_own_role(self) -> bool:
        """Its rules differ from grant to grant, so each has a Role; of the others there is one ClusterRole, made beforehand."""
        return any(parameter_of(name) for rule in self.rules for name in rule.resource_names)


_REFERENCE = re.compile(r"\$\{([a-z][A-Za-z0-9]*)\}")


def parameter_of(resource_name: str) -> str:
    """The parameter that stands in a name's place; empty: it is a name."""
    found = _REFERENCE.fullmatch(resource_name)
    return found[1] if found else ""


def digest(template: Template) -> Digest:
    """Of all that it says, also of who belongs where: who exchanges an approver has another template."""
    canonical = canonical_json.dumps(msgspec.to_builtins(template))
    return Digest("sha256:" + hashlib.sha256(canonical).hexdigest())


def role_name(template: Template) -> str:
    """Of the ClusterRole of one that has no parameters."""
    return ROLE_PREFIX + template.name
