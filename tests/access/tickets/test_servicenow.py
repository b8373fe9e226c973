import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from aliquot.access.core.life.effects import CommentTicket, Undelivered
from aliquot.access.core.terms import Standing, is_ticket
from aliquot.access.outside.calling import new_session
from aliquot.access.tickets.registry import TicketSystems, ticket_systems
from aliquot.access.tickets.servicenow import escaped, parameters, table_of
from aliquot.access.tickets.settings import ServiceNowSettings
from aliquot.clock import parse_rfc3339
from tests.access.tickets.fakes import SECRET, FakeServiceNow, serving
from tests.access.tickets.scenery import SYS_ID, WHOSE, change, request, secret_file, section, servicenow

TICKET = "CHG0031234"
TEXT = "Grant r01kc0000000000000000000000 is active."


@asynccontextmanager
async def asking(
    fake: FakeServiceNow, folder: Path, *, more: str = "", secret: str = SECRET
) -> AsyncIterator[TicketSystems]:
    async with serving(fake.application()) as url, new_session() as session:
        yield ticket_systems(section(servicenow(url, secret_file(folder, secret), more=more)), session)


async def test_an_open_change_with_its_window(tmp_path: Path) -> None:
    async with asking(FakeServiceNow(records=[change()]), tmp_path, more=WHOSE) as systems:
        found = await systems.find(TICKET, request())
    assert (found.standing, found.system, found.state, found.why) == (
        Standing.OPEN,
        "servicenow",
        "Implement",
        "",
    )
    assert found.planned_from_s == parse_rfc3339("2026-11-29T06:00:00Z")
    assert found.planned_until_s == parse_rfc3339("2026-11-29T08:30:00Z")


@pytest.mark.parametrize(
    ("fields", "who", "cluster", "why"),
    [
        ({"state": "3"}, "dev", "prod-one", "its state is '3', none of -2 (Scheduled) or -1 (Implement)"),
        ({"state": ""}, "dev", "prod-one", "its state is ''"),
        ({"approval": "requested"}, "dev", "prod-one", "its approval is 'requested', not approved"),
        ({}, "dave", "prod-one", "it is not of whoever asks"),
        ({"assigned_to.user_name": ""}, "dev", "prod-one", "it is not of whoever asks"),
        ({"assigned_to.user_name": "dev", "cmdb_ci.name": "prod-two"}, "dev", "prod-one", "not for cluster"),
        ({"cmdb_ci.name": ""}, "dev", "prod-one", "not for cluster 'prod-one'"),
    ],
)
async def test_what_is_not_open(
    tmp_path: Path, fields: dict[str, str], who: str, cluster: str, why: str
) -> None:
    async with asking(FakeServiceNow(records=[change(**fields)]), tmp_path, more=WHOSE) as systems:
        found = await systems.find(TICKET, request(who, cluster=cluster))
    assert found.standing is Standing.CLOSED
    assert why in found.why


async def test_an_incident_has_no_window(tmp_path: Path) -> None:
    incident = change(table="incident", number="INC0000042", state="2", approval="not requested")
    async with asking(FakeServiceNow(records=[incident]), tmp_path) as systems:
        found = await systems.find("INC0000042", request())
    assert (found.standing, found.state, found.planned_from_s) == (Standing.OPEN, "In Progress", None)


async def test_what_is_not_there(tmp_path: Path) -> None:
    fake = FakeServiceNow(records=[change()])
    async with asking(fake, tmp_path) as systems:
        for ticket in ("CHG0031235", "OPS-17", "CHG", "CHG00312x4", "chg0031234", "CHG0031234^ORnumber=x"):
            assert (await systems.find(ticket, request())).standing is Standing.MISSING, ticket
    assert fake.asked == ["GET /api/now/table/change_request"], "only what may be a ticket is asked for"


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (web.Response(status=500), "answers 500"),
        (web.Response(status=302, headers={"Location": "https://login.example.com"}), "answers 302"),
        (web.Response(status=403), "answers 403: it does not let us in"),
        (web.Response(status=429, headers={"Retry-After": "60"}), "too many calls, for 60 s"),
        (web.Response(status=429), "too many calls"),
        (web.Response(body=b"<html>"), "not understood"),
        (web.Response(body=b'{"result": {"number": "CHG0031234"}}'), "not understood"),
        (web.Response(body=b'{"result": [{"number": 5}]}'), "not understood"),
        (web.Response(body=b'{"result": [' + b"[" * 100_000), "not understood"),
        (web.Response(body=b"\xff"), "not understood"),
        (web.Response(body=b" " * (5 << 20)), "ClientPayloadError"),
        (web.json_response({"result": [change(number="CHG0000001")]}), "something else"),
        (web.json_response({"result": [change(), change()]}), "something else"),
        (web.json_response({"result": [change(start_date="29.11.2026")]}), "which is no time"),
    ],
)
async def test_what_does_not_answer_is_not_open(tmp_path: Path, problem: web.Response, why: str) -> None:
    async with asking(FakeServiceNow(records=[change()], problems=[problem]), tmp_path) as systems:
        found = await systems.find(TICKET, request())
    assert found.standing is Standing.UNREACHABLE
    assert why in found.why
    assert SECRET not in found.why


