from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.life.effects import CommentTicket, Undelivered
from aliquot.access.core.terms import Standing, is_ticket
from aliquot.access.outside.calling import new_session
from aliquot.access.tickets.jira import document, is_key
from aliquot.access.tickets.registry import TicketSystems, ticket_systems
from aliquot.access.tickets.settings import JiraSettings
from aliquot.clock import parse_rfc3339
from tests.access.life.scenery import ISSUER
from tests.access.tickets.fakes import FakeJira, serving
from tests.access.tickets.scenery import jira, request, secret_file, section

TEXT = "Grant r01kc0000000000000000000000 is active."
MORE = f"""
    plannedStart: customfield_1
    plannedEnd: customfield_2
    requester: {{issuer: {ISSUER}, fields: [assignee.accountId], people: {{"557058:dev": dev}}}}
    cluster: {{fields: [components.name]}}
"""


def issue(category: str = "indeterminate", status: str = "10005", **fields: Any) -> dict[str, Any]:
    return {
        "status": {"id": status, "name": "Läuft", "statusCategory": {"id": 4, "key": category}},
        "resolution": None,
        "assignee": {"accountId": "557058:dev"},
        "components": [{"name": "checkout"}, {"name": "prod-one"}],
        "customfield_1": "2026-11-29T07:00:00.000+0100",
        "customfield_2": None,
    } | fields


@asynccontextmanager
async def asking(fake: FakeJira, folder: Path, *, more: str = "") -> AsyncIterator[TicketSystems]:
    async with serving(fake.application()) as url, new_session() as session:
        yield ticket_systems(section(jira(url, secret_file(folder), more=more)), session)


async def test_an_open_issue(tmp_path: Path) -> None:
    async with asking(FakeJira(issues={"OPS-17": issue()}), tmp_path, more=MORE) as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, found.system, found.state, found.why) == (
        Standing.OPEN,
        "jira",
        "indeterminate",
        "",
    )
    assert (found.planned_from_s, found.planned_until_s) == (parse_rfc3339("2026-11-29T06:00:00Z"), None)


@pytest.mark.parametrize(
    ("given_issue", "more", "why"),
    [
        (issue("done"), MORE, "category of its status is 'done', not new or indeterminate"),
        (issue("new"), "    open: [indeterminate]", "is 'new', not indeterminate"),
        (issue("invented"), MORE, "is 'invented'"),
        (issue(resolution={"name": "Won't do"}), MORE, "it is resolved"),
        (
            issue(status="1"),
            "    states: {'10005': Implement}",
            "its status is '1', none of 10005 (Implement)",
        ),
        (issue(assignee=None), MORE, "not of whoever asks"),
        (issue(assignee={"accountId": "557058:dave"}), MORE, "not of whoever asks"),
        (issue(components=[]), MORE, "not for cluster 'prod-one'"),
        (issue(components=["prod-one"]), MORE, "not for cluster 'prod-one'"),
    ],
)
async def test_what_is_not_open(tmp_path: Path, given_issue: dict[str, Any], more: str, why: str) -> None:
    async with asking(FakeJira(issues={"OPS-17": given_issue}), tmp_path, more=more) as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, why in found.why) == (Standing.CLOSED, True), found


async def test_a_status_has_the_name_that_templates_know(tmp_path: Path) -> None:
    fake = FakeJira(issues={"OPS-17": issue()})
    async with asking(fake, tmp_path, more="    states: {'10005': Implement}") as systems:
        assert (await systems.find("OPS-17", request())).state == "Implement"


async def test_a_moved_issue_is_to_be_named_anew(tmp_path: Path) -> None:
    fake = FakeJira(issues={"SEC-3": issue()}, moved={"OPS-17": "SEC-3"})
    async with asking(fake, tmp_path) as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, found.why) == (Standing.CLOSED, "it was moved, and is 'SEC-3' now")


async def test_what_is_not_there(tmp_path: Path) -> None:
    fake = FakeJira(issues={"OPS-17": issue()})
    async with asking(fake, tmp_path) as systems:
        for ticket in ("OPS-18", "SEC-17", "ops-17", "OPS-0", "OPS-017", "OPS-17/../18", "OPS-٣", "OPS-17\n"):
            assert (await systems.find(ticket, request())).standing is Standing.MISSING, ticket
    assert fake.asked == ["GET /rest/api/3/issue/OPS-18"]


