"""The API while the database is out of reach: ending is done and said so, all else is 503 in one line."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aliquot.access.api.journaled import PATIENCE_S
from aliquot.access.api.openapi import document
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.store.transaction import Transaction
from tests.access.api.calling import ASKED, Api, with_api
from tests.access.life.scenery import person

OUT_OF_REACH = "the database is out of reach: nothing was done, and nothing is given until it is back; what is there can be ended"


async def back(api: Api) -> None:
    api.world.database.is_gone = api.world.database.is_full = False
    await asyncio.sleep(5)


@pytest.mark.parametrize("how", ["is_gone", "is_full"])
def test_a_revocation_is_done_and_says_that_it_was_journaled(how: str) -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        setattr(api.world.database, how, True)
        came = await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "enough"})
        assert came.status == 202
        said = came.json
        assert (said["grant"], said["isJournaled"], said["isRemoved"]) == (grant, True, True)
        assert said["detail"] == (
            "revoked; it is gone from cluster prod-one; the database is out of reach: it is in this server's journal, and comes into "
            "the log once the database is back"
        )
        assert not api.world.clusters.made
        again = await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "once more"})
        assert again.json == said
        await back(api)
        shown = (await api.get("dev", f"/v1/requests/{grant}")).json
        assert (shown["stage"], shown["endReason"], shown["why"]) == ("ended", "revoked", "enough")

    with_api(body)


def test_all_else_is_refused_in_one_line() -> None:
    async def body(api: Api) -> None:
        active, agreed = (await api.active())["id"], (await api.agreed())["id"]
        api.world.database.is_gone = True
        for who, path, sent in (
            ("dave", "/v1/requests", ASKED),
            ("sara", f"/v1/requests/{agreed}:approve", {"digest": "sha256:0"}),
            ("dev", f"/v1/requests/{agreed}:activate", None),
            ("dev", f"/v1/grants/{active}:credential", None),
            ("max", "/v1/killswitch:clear", {"pull": 1}),
        ):
            came = await api.post(who, path, sent)
            assert (came.status, came.kind, came.json["detail"]) == (503, "unavailable", OUT_OF_REACH)
            assert came.headers["retry-after"]

    with_api(body)


@pytest.mark.parametrize(
    ("who", "sent", "status", "kind"),
    [
        ("dave", {"why": "enough"}, 404, "not-there"),
        ("dev", {"why": "enough"}, 403, "forbidden"),
        ("nobody-at-all", {"why": "enough"}, 401, "unauthenticated"),
        ("max", {"why": ""}, 422, "invalid"),
        ("max", {"wy": "enough"}, 422, "invalid"),
        ("dave", {"wy": "enough"}, 404, "not-there"),
    ],
)
def test_who_may_not_and_what_is_malformed_ends_nothing(
    who: str, sent: object, status: int, kind: str
) -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        api.world.database.is_gone = True
        came = await api.post(who, f"/v1/grants/{grant}:revoke", sent)
        assert (came.status, came.kind) == (status, kind)
        if status in (401, 403, 404):
            assert came.bytes_read == 0
        assert grant in api.world.clusters.made
        assert api.world.outage.state().waiting == 0

    with_api(body)


def test_its_holder_returns_it() -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        api.world.database.is_full = True
        came = await api.post("dev", f"/v1/grants/{grant}:return")
        assert came.status == 202
        assert came.json["detail"].startswith("returned; it is gone from cluster prod-one;")
        await back(api)
        assert (await api.world.life(grant)).end_reason is EndReason.RETURNED

    with_api(body)


def test_the_kill_switch_is_pulled() -> None:
    async def body(api: Api) -> None:
        await api.active()
        api.world.database.is_gone = True
        assert (await api.post("sara", "/v1/killswitch:pull", {"why": "a breach"})).status == 403
        came = await api.post("max", "/v1/killswitch:pull", {"why": "a breach"}, idempotency_key="1")
        assert came.status == 202
        assert came.json["detail"].startswith(
            "the kill switch is pulled, and nobody is let in; every grant is gone"
        )
        assert not api.world.clusters.made
        await back(api)
        shown = (await api.get("dev", "/v1/killswitch")).json
        assert (shown["isPulled"], shown["pulls"], shown["why"]) == (True, 1, "a breach")
        assert (
            await api.post("max", "/v1/killswitch:pull", {"why": "a breach"}, idempotency_key="1")
        ).json == shown

    with_api(body)


def test_it_says_what_is_not_done_yet() -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        world = api.world
        world.database.is_full = world.journal.is_full = world.clusters.is_silent = True
        said = (await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "enough"})).json
        assert (said["isJournaled"], said["isRemoved"]) == (False, False)
        assert (
            "not all is gone yet (cluster prod-one: connection refused): it is tried until it is"
            in said["detail"]
        )
        assert "in this server's memory alone: do not restart it" in said["detail"]
        world.clusters.is_silent = False
        await asyncio.sleep(5)
        assert not world.clusters.made

    with_api(body)


@pytest.mark.parametrize("moment", ["read", "write"])
def test_a_database_that_does_not_answer_at_all_is_gone(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        answers = getattr(api.world.store, moment)
        hangs = True

        async def hanging(work: Callable[[Transaction], Any]) -> Any:
            while hangs:  # noqa: ASYNC110  # in virtual time
                await asyncio.sleep(1)
            return await answers(work)

        monkeypatch.setattr(api.world.store, moment, hanging)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert (await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "enough"})).status == 202
        pulled = await api.post("max", "/v1/killswitch:pull", {"why": "enough"})
        assert pulled.status == (202 if moment == "write" else 200)
        assert loop.time() - begun_s <= 3 * PATIENCE_S
        assert not api.world.clusters.made
        hangs = False
        await api.world.until(grant, Stage.ENDED)
        await asyncio.sleep(5)
        assert (await api.get("dev", "/v1/killswitch")).json["isPulled"]

    with_api(body)


def test_what_was_ended_here_is_shown_so_before_the_database_knows() -> None:
    async def body(api: Api) -> None:
        grant, other = (await api.active())["id"], (await api.agreed())["id"]
        before = await api.get("dev", f"/v1/requests/{grant}")
        assert before.json["endedInOutage"] is None
        api.world.database.is_full = api.world.clusters.is_silent = True
        await api.post("max", f"/v1/grants/{grant}:revoke", {"why": "enough"})
        seen = {"if_none_match": before.headers["etag"]}
        shown = await api.get("dev", f"/v1/requests/{grant}", **seen)
        assert (shown.status, "etag" in shown.headers) == (200, False)
        ended = shown.json["endedInOutage"]
        by = {"issuer": person("max").issuer, "subject": person("max").subject}
        assert {**ended, "at": ""} == {"at": "", "by": by, "why": "enough", "isRemoved": False}
        assert {**shown.json, "endedInOutage": None} == before.json
        api.world.clusters.is_silent = False
        await asyncio.sleep(5)
        listed = (await api.get("dev", "/v1/requests")).json["items"]
        assert {one["id"]: one["endedInOutage"] for one in listed} == {
            grant: {**ended, "isRemoved": True},
            other: None,
        }
        await back(api)
        after = await api.get("dev", f"/v1/requests/{grant}", **seen)
        assert (after.json["stage"], after.json["endedInOutage"]) == ("ended", None)
        assert after.headers["etag"] != before.headers["etag"]

    with_api(body)


def test_the_kill_switch_is_shown_as_pulled_before_the_database_knows() -> None:
    async def body(api: Api) -> None:
        grant, gone = (await api.active())["id"], (await api.active())["id"]
        await api.post("dev", f"/v1/grants/{gone}:return")
        await api.world.until(gone, Stage.ENDED)
        clear = (await api.get("dev", "/v1/killswitch")).json
        assert (clear["isPulled"], clear["pulledInOutage"]) == (False, None)
        api.world.database.is_full = True
        await api.post("max", "/v1/killswitch:pull", {"why": "a breach"})
        shown = (await api.get("dev", "/v1/killswitch")).json
        here = shown["pulledInOutage"]
        assert (shown["isPulled"], shown["why"], shown["pulls"]) == (True, "a breach", clear["pulls"])
        assert (here["by"], here["at"], here["isRemoved"]) == (shown["pulledBy"], shown["pulledAt"], True)
        listed = (await api.get("dev", "/v1/requests")).json["items"]
        assert {one["id"]: one["endedInOutage"] for one in listed} == {grant: here, gone: None}
        assert all(described_as("Request", one, "endedInOutage") for one in listed)
        assert all(described_as("KillSwitch", one, "pulledInOutage") for one in (shown, clear))
        await back(api)
        after = (await api.get("dev", "/v1/killswitch")).json
        assert (after["isPulled"], after["pulls"], after["pulledInOutage"]) == (
            True,
            clear["pulls"] + 1,
            None,
        )

    with_api(body)


def described_as(name: str, found: dict[str, Any], in_outage: str) -> bool:
    """By the OpenAPI document, whose objects have the properties that it names and no others."""
    schema = document()["components"]["schemas"][name]
    here, null = schema["properties"][in_outage]["anyOf"]
    assert null == {"type": "null"}
    parts = [(schema, found)] + [(here, found[in_outage])] * (found[in_outage] is not None)
    return all(set(one["properties"]) == set(one["required"]) == set(part) for one, part in parts)
