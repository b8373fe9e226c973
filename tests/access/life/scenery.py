"""People, templates and a policy for lives to be led among."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from aliquot.access.core.people import Group, Identity, Person, group
from aliquot.access.core.policy import Policy, policy
from aliquot.access.core.quorum import Quorum, Slot
from aliquot.access.core.requests import RANDOM_BYTES, new_id
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import (
    Circle,
    Emergency,
    Need,
    Parameter,
    Review,
    StepUp,
    Template,
    TicketRule,
    Tier,
)

ISSUER = "https://login.example.com"
START_S = 1_800_000_000.0
HOUR_S = 3600


def person(name: str) -> Person:
    return Person(ISSUER, name)


def groups(names: str) -> tuple[Group, ...]:
    return tuple(group(f"{ISSUER}#{name}") for name in names.split())


def who(name: str, of: str = "", *, acts_for: str = "") -> Identity:
    return Identity(
        person=person(name),
        groups=frozenset(groups(of)),
        acts_for=frozenset(person(one) for one in acts_for.split()),
    )


def circle(of: str = "", *people: str) -> Circle:
    return Circle(groups=groups(of), people=tuple(person(one) for one in people))


def slots(*of: str, distinct: bool = True) -> Quorum:
    return Quorum(slots=tuple(Slot(groups=groups(one)) for one in of), distinct_groups=distinct)


PEOPLE = {
    one.person: one
    for one in (
        who("dev", "dev on-call"),
        who("dave", "dev on-call"),
        who("sara", "sre"),
        who("sean", "sre sec"),
        who("cleo", "sec"),
        who("deputy", "sre sec", acts_for="dev"),
        who("rita", "audit"),
        who("rob", "audit"),
        who("max", "security"),
        who("mia", "security"),
        who("stranger", "nobody"),
    )
}

FIX = Template(
    name="fix",
    owner="platform",
    description="Restart what hangs.",
    tier=Tier.STANDARD,
    requesters=circle("dev"),
    rules=(
        Rule(("apps",), ("deployments",), ("get", "patch"), ("${workload}",)),
        Rule(("",), ("pods", "pods/log"), ("get", "list")),
    ),
    denied=(),
    parameters={"workload": Parameter(pattern="[a-z-]+", names="Deployment")},
    clusters=("prod-*",),
    namespaces=("team-*",),
    except_namespaces=("team-secret",),
    cluster_wide=False,
    default_duration_s=HOUR_S,
    max_duration_s=2 * HOUR_S,
    absolute_cap_s=3 * HOUR_S,
    start_window_s=HOUR_S // 2,
    approval_timeout_s=HOUR_S,
    quorum=slots("sre", "sec"),
    step_up=StepUp(),
    ticket=TicketRule(need=Need.OPTIONAL),
    emergency=Emergency(who=circle("on-call"), duration_s=HOUR_S // 2),
    review=Review(within_s=24 * HOUR_S, reviewers=slots("audit")),
    most_per_person=2,
    most_at_once=3,
    cool_down_s=0,
)
"""Two groups have to agree; on-call gives it themselves in an emergency."""

PEEK = replace(
    FIX,
    name="peek",
    description="Read logs.",
    rules=(Rule(("",), ("pods/log",), ("get",)),),
    parameters={},
    quorum=Quorum(),
    emergency=None,
    review=None,
    ticket=TicketRule(),
    most_per_person=1,
    cool_down_s=600,
)
"""Nobody has to agree."""

CEILING = (
    Rule(("apps",), ("deployments",), ("get", "list", "patch")),
    Rule(("",), ("pods", "pods/log"), ("get", "list", "watch")),
)


def policy_of(templates: Iterable[Template] = (FIX, PEEK), **other: Any) -> Policy:
    settings: dict[str, Any] = {
        "ceiling": CEILING,
        "security": circle("security"),
        "clearing": slots("security", "security", distinct=False),
    }
    return policy(templates, **{**settings, **other})


def an_id(number: int) -> str:
    return new_id(START_S, number.to_bytes(RANDOM_BYTES))
