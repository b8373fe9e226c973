"""What would stand in the way of a request, each alone, as a line that says what is missing."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.core.foreseeing import Foreseen, foresee
from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.limits import Usage
from aliquot.access.core.quorum import Quorum, Slot
from aliquot.access.core.requests import RANDOM_BYTES, Request, new_id
from aliquot.access.core.templates.template import Need, StepUp, StepUpLevel, Template, TicketRule
from aliquot.access.core.terms import Ask, Standing, TicketFound, terms
from tests.access.life.scenery import FIX, HOUR_S, PEEK, PEOPLE, START_S, person, policy_of

ASK = Ask(
    template="fix",
    cluster="prod-one",
    namespace="team-a",
    parameters={"workload": "checkout"},
    justification="to see",
)
DEMANDING = replace(
    FIX,
    ticket=TicketRule(need=Need.REQUIRED),
    step_up=StepUp(request=StepUpLevel.TOTP),
    quorum=Quorum(slots=(*FIX.quorum.slots, Slot())),
    cool_down_s=600,
)
OPEN = TicketFound(ticket="OPS-17", standing=Standing.OPEN)
NOTHING_MISSING: dict[str, Any] = {
    "step_up": StepUpLevel.TOTP,
    "usage": Usage(),
    "switch": KillSwitch(),
    "ticket": OPEN,
}


def request_of(template: Template, **other: Any) -> Request:
    found = terms(
        replace(ASK, **{"ticket": "OPS-17", **other}),
        request_id=new_id(START_S, bytes(RANDOM_BYTES)),
        requester=PEOPLE[person("dev")],
        step_up=StepUpLevel.WEBAUTHN,
        policy=policy_of((template, PEEK)),
        now_s=START_S,
    )
    assert isinstance(found, Request)
    return found


def foreseen(template: Template, *, asked: dict[str, Any] | None = None, **other: Any) -> Foreseen:
    request = request_of(template, **(asked or {}))
    return foresee(request, template, now_s=START_S, **NOTHING_MISSING | other)


@pytest.mark.parametrize(
    ("template", "asked", "other", "missing"),
    [
        (FIX, {}, {}, ()),
        (FIX, {}, {"switch": KillSwitch(pulls=3, is_pulled=True)}, ("the kill switch is pulled",)),
        (FIX, {}, {"usage": Usage(open_of_person=2)}, ("2 of template 'fix' are yours already",)),
        (FIX, {}, {"usage": Usage(open_of_all=3)}, ("3 of template 'fix' are asked for or given",)),
        (
            replace(FIX, cool_down_s=600),
            {},
            {"usage": Usage(last_end_s=START_S - 60)},
            ("ask again in 9m",),
        ),
        (FIX, {"emergency": True}, {"usage": Usage(review_due_s=START_S - 1)}, ("a review",)),
        (
            replace(FIX, step_up=StepUp(request=StepUpLevel.WEBAUTHN)),
            {},
            {},
            ("a fresh proof of who you are (webauthn): a passkey",),
        ),
        (replace(FIX, ticket=TicketRule(need=Need.REQUIRED)), {"ticket": ""}, {"ticket": None}, ("name it",)),
        (FIX, {}, {"ticket": replace(OPEN, standing=Standing.CLOSED)}, ("OPS-17 is not open",)),
        (FIX, {}, {"ticket": None}, ("nobody could be asked whether ticket OPS-17 stands",)),
        (FIX, {"emergency": True}, {"ticket": None}, ()),
        (replace(FIX, quorum=Quorum(slots=(Slot(), *FIX.quorum.slots, Slot()))), {}, {}, ("slot 1 and 4",)),
        (replace(FIX, quorum=Quorum(slots=(Slot(),))), {"emergency": True}, {}, ()),
        (
            DEMANDING,
            {"ticket": ""},
            {
                "step_up": StepUpLevel.NONE,
                "ticket": None,
                "switch": KillSwitch(pulls=1, is_pulled=True),
                "usage": Usage(last_end_s=START_S),
            },
            ("kill switch", "a fresh proof", "name it", "ended just now", "slot 3"),
        ),
    ],
)
def test_what_is_missing(
    template: Template, asked: dict[str, Any], other: dict[str, Any], missing: tuple[str, ...]
) -> None:
    found = foreseen(template, asked=asked, **other).missing
    assert len(found) == len(missing), found
    assert all(words in line for words, line in zip(missing, found, strict=True)), found


def test_the_latest_end() -> None:
    """Agreed to at the last moment and begun at the last one after that; of an emergency at once; of one with a start after that."""
    last_s = START_S + FIX.approval_timeout_s + FIX.start_window_s
    assert foreseen(FIX).latest_end_s == last_s + HOUR_S
    assert foreseen(FIX).latest_end_with_extensions_s == last_s + FIX.absolute_cap_s
    assert foreseen(FIX, asked={"emergency": True}).latest_end_s == START_S + HOUR_S // 2
    start_s = START_S + 5 * HOUR_S
    assert foreseen(FIX, asked={"start_s": start_s}).latest_end_s == start_s + FIX.start_window_s + HOUR_S


def test_in_an_emergency_nobody_is_asked_and_somebody_judges() -> None:
    found = foreseen(FIX, asked={"emergency": True})
    assert (found.approvals.slots, found.reviewed) == ((), True)
    assert (len(foreseen(FIX).approvals.slots), foreseen(FIX).reviewed) == (2, False)