async def test_whoever_asks_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    wait = web.Response(status=429, headers={"Retry-After": "0"})
    async with asking(FakeServiceNow(records=[change()], problems=[wait]), tmp_path) as systems:
        assert (await systems.find(TICKET, request())).standing is Standing.OPEN


async def test_a_secret_that_is_wrong_or_missing(tmp_path: Path) -> None:
    async with asking(FakeServiceNow(records=[change()]), tmp_path, secret="wrong") as systems:
        assert "401: it does not let us in" in (await systems.find(TICKET, request())).why
        (tmp_path / "secret").write_text("")
        found = await systems.find(TICKET, request())
        assert (found.standing, "empty" in found.why) == (Standing.UNREACHABLE, True)
        (tmp_path / "secret").write_text(SECRET)
        assert (await systems.find(TICKET, request())).standing is Standing.OPEN, "it is read anew"


async def test_silence_has_an_end(tmp_path: Path) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    application = web.Application()
    application.router.add_get("/{path:.*}", silent)
    async with serving(application) as url, new_session() as session:
        settings = section(servicenow(url, secret_file(tmp_path), more="    timeoutS: 0.05"))
        found = await ticket_systems(settings, session).find(TICKET, request())
    assert (found.standing, "no answer within 0.05 s" in found.why) == (Standing.UNREACHABLE, True)


async def test_a_comment_is_written_once(tmp_path: Path) -> None:
    fake = FakeServiceNow(records=[change()])
    comment = CommentTicket(ticket=TICKET, text=TEXT)
    async with asking(fake, tmp_path) as systems:
        await systems.comment(comment)
        await systems.comment(comment)
        assert len(fake.notes[SYS_ID]) == 1
        assert fake.notes[SYS_ID][0].startswith(TEXT)
        await systems.comment(
            CommentTicket(ticket=TICKET, text="Grant r01kc0000000000000000000000 has ended.")
        )
        assert len(fake.notes[SYS_ID]) == 2


async def test_a_text_that_is_there_already_is_no_mark(tmp_path: Path) -> None:
    fake = FakeServiceNow(records=[change()], notes={SYS_ID: [f"{TEXT}\n[aliquot 00000000000000000000]"]})
    async with asking(fake, tmp_path) as systems:
        await systems.comment(CommentTicket(ticket=TICKET, text=TEXT))
    assert len(fake.notes[SYS_ID]) == 2


async def test_a_comment_that_is_not_written_is_told(tmp_path: Path) -> None:
    fake = FakeServiceNow(records=[change(sys_id="../../incident")], problems=[web.Response(status=503)])
    async with asking(fake, tmp_path) as systems:
        with pytest.raises(Undelivered, match="answers 503"):
            await systems.comment(CommentTicket(ticket=TICKET, text=TEXT))
        with pytest.raises(Undelivered, match="has no sys_id"):
            await systems.comment(CommentTicket(ticket=TICKET, text=TEXT))
        with pytest.raises(Undelivered, match="has no ticket CHG0031235"):
            await systems.comment(CommentTicket(ticket="CHG0031235", text=TEXT))
        await systems.comment(CommentTicket(ticket="ELSE-1", text=TEXT))
    assert all("incident" not in one for one in fake.asked)


def _settings() -> ServiceNowSettings:
    settings = section(servicenow("https://acme.service-now.com", Path("secret"))).systems["servicenow"]
    assert isinstance(settings, ServiceNowSettings)
    return settings


SETTINGS = _settings()
WORDS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"(CHG|INC)[0-9]{3,8}([\^\n=&?#/%]|javascript:)?[0-9]{0,3}", fullmatch=True),
)


@given(WORDS)
def test_no_name_changes_the_query(ticket: str) -> None:
    if table_of(SETTINGS, ticket) is None:
        return
    assert is_ticket(ticket)
    url = URL("https://acme.service-now.com").with_query(parameters(SETTINGS, ticket))
    assert dict(url.query) == parameters(SETTINGS, ticket)
    assert url.query["sysparm_query"] == f"number={ticket}"
    assert "^" not in ticket


@given(st.text(max_size=40))
def test_no_value_is_more_than_a_value(value: str) -> None:
    try:
        written = escaped(value)
    except ValueError:
        return
    assert "^" not in written.replace("^^", "")
    assert written.replace("^^", "^") == value
    assert "\n" not in written
    assert "\r" not in written
