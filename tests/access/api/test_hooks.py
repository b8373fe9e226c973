"""What ticket systems send, over the API: believed by its signature alone, and done once."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aliquot.access.api.application import application
from aliquot.access.api.hooks import Hooks
from aliquot.access.core.requests import Request
from aliquot.access.core.standard_webhooks import key_of, signed
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.tickets.incoming.settings import BodyHook, HookSettings, StandardHook
from aliquot.clock import VirtualClock
from tests.access.api.calling import ASKED, Answer, Api, with_api
from tests.access.life.scenery import ISSUER

T = TypeVar("T")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JIRA = "It's a Secret to Everybody"
ASK: dict[str, Any] = {
    "type": "access.asked",
    "person": {"issuer": ISSUER, "subject": "dev"},
    "ask": {**ASKED, "ticket": "CHG0031234"},
}


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[dict[str, HookSettings]]:
    (tmp_path / "itsm").write_text(SECRET)
    (tmp_path / "jira").write_text(JIRA)
    yield {
        "itsm": StandardHook(secret_file=str(tmp_path / "itsm"), may_ask=True),
        "jira": BodyHook(secret_file=str(tmp_path / "jira")),
        "lost": StandardHook(secret_file=str(tmp_path / "lost")),
    }


def run(hooks: dict[str, HookSettings], body: Callable[[Api], Awaitable[T]]) -> T:
    async def hooked(api: Api) -> T:
        api.app = application(api.door, **api.rooms(hooks=Hooks(api.door, api.world.others, hooks, None)))
        return await body(api)

    return with_api(hooked)


async def deliver(api: Api, said: Any, *, number: int = 1, at_s: float = 0.0, key: str = SECRET) -> Answer:
    body = json.dumps(said).encode()
    headers = signed([key_of(key)], f"msg_{number}", VirtualClock().now() + at_s, body)
    return await api.call("", "POST", "/v1/hooks/itsm", raw=body, **headers)


def test_a_delivery_asks_once(hooks: dict[str, HookSettings]) -> None:
    async def body(api: Api) -> None:
        first = await deliver(api, ASK)
        (request_id,) = first.json["requests"]
        assert (await deliver(api, ASK)).json["requests"] == [request_id]
        (found,) = (await api.get("dev", "/v1/requests")).json["items"]
        assert (found["id"], found["stage"]) == (request_id, "pending")
        entry = next(one for one in await api.world.entries() if one.action == "request.asked")
        assert (entry.actor.sub, entry.actor.auth) == ("dev", "webhook itsm")

    run(hooks, body)


@pytest.mark.parametrize(
    ("said", "how", "status", "words"),
    [
        (ASK, {"key": "whsec_" + "A" * 32}, 403, "signed"),
        (ASK, {"at_s": -301.0}, 403, "s"),
        (ASK, {"at_s": 301.0}, 403, "s"),
        ({**ASK, "emergency": True}, {}, 422, "unknown field 'emergency'"),
        ({**ASK, "ask": {**ASK["ask"], "emergency": True}}, {}, 403, "an emergency is declared by"),
        ({**ASK, "ask": {**ASKED}}, {}, 422, "asks with a ticket"),
        ({**ASK, "person": {"issuer": ISSUER, "subject": "nobody"}}, {}, 503, "is not known to their issuer"),
        ({**ASK, "person": {"issuer": ISSUER, "subject": "sara"}}, {}, 403, "not of those who may ask"),
        ({"type": "ticket.changed", "ticket": "CHG1^OR"}, {}, 422, "not a ticket's name"),
    ],
    ids=str,
)
def test_what_is_not_taken(
    hooks: dict[str, HookSettings], said: Any, how: dict[str, Any], status: int, words: str
) -> None:
    async def body(api: Api) -> None:
        came = await deliver(api, said, **how)
        assert (came.status, came.kind) == (status, came.kind)
        assert words in came.json["detail"]
        assert (await api.get("dev", "/v1/requests")).json["items"] == []

    run(hooks, body)


def test_what_is_too_large_unknown_or_cannot_be_verified(hooks: dict[str, HookSettings]) -> None:
    async def body(api: Api) -> None:
        huge = await api.call("", "POST", "/v1/hooks/itsm", raw=b"x" * 2_000_000)
        assert (huge.status, huge.kind) == (413, "too-large")
        assert (await api.call("", "POST", "/v1/hooks/other", raw=b"{}")).status == 404
        assert (await api.call("", "POST", "/v1/hooks/lost", raw=b"{}")).status == 503

    run(hooks, body)


def test_what_hangs_on_a_ticket_that_changed_is_looked_at(hooks: dict[str, HookSettings]) -> None:
    async def body(api: Api) -> None:
        await api.asked(ticket="OPS-17")
        await api.asked("dave", ticket="OPS-18")
        asked: list[str] = []

        async def find(ticket: str, request: Request) -> TicketFound:
            asked.append(ticket)
            return TicketFound(ticket=ticket, standing=Standing.OPEN)

        api.world.others.find = find  # type: ignore[method-assign]
        await asyncio.sleep(1)
        asked.clear()
        sent = {"timestamp": int(VirtualClock().now() * 1000), "webhookEvent": "jira:issue_updated"}
        raw = json.dumps({**sent, "issue": {"key": "OPS-17"}}).encode()
        signature = "sha256=" + hmac.digest(JIRA.encode(), raw, "sha256").hex()
        forged = await api.call("", "POST", "/v1/hooks/jira", raw=raw, x_hub_signature="sha256=" + "0" * 64)
        assert (forged.status, asked) == (403, [])
        came = await api.call("", "POST", "/v1/hooks/jira", raw=raw, x_hub_signature=signature)
        assert came.json == {"requests": [], "lookedAt": 1}
        assert asked == ["OPS-17"]
        again = await api.call("", "POST", "/v1/hooks/jira", raw=raw, x_hub_signature=signature)
        assert (again.json["lookedAt"], asked) == (0, ["OPS-17"])

    run(hooks, body)
