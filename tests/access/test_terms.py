"""What may be asked for, a row for each thing that may not, and the line that says so."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.policy import policy
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import Need, StepUp, StepUpLevel, Template, TicketRule
from aliquot.access.core.templates.template import digest as template_digest
from aliquot.access.core.terms import (
    MOST_AHEAD_S,
    MOST_CHARACTERS,
    Ask,
    Standing,
    TicketFound,
    bad_text,
    terms,
    ticket_trouble,
)
from aliquot.access.core.times import SHORTEST_GRANT_S
from tests.access.life.scenery import (
    CEILING,
    FIX,
    HOUR_S,
    PEEK,
    PEOPLE,
    START_S,
    an_id,
    circle,
    person,
    policy_of,
    slots,
)

WIDE = replace(PEEK, name="wide", cluster_wide=True, namespaces=(), except_namespaces=())
ASK = Ask(
    template="fix",
    cluster="prod-eu",
    namespace="team-a",
    parameters={"workload": "web"},
    justification="web hangs",
)


def resolve(ask: Ask, *, by: str = "dev", template: Template = FIX, **other: Any) -> Request | Refused:
    settings: dict[str, Any] = {
        "request_id": an_id(1),
        "requester": PEOPLE[person(by)],
        "step_up": StepUpLevel.NONE,
        "policy": policy_of((template, PEEK, WIDE)),
        "now_s": START_S,
    }
    return terms(ask, **{**settings, **other})


def test_what_an_ask_comes_to() -> None:
    request = resolve(ASK, now_s=START_S + 0.00049)
    assert isinstance(request, Request)
    assert request.rules == (replace(FIX.rules[0], resource_names=("web",)), FIX.rules[1])
    assert (request.duration_s, request.asked_at_s) == (FIX.default_duration_s, START_S)
    assert request.template_digest == template_digest(FIX)
    assert isinstance(resolve(Ask(template="wide", cluster="prod-eu", justification="x")), Request)


def test_an_emergency_is_as_long_as_it_may_be() -> None:
    request = resolve(replace(ASK, emergency=True))
    assert isinstance(request, Request)
    assert FIX.emergency is not None
    assert request.duration_s == FIX.emergency.duration_s


@dataclass(frozen=True)
class No:
    rule: str
    ground: Ground
    words: str
    ask: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)


INVALID, FORBIDDEN = Ground.INVALID, Ground.FORBIDDEN
NOES = [
    No("who may not ask", FORBIDDEN, "not of those who may ask", other={"by": "sara"}),
    No("who is not on call", FORBIDDEN, "in an emergency", {"emergency": True}, {"by": "sara"}),
    No("no emergency of it", FORBIDDEN, "gives nothing in an emergency", {"template": "peek", "parameters": {}, "emergency": True}),
    No("no template of that name", INVALID, "did you mean 'fix'", {"template": "fixx"}),
    No("no template's name", INVALID, "not a template's name", {"template": "../fix"}),
    No("a template's name of a megabyte", INVALID, "not a template's name", {"template": "f" * 1_000_000}),
    No("another cluster", FORBIDDEN, "not for cluster 'test-eu'", {"cluster": "test-eu"}),
    No("no cluster", INVALID, "not a cluster's name", {"cluster": ""}),
    No("a cluster's name that is a glob", INVALID, "not a cluster's name", {"cluster": "prod-*"}),
    No("another namespace", INVALID, "not for namespace 'kube-system'", {"namespace": "kube-system"}),
    No("a namespace that is left out", INVALID, "team-secret", {"namespace": "team-secret"}),
    No("no namespace", INVALID, "say which", {"namespace": ""}),
    No("a namespace for the whole cluster", INVALID, "without a namespace", {"template": "wide", "parameters": {}}),
    No("a namespace that is YAML", INVALID, "not a namespace's name", {"namespace": "team-a\nhostNetwork: true"}),
    No("a parameter that is missing", INVALID, "which Deployment", {"parameters": {}}),
    No("a parameter that is not its", INVALID, "no parameter 'verb'", {"parameters": {"workload": "web", "verb": "*"}}),
    No("a parameter that is every name", INVALID, "not the name", {"parameters": {"workload": "*"}}),
    No("a parameter that does not match", INVALID, "none that template", {"parameters": {"workload": "web1"}}),
    No("a parameter's name of a megabyte", INVALID, "no parameter's name", {"parameters": {"w" * 1_000_000: "web"}}),
    No("too short", INVALID, "gives 12m to 2h, not 719s", {"duration_s": SHORTEST_GRANT_S - 1}),
    No("too long", INVALID, "not 7201s", {"duration_s": 2 * HOUR_S + 1}),
    No("less than nothing", INVALID, "not -1h", {"duration_s": -HOUR_S}),
    No("too long for an emergency", INVALID, "to 30m", {"duration_s": HOUR_S, "emergency": True}),
    No("a start that has passed", INVALID, "lies ahead", {"start_s": START_S - 1}),
    No("a start in a year", INVALID, "lies ahead", {"start_s": START_S + MOST_AHEAD_S + 1}),
    No("a start that is none", INVALID, "no moment", {"start_s": float("nan")}),
    No("a start that is never", INVALID, "no moment", {"start_s": float("inf")}),
    No("an emergency next week", INVALID, "leave it out", {"start_s": START_S + 60, "emergency": True}),
    No("an extension in an emergency", INVALID, "leave 'emergency' out", {"extends": an_id(2), "emergency": True}),
    No("an extension of nothing", INVALID, "no grant's id", {"extends": "everything"}),
    No("no reason", INVALID, "is empty", {"justification": " "}),
    No("a reason of ten megabytes", INVALID, "10000000 characters", {"justification": "x" * 10_000_000}),
    No("a ticket where none is taken", INVALID, "takes no ticket", {"template": "peek", "parameters": {}, "ticket": "CHG1"}),
    No("a ticket that is a query", INVALID, "not a ticket's name", {"ticket": "CHG1^ORactive=true"}),
    No("a ticket that is a path", INVALID, "not a ticket's name", {"ticket": "../admin"}),
    No("an id of somebody's own", INVALID, "is no id", other={"request_id": "cluster-admin"}),
    No("no fresh proof", FORBIDDEN, "fresh proof", other={"template": replace(FIX, step_up=StepUp(request=StepUpLevel.TOTP))}),
    No("more than the policy lets anybody have", FORBIDDEN, "the policy lets nobody have", other={"policy": policy_of(ceiling=CEILING[:1])}),
    No("nothing that the policy lets anybody have", FORBIDDEN, "the policy lets nobody have", other={"policy": policy_of(ceiling=())}),
]  # fmt: skip


@pytest.mark.parametrize("no", NOES, ids=lambda no: no.rule)
def test_what_is_not_given(no: No) -> None:
    found = resolve(replace(ASK, **no.ask), **no.other)
    assert isinstance(found, Refused)
    assert found.ground is no.ground
    assert no.words in found.reason
    assert "\n" not in found.reason
    assert len(found.reason) < 300


def test_the_most_and_the_least_are_given() -> None:
    for duration_s in (SHORTEST_GRANT_S, 2 * HOUR_S):
        assert isinstance(resolve(replace(ASK, duration_s=duration_s)), Request)
    for start_s in (START_S, START_S + MOST_AHEAD_S):
        assert isinstance(resolve(replace(ASK, start_s=start_s)), Request)
    assert isinstance(resolve(replace(ASK, justification="x" * MOST_CHARACTERS)), Request)


@given(st.text(max_size=300))
def test_no_text_gets_more_than_the_template_gives(text: str) -> None:
    for ask in (
        replace(ASK, parameters={"workload": text}),
        replace(ASK, namespace=text),
        replace(ASK, cluster=text),
        replace(ASK, template=text),
        replace(ASK, parameters={text: "web"}),
        replace(ASK, ticket=text),
    ):
        found = resolve(ask)
        if isinstance(found, Refused):
            assert "\n" not in found.reason
        else:
            assert all(rule.resource_names for rule in found.rules if "deployments" in rule.resources)
            assert {rule.verbs for rule in found.rules} <= {rule.verbs for rule in FIX.rules}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("on two\nlines\tand more", ""),
        ("für Ünïcode ✓ 日本", ""),
        ("\x1b[31mred", "U+001B"),
        ("\r", "is empty"),
        ("a\rb", "U+000D"),
        ("approve\u2066d\u2069", "U+2066"),
        ("half \ud800", "U+D800"),
    ],
)
def test_texts(text: str, words: str) -> None:
    assert (words in bad_text("it", text)) if words else not bad_text("it", text)


@dataclass(frozen=True)
class Stands:
    rule: str
    ticket_rule: TicketRule
    found: TicketFound | None
    ground: Ground | None
    words: str = ""
    request: dict[str, Any] = field(default_factory=dict)


REQUIRED, OPTIONAL = TicketRule(need=Need.REQUIRED), TicketRule(need=Need.OPTIONAL)
FOUND = TicketFound(ticket="CHG1", standing=Standing.OPEN, system="servicenow", state="implement")
NAMED = {"ticket": "CHG1"}
PLANNED = replace(FOUND, planned_from_s=START_S, planned_until_s=START_S + HOUR_S)
WINDOW = replace(REQUIRED, within_window=True)
TICKETS = [
    Stands("none is asked for", TicketRule(), None, None),
    Stands("none is given", REQUIRED, None, Ground.INVALID, "asks for a ticket"),
    Stands("none is given, and none has to be", OPTIONAL, None, None),
    Stands("it is open", REQUIRED, FOUND, None, request=NAMED),
    Stands("it is closed", REQUIRED, replace(FOUND, standing=Standing.CLOSED), Ground.CONFLICT, "not open", NAMED),
    Stands("one that need not be given is closed", OPTIONAL, replace(FOUND, standing=Standing.CLOSED), Ground.CONFLICT, "not open", NAMED),
    Stands("it is not there", REQUIRED, replace(FOUND, standing=Standing.MISSING), Ground.CONFLICT, "not there", NAMED),
    Stands("nobody answers", REQUIRED, replace(FOUND, standing=Standing.UNREACHABLE), Ground.UNKNOWN, "nobody could", NAMED),
    Stands("nobody has asked", REQUIRED, None, Ground.UNKNOWN, "nobody could", NAMED),
    Stands("the answer is about another", REQUIRED, replace(FOUND, ticket="CHG2"), Ground.UNKNOWN, "nobody could", NAMED),
    Stands("of another system", replace(REQUIRED, systems=("jira",)), FOUND, Ground.CONFLICT, "of jira", NAMED),
    Stands("of one of its systems", replace(REQUIRED, systems=("jira", "servicenow")), FOUND, None, request=NAMED),
    Stands("in another state", replace(REQUIRED, states=("done",)), FOUND, Ground.CONFLICT, "to be in done", NAMED),
    Stands("planned for then", WINDOW, PLANNED, None, request=NAMED),
    Stands("planned for no time", WINDOW, FOUND, Ground.CONFLICT, "no time", NAMED),
    Stands("planned to end before", WINDOW, replace(PLANNED, planned_until_s=START_S + HOUR_S - 1), Ground.CONFLICT, "another time", NAMED),
    Stands("planned to begin later", WINDOW, replace(PLANNED, planned_from_s=START_S + 1), Ground.CONFLICT, "another time", NAMED),
    Stands("an emergency without one", REQUIRED, None, None, request={"emergency": True}),
    Stands("an emergency, and nobody answers", REQUIRED, None, None, request={"emergency": True, **NAMED}),
    Stands("an emergency with a closed one", REQUIRED, replace(FOUND, standing=Standing.CLOSED), Ground.CONFLICT, "not open", {"emergency": True, **NAMED}),
]  # fmt: skip


@pytest.mark.parametrize("case", TICKETS, ids=lambda case: case.rule)
def test_whether_a_ticket_stands(case: Stands) -> None:
    request = resolve(ASK)
    assert isinstance(request, Request)
    found = ticket_trouble(
        case.ticket_rule,
        replace(request, **case.request),
        case.found,
        from_s=START_S,
        until_s=START_S + HOUR_S,
    )
    assert (found and found.ground) == case.ground
    assert found is None or case.words in found.reason


def test_a_policy_is_one_of_its_templates_and_of_two_who_clear() -> None:
    settings: dict[str, Any] = {"ceiling": CEILING, "security": circle("security")}
    with pytest.raises(ValueError, match="named 'fix'"):
        policy((FIX, FIX), clearing=slots("a", "b"), **settings)
    with pytest.raises(ValueError, match="at least 2 people"):
        policy((FIX,), clearing=slots("a"), **settings)
    digests = {
        policy_of().digest,
        policy_of((FIX,)).digest,
        policy_of(ceiling=()).digest,
        policy_of(security=circle("sre")).digest,
        policy_of(clearing=slots("a", "b")).digest,
    }
    assert len(digests) == 5
    assert policy_of((PEEK, FIX)).digest == policy_of((FIX, PEEK)).digest
