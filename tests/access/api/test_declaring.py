"""Requests as a Terraform provider has them: created, read, planned without a difference, destroyed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aliquot.access.core import requests
from aliquot.access.core.life.stages import Stage
from aliquot.clock import VirtualClock, rfc3339_milli
from tests.access.api.calling import ASKED, Answer, Api, with_api

GONE = {"denied", "withdrawn", "lapsed", "ending", "ended"}


def an_id(number: int = 1, *, at_s: float | None = None) -> str:
    return requests.new_id(VirtualClock().now() if at_s is None else at_s, number.to_bytes(10))


@dataclass
class Provider:
    """A resource of `terraform apply`: what is wanted, and what it knows of what is there."""

    api: Api
    wanted: Mapping[str, Any]
    id: str = field(default_factory=an_id)
    who: str = "dev"
    tag: str = ""

    @property
    def path(self) -> str:
        return f"/v1/requests/{self.id}"

    async def apply(self, **headers: str) -> Answer:
        came = await self.api.call(self.who, "PUT", self.path, self.wanted, raw=None, **headers)
        self.tag = came.headers.get("etag", self.tag)
        return came

    async def read(self) -> dict[str, Any] | None:
        """What is there, in the shape that was sent; None: it is gone, and would be created anew."""
        came = await self.api.get(self.who, self.path)
        if came.status == 404 or came.json["stage"] in GONE:
            return None
        self.tag = came.headers["etag"]
        return {name: came.json["request"][name] for name in self.wanted}

    async def plan(self) -> dict[str, Any]:
        """What would be changed."""
        there = await self.read()
        return {name: value for name, value in self.wanted.items() if there is None or there[name] != value}

    async def destroy(self, **headers: str) -> Answer:
        return await self.api.call(self.who, "DELETE", self.path, raw=None, **headers)


@pytest.mark.parametrize(
    "wanted", [ASKED, {**ASKED, "durationSeconds": 3600, "ticket": "OPS-17"}], ids=["least", "more"]
)
def test_created_read_planned_and_destroyed(wanted: dict[str, Any]) -> None:
    async def body(api: Api) -> None:
        mine = Provider(api, wanted)
        assert await mine.read() is None
        created = await mine.apply()
        assert (created.status, created.json["id"]) == (201, mine.id)
        assert created.headers["location"] == mine.path
        assert await mine.plan() == {}
        entries = len(await api.world.entries())
        again = await mine.apply()
        assert (again.status, again.json, again.headers["etag"]) == (200, created.json, mine.tag)
        assert len(await api.world.entries()) == entries
        assert (await mine.destroy(if_match=mine.tag)).json["stage"] == "withdrawn"
        assert await mine.read() is None
        assert (await mine.destroy()).json["stage"] == "withdrawn"
        assert (await mine.apply()).json["stage"] == "withdrawn"

    with_api(body)


def test_it_is_read_as_it_was_sent_with_a_start_too() -> None:
    async def body(api: Api) -> None:
        start = rfc3339_milli(VirtualClock().now() + 3600)
        mine = Provider(api, {**ASKED, "durationSeconds": 3600, "start": start})
        assert (await mine.apply()).status == 201
        assert await mine.plan() == {}
        assert (await mine.apply()).status == 200

    with_api(body)


def test_planned_without_a_difference_whatever_has_become_of_it_and_returned() -> None:
    async def body(api: Api) -> None:
        mine = Provider(api, ASKED)
        said = {"digest": (await mine.apply()).json["digest"]}
        for who in ("sara", "cleo"):
            assert (await api.post(who, f"{mine.path}:approve", said)).status == 200
            assert await mine.plan() == {}
        assert (await api.post("dev", f"{mine.path}:activate")).status == 200
        await api.world.until(mine.id, Stage.ACTIVE)
        assert await mine.plan() == {}
        assert (await mine.apply()).json["stage"] == "active"
        assert (await mine.destroy()).json["stage"] == "ending"
        assert await mine.read() is None
        await api.world.until(mine.id, Stage.ENDED)
        after = (await mine.destroy()).json
        assert (after["stage"], after["endReason"]) == ("ended", "returned")

    with_api(body)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"justification": "something else"}, "justification is not as before"),
        ({"durationSeconds": 1800}, "durationSeconds is not"),
        ({"parameters": {"workload": "cart"}, "ticket": "OPS-18"}, "parameters, ticket are not"),
        ({"emergency": True}, "emergency is not"),
        ({"namespace": "team-b"}, "namespace is not"),
    ],
    ids=str,
)
def test_another_body_is_another_request(other: dict[str, Any], words: str) -> None:
    async def body(api: Api) -> None:
        mine = Provider(api, {**ASKED, "durationSeconds": 3600})
        found = (await mine.apply()).json
        changed = await Provider(api, {**mine.wanted, **other}).apply()
        assert (changed.status, changed.kind) == (409, "conflict")
        assert words in changed.json["detail"]
        assert "under another id" in changed.json["detail"]
        assert (await api.get("dev", mine.path)).json == found
        last = (await api.world.entries())[-1]
        assert (last.action, last.grant) == ("refused.ask", mine.id)

    with_api(body)


def test_conditions() -> None:
    async def body(api: Api) -> None:
        mine = Provider(api, ASKED)
        assert (await mine.apply(if_match='"1"')).kind == "moved"
        assert (await mine.apply(if_match="*")).status == 412
        assert await mine.read() is None
        assert (await mine.apply(if_none_match="*")).status == 201
        assert (await mine.apply(if_none_match="*")).kind == "moved"
        assert (await mine.apply(if_match=mine.tag)).status == 200
        assert (await mine.apply(if_match='"99"')).status == 412
        assert (await mine.destroy(if_match='"99"')).status == 412
        assert await mine.plan() == {}

    with_api(body)


def test_an_id_of_somebody_else_is_taken() -> None:
    async def body(api: Api) -> None:
        mine = Provider(api, ASKED)
        found = (await mine.apply()).json
        for who, status in (("dave", 404), ("sara", 403)):
            came = await Provider(api, ASKED, who=who).apply()
            assert (came.status, came.json["detail"]) == (409, "this id is taken: choose another")
            assert (await Provider(api, ASKED, who=who).destroy()).status == status
        assert (await api.get("dev", mine.path)).json == found
        refused = [one.action for one in await api.world.entries() if one.actor.sub in ("dave", "sara")]
        assert refused == ["refused.ask", "refused.withdraw"] * 2

    with_api(body)


def test_of_two_who_are_as_fast_as_each_other_one_has_the_id() -> None:
    async def body(api: Api) -> None:
        both = (Provider(api, ASKED), Provider(api, ASKED, who="dave"))
        came = await asyncio.gather(*(one.apply() for one in both))
        assert sorted(one.status for one in came) == [201, 409]
        assert len((await api.get("max", "/v1/requests")).json["items"]) == 1

    with_api(body)


@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("checkout", "choose `r` and a ULID"),
        ("r" + "u" * 26, "choose `r` and a ULID"),
        ("r" + "0" * 26, "take a new ULID"),
        ("r7" + "z" * 25, "take a new ULID"),
        (-90_000.0, "take a new ULID"),
        (90_000.0, "take a new ULID"),
    ],
    ids=str,
)
def test_what_is_no_id_for_something_new(id_: str | float, words: str) -> None:
    """A number: of one of then, from now on."""

    async def body(api: Api) -> None:
        id_of = id_ if isinstance(id_, str) else an_id(at_s=VirtualClock().now() + id_)
        came = await Provider(api, ASKED, id_of).apply()
        assert (came.status, came.kind) == (422, "invalid")
        assert words in came.json["detail"]

    with_api(body)


def test_an_id_says_when_it_was_made() -> None:
    assert requests.made_at_s(an_id(at_s=1_790_000_000.123)) == 1_790_000_000.123


def test_pages_stay_as_they_are_while_others_ask() -> None:
    async def body(api: Api) -> None:
        ids = [an_id(number, at_s=VirtualClock().now()) for number in (1, 2, 3)]
        for one, who in zip(ids, ("dev", "dave", "dev"), strict=True):
            assert (await Provider(api, ASKED, one, who).apply()).status == 201
        first = (await api.get("max", "/v1/requests?limit=1")).json
        # What the first page had is over, and another is asked for.
        await Provider(api, ASKED, ids[2]).destroy()
        await asyncio.sleep(1)
        late = await api.asked("dave")
        rest = (await api.get("max", f"/v1/requests?limit=2&before={first['next']}")).json
        seen = [one["id"] for one in (*first["items"], *rest["items"])]
        assert seen == sorted(ids, reverse=True)
        assert (await api.get("max", "/v1/requests?limit=1")).json["items"][0]["id"] == late["id"]

    with_api(body)
