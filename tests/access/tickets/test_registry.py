import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.life.effects import CommentTicket, Undelivered
from aliquot.access.core.people import Person
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import Need, TicketRule
from aliquot.access.core.terms import Standing, TicketFound, ticket_trouble
from aliquot.access.outside.calling import Unreached
from aliquot.access.tickets.judging import values_at
from aliquot.access.tickets.marking import mark
from aliquot.access.tickets.registry import TicketSystems
from aliquot.access.tickets.servicenow import judged
from aliquot.access.tickets.settings import ServiceNowSettings
from aliquot.clock import VirtualTimeLoop, parse_rfc3339
from tests.access.tickets.scenery import WHOSE, change, request, section, servicenow


@dataclass
class Stub:
    name: str
    prefix: str
    asked: list[str] = field(default_factory=list)
    problem: str = ""

    def has(self, ticket: str) -> bool:
        return ticket.startswith(self.prefix)

    async def find(self, ticket: str, request: Request) -> TicketFound:
        self._ask(ticket)
        return TicketFound(ticket=ticket, standing=Standing.OPEN, system=self.name)

    async def comment(self, ticket: str, text: str) -> None:
        self._ask(f"{ticket}: {text}")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.problem:
            raise Unreached(self.problem)


async def test_each_ticket_is_of_its_system() -> None:
    one, other = Stub("one", "CHG"), Stub("other", "OPS-")
    systems = TicketSystems([one, other])
    assert (await systems.find("OPS-17", request())).system == "other"
    assert (await systems.find("ELSE-1", request())).standing is Standing.MISSING
    await systems.comment(CommentTicket(ticket="CHG1", text="over"))
    await systems.comment(CommentTicket(ticket="ELSE-1", text="over"))
    assert (one.asked, other.asked) == (["CHG1: over"], ["OPS-17"])


async def test_who_does_not_answer() -> None:
    systems = TicketSystems([Stub("one", "CHG", problem="one: no answer")])
    found = await systems.find("CHG1", request())
    assert (found.standing, found.system, found.why) == (Standing.UNREACHABLE, "one", "one: no answer")
    with pytest.raises(Undelivered, match="one: no answer"):
        await systems.comment(CommentTicket(ticket="CHG1", text="over"))


def _settings() -> ServiceNowSettings:
    text = servicenow("https://acme.service-now.com", Path("secret"), more=WHOSE)
    settings = section(text).systems["servicenow"]
    assert isinstance(settings, ServiceNowSettings)
    return settings


SETTINGS = _settings()
RULE = TicketRule(need=Need.REQUIRED, systems=("servicenow",), states=("Implement",), within_window=True)


@pytest.mark.parametrize(
    ("fields", "from_to", "said"),
    [
        ({}, "06:00 08:30", None),
        ({}, "05:59 08:00", "another time"),
        ({}, "08:00 08:31", "another time"),
        ({"start_date": ""}, "06:00 08:00", "no time for which"),
        ({"state": "-2"}, "06:00 08:00", "in state 'Scheduled'"),
        ({"state": "3"}, "06:00 08:00", "is not open: its state is '3'"),
    ],
)
def test_what_a_templates_rule_makes_of_it(fields: dict[str, str], from_to: str, said: str | None) -> None:
    found = judged(change(**fields), SETTINGS.tables[0], SETTINGS, "servicenow", request())
    from_s, until_s = (parse_rfc3339(f"2026-11-29T{one}:00Z") for one in from_to.split())
    trouble = ticket_trouble(RULE, request(), found, from_s=from_s, until_s=until_s)
    assert (trouble is None) is (said is None), trouble
    if trouble is not None and said is not None:
        assert said in trouble.reason


def test_who_is_called_the_same_by_another_issuer_is_another() -> None:
    other = replace(request(), requester=Person("https://elsewhere.example.com", "dev"))
    for asker, standing in ((request(), Standing.OPEN), (other, Standing.CLOSED)):
        found = judged(change(), SETTINGS.tables[0], SETTINGS, "servicenow", asker)
        assert found.standing is standing


@given(st.dictionaries(st.sampled_from(list(change())), st.text(max_size=20)))
def test_whatever_a_record_says_it_is_open_only_as_it_should(fields: dict[str, str]) -> None:
    record = change(**fields)
    try:
        found = judged(record, SETTINGS.tables[0], SETTINGS, "servicenow", request())
    except Unreached:
        return
    opened = record["state"] in ("-1", "-2") and record["approval"] == "approved"
    theirs = {record["requested_by.user_name"], record["assigned_to.user_name"]} & {"dev", "d.evans"}
    ours = record["cmdb_ci.name"] in ("PROD-ONE", "prod-one")
    assert (found.standing is Standing.OPEN) is bool(opened and theirs and ours)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(_JSON, st.sampled_from(["a", "a.b", "a.b.c", "c.c"]))
def test_a_path_leads_to_texts_or_to_nothing(value: Any, path: str) -> None:
    assert all(isinstance(one, str) and one for one in values_at(value, path))
    wrapped = {"a": [{"b": value}, {"b": "x"}]}
    assert "x" in values_at(wrapped, "a.b")


def test_a_mark_is_of_one_secret_ticket_and_text() -> None:
    marks = {
        mark(*one)
        for one in (("s", "T-1", "over"), ("t", "T-1", "over"), ("s", "T-2", "over"), ("s", "T-1", "on"))
    }
    assert len(marks) == 4
    assert mark("s", "T-1", "over") == mark("s", "T-1", "over")


def on_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_a_system_is_asked_so_much_at_once_and_no_more() -> None:
    class Slow(Stub):
        now, most = 0, 0

        async def find(self, ticket: str, request: Request) -> TicketFound:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(4)
            self.now -= 1
            return await super().find(ticket, request)

    async def main() -> None:
        slow, other = Slow("one", "CHG"), Stub("other", "OPS-")
        systems = TicketSystems([slow, other])
        found = [asyncio.create_task(systems.find(f"CHG{number}", request())) for number in range(20)]
        await asyncio.sleep(1)
        assert (await systems.find("OPS-1", request())).standing is Standing.OPEN
        answered = [one.standing for one in await asyncio.gather(*found)]
        assert slow.most == 4
        # Nobody is kept waiting for ever.
        assert answered.count(Standing.OPEN) == 12
        assert answered.count(Standing.UNREACHABLE) == 8

    on_virtual_time(main)


def test_one_that_wants_to_be_left_alone_is() -> None:
    class Tired(Stub):
        async def find(self, ticket: str, request: Request) -> TicketFound:
            self.asked.append(ticket)
            raise Unreached("one: too many calls, for 60 s", again_s=60.0)

    async def main() -> None:
        tired = Tired("one", "CHG")
        systems = TicketSystems([tired])
        for _ in range(3):
            assert (await systems.find("CHG1", request())).standing is Standing.UNREACHABLE
        with pytest.raises(Undelivered, match="wants to be left alone for 60 s"):
            await systems.comment(CommentTicket(ticket="CHG1", text="over"))
        assert tired.asked == ["CHG1"]
        await asyncio.sleep(61)
        await systems.find("CHG1", request())
        assert len(tired.asked) == 2

    on_virtual_time(main)