@pytest.mark.parametrize(
    ("decisions", "standing", "why"),
    [
        (["approved"] * 5, Standing.OPEN, ""),
        (["approved"] * 4 + ["pending"], Standing.CLOSED, "not all of its approvals"),
        (["approved"] * 4 + ["declined"], Standing.CLOSED, "not all of its approvals"),
        ([], Standing.CLOSED, "nobody was asked"),
    ],
)
async def test_approvals(tmp_path: Path, decisions: list[str], standing: Standing, why: str) -> None:
    fake = FakeJira(issues={"OPS-17": issue()}, approvals={"OPS-17": decisions})
    async with asking(fake, tmp_path, more="    approvals: true") as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, why in found.why) == (standing, True)


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (web.Response(status=401), "answers 401: it does not let us in"),
        (web.Response(status=429, headers={"Retry-After": "3600"}), "too many calls, for 3600 s"),
        (web.Response(status=503), "answers 503"),
        (web.Response(body=b"{}"), "not understood"),
        (web.json_response({"key": "OPS-17", "fields": {}}), "not understood"),
        (
            web.json_response({"key": "OPS-17", "fields": {"status": {"statusCategory": {}}}}),
            "not understood",
        ),
        (web.json_response({"key": "OPS-17", "fields": issue(customfield_2="soon")}), "is no time"),
        (web.json_response({"key": "OPS-17", "fields": issue(customfield_2=5)}), "is no time"),
    ],
)
async def test_what_does_not_answer_is_not_open(tmp_path: Path, problem: web.Response, why: str) -> None:
    async with asking(
        FakeJira(issues={"OPS-17": issue()}, problems=[problem]), tmp_path, more=MORE
    ) as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, why in found.why) == (Standing.UNREACHABLE, True), found


async def test_approvals_that_do_not_end_are_none(tmp_path: Path) -> None:
    endless = [
        web.json_response({"key": "OPS-17", "fields": issue()}),
        web.json_response({"values": [], "isLastPage": False}),
    ]
    async with asking(FakeJira(problems=endless), tmp_path, more="    approvals: true") as systems:
        found = await systems.find("OPS-17", request())
    assert (found.standing, "does not end" in found.why) == (Standing.UNREACHABLE, True)


async def test_a_comment_is_written_once_however_many_others_there_are(tmp_path: Path) -> None:
    fake = FakeJira(issues={"OPS-17": issue()})
    comment = CommentTicket(ticket="OPS-17", text=TEXT)
    async with asking(fake, tmp_path) as systems:
        await systems.comment(comment)
        fake.comments["OPS-17"] += [document(f"comment {number}") for number in range(120)]
        await systems.comment(comment)
        assert len(fake.comments["OPS-17"]) == 121
        await systems.comment(CommentTicket(ticket="OPS-17", text=f"{TEXT} Twice."))
        assert len(fake.comments["OPS-17"]) == 122
        with pytest.raises(Undelivered, match="no ticket OPS-18"):
            await systems.comment(CommentTicket(ticket="OPS-18", text=TEXT))


async def test_the_newest_comments_are_looked_at_first(tmp_path: Path) -> None:
    others = [document(f"comment {number}") for number in range(1100)]
    fake = FakeJira(issues={"OPS-17": issue()}, comments={"OPS-17": others})
    comment = CommentTicket(ticket="OPS-17", text=TEXT)
    async with asking(fake, tmp_path) as systems:
        await systems.comment(comment)
        await systems.comment(comment)
    assert len(fake.comments["OPS-17"]) == 1101


def _settings() -> JiraSettings:
    settings = section(jira("https://acme.atlassian.net", Path("secret"))).systems["jira"]
    assert isinstance(settings, JiraSettings)
    return settings


SETTINGS = _settings()


@given(st.one_of(st.text(max_size=40), st.from_regex(r"OPS-[0-9/.%?#\n]{1,12}", fullmatch=True)))
def test_no_name_changes_the_path(ticket: str) -> None:
    if is_key(SETTINGS, ticket):
        assert is_ticket(ticket)
        assert all(one.isascii() and (one.isalnum() or one == "-") for one in ticket)


@given(st.text(max_size=80))
def test_a_text_stays_a_text(text: str) -> None:
    written = document(text)
    assert [part["content"][0]["text"] for part in written["content"]] == [
        one for one in text.split("\n") if one
    ]
    assert all(part["content"][0].keys() == {"type", "text"} for part in written["content"])
