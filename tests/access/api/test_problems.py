"""What is refused, how, and that it changes nothing and tells nothing."""

import asyncio
from typing import Any

import pytest

from aliquot.access.broker.refusing import MOST, WITHIN_S
from aliquot.sql.failures import Unreachable
from tests.access.api.calling import ASKED, Api, with_api

HUGE = {**ASKED, "justification": "x" * 10_000_000}


def changed(**other: Any) -> dict[str, Any]:
    return {**ASKED, **other}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not JSON"),
        (b"[]", 400, "object"),
        (b"template: fix", 400, "not JSON"),
        (b"{template: fix}", 400, "not JSON"),
        (b'{"template": "\xff"}', 400, "not JSON"),
        (b'{"template": "\\ud800"}', 400, "not JSON"),
        (b'{"template": NaN}', 400, "not JSON"),
        (b'{"template": 1e999}', 400, ""),
        (b'{"a":' * 30_00 + b"1" + b"}" * 30_00, 400, ""),
        (b'{"template": "fix", "template": "peek"}', 422, "given twice"),
        (changed(justificaton="x"), 422, "did you mean 'justification'?"),
        (changed(template=7), 422, "template: text is expected"),
        (changed(extends="r" + "0" * 26), 422, "unknown field 'extends'"),
        (changed(durationSeconds=10**30), 422, "durationSeconds"),
        (changed(durationSeconds=-1), 422, "durationSeconds"),
        (changed(durationSeconds=1.5), 422, "durationSeconds"),
        (changed(start="tomorrow"), 422, "'start'"),
        (changed(start="2026-11-29T06:40:00"), 422, "'start'"),
        (changed(start="0001-01-01T00:00:00+23:59"), 422, "start"),
        (changed(template="fx"), 422, "did you mean 'fix'"),
        (changed(template="fix\u0000"), 422, "template's name"),
        (changed(cluster="prod-on"), 422, "no cluster 'prod-on'; did you mean 'prod-one'?"),
        (changed(cluster="prod'; DROP TABLE lives;--"), 422, "cluster's name"),
        (changed(justification=""), 422, "empty"),
        (changed(justification="a\u202eb"), 422, "control character"),
        (changed(justification="x" * 2001), 422, "2000 are enough"),
        (changed(parameters={"workload": "*"}), 422, "workload"),
        (changed(parameters={"workload": "a\nb"}), 422, "workload"),
        (changed(parameters={"workload": ["a"]}), 422, "workload"),
        (changed(ticket="CHG1^ORnumber=2"), 422, "ticket"),
        (HUGE, 413, "65536 bytes"),
    ],
    ids=str,
)
def test_what_is_no_request(body: Any, status: int, words: str) -> None:
    async def run(api: Api) -> None:
        raw = body if isinstance(body, bytes) else None
        came = await api.call("dev", "POST", "/v1/requests", body, raw=raw)
        assert came.status == status, came.body
        assert came.kind
        assert words in came.json["detail"]
        assert "\n" not in came.json["detail"]
        assert (await api.get("dev", "/v1/requests")).json["items"] == []

    with_api(run)


def test_no_more_is_read_than_may_be_sent() -> None:
    async def body(api: Api) -> None:
        came = await api.post("dev", "/v1/requests", HUGE)
        assert (came.status, came.kind) == (413, "too-large")
        assert came.bytes_read <= 96 * 1024
        declared = await api.post("dev", "/v1/requests", HUGE, content_length="10000000")
        assert (declared.status, declared.bytes_read) == (413, 0)
        assert (await api.post("dev", "/v1/requests", ASKED, content_type="text/plain")).status == 415

    with_api(body)


ACTIONS: list[tuple[str, object]] = [
    ("requests/{id}:approve", {"digest": "sha256:0"}),
    ("requests/{id}:deny", {"digest": "sha256:0", "why": "no"}),
    ("requests/{id}:withdraw", None),
    ("requests/{id}:activate", None),
    ("grants/{id}:return", None),
    ("grants/{id}:revoke", {"why": "no"}),
    ("grants/{id}:extend", {"justification": "more"}),
    ("grants/{id}:credential", None),
    ("reviews/{id}", {"digest": "sha256:0", "outcome": "justified", "note": "fine"}),
]


@pytest.mark.parametrize(("path", "said"), ACTIONS, ids=str)
def test_who_may_not_see_a_request_is_told_that_there_is_none(path: str, said: object) -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        missing = "r" + "0" * 26
        for who in ("stranger", "deputy-who-is-nobody"):
            answers = [
                await api.call(who, "POST", f"/v1/{path.format(id=one)}", raw=sent)
                for one in (found["id"], missing)
                for sent in (b"", b"{", b'{"x": 1}')
            ]
            assert len({(one.status, one.body) for one in answers}) == 1
            assert all(one.bytes_read == 0 for one in answers)
            assert answers[0].status == (404 if who == "stranger" else 401)
        assert (await api.get("stranger", f"/v1/requests/{found['id']}")).status == 404
        assert (await api.get("dev", f"/v1/requests/{found['id']}")).json == found
        assert (await api.post("dev", f"/v1/{path.format(id='r' + 'i' * 26)}", said)).status == 404

    with_api(body)


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("requests/{id}:approve", "dev"),
        ("requests/{id}:approve", "rita"),
        ("requests/{id}:deny", "rita"),
        ("requests/{id}:withdraw", "sara"),
        ("requests/{id}:activate", "sara"),
        ("grants/{id}:return", "max"),
        ("grants/{id}:revoke", "dev"),
        ("grants/{id}:extend", "max"),
        ("reviews/{id}", "dev"),
        ("killswitch:pull", "dev"),
        ("killswitch:clear", "sara"),
    ],
)
def test_who_may_not_is_told_so_before_anything_is_read(path: str, who: str) -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        came = await api.call(who, "POST", f"/v1/{path.format(id=found['id'])}", raw=b"{")
        assert (came.status, came.kind, came.bytes_read) == (403, "forbidden", 0)
        assert (await api.get("dev", f"/v1/requests/{found['id']}")).json == found

    with_api(body)


def test_refusals_are_in_the_log() -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        await api.post("dev", f"/v1/requests/{found['id']}:approve", {"digest": found["digest"]})
        await api.post("sara", f"/v1/requests/{found['id']}:approve", {"digest": "sha256:other"})
        refused = [one for one in await api.world.entries() if one.action == "refused.approve"]
        assert [one.details["ground"] for one in refused] == ["forbidden", "conflict"]

    with_api(body)


@pytest.mark.parametrize(("path", "said"), ACTIONS, ids=str)
def test_what_an_outsider_tries_is_in_the_log(path: str, said: object) -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        missing = "r" + "0" * 26
        for one in (found["id"], missing):
            assert (await api.post("stranger", f"/v1/{path.format(id=one)}", said)).status == 404
        logged = [one for one in await api.world.entries() if one.action.startswith("refused.")]
        assert [(one.actor.sub, one.grant) for one in logged] == [("stranger", found["id"]), ("stranger", "")]
        assert len({one.action for one in logged}) == 1

    with_api(body)


@pytest.mark.parametrize(
    ("method", "path", "who", "action"),
    [
        ("POST", "grants/{id}:extend", "max", "refused.extend"),
        ("POST", "grants/{id}:credential", "max", "refused.credential"),
        ("POST", "killswitch:pull", "stranger", "refused.pulled"),
        ("POST", "killswitch:clear", "stranger", "refused.clearing"),
        ("GET", "log/dump", "stranger", "refused.reading"),
    ],
)
def test_whatever_is_refused_is_in_the_log(method: str, path: str, who: str, action: str) -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        came = await api.call(who, method, f"/v1/{path.format(id=found['id'])}")
        assert came.status == 403
        last = (await api.world.entries())[-1]
        assert (last.action, last.actor.sub, last.details["ground"]) == (action, who, "forbidden")
        assert last.grant == (found["id"] if "{id}" in path else "")

    with_api(body)


def test_a_stranger_does_not_fill_the_log() -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        for _ in range(100):
            assert (await api.post("stranger", "/v1/killswitch:pull", {"why": "x"})).status == 403
            assert (await api.post("stranger", f"/v1/requests/{found['id']}:activate")).status == 404
        await asyncio.sleep(WITHIN_S + 61)
        logged = [one for one in await api.world.entries() if one.actor.sub == "stranger"]
        assert len(logged) == MOST + 1
        told, counted = [one.action for one in logged[:-1]], logged[-1].details["counted"]
        assert logged[-1].action == "refused.more"
        for name in ("pulled", "activate"):
            assert told.count(f"refused.{name}") + counted[name] == 100

    with_api(body)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("requests?stag=active", "did you mean 'stage'?"),
        ("requests?stage=none", "'stage'"),
        ("requests?limit=101", "'limit'"),
        ("requests?limit=1&limit=2", "given twice"),
        ("requests?before=x", "'before'"),
        ("requests?template=%00", "'template'"),
        ("simulate?cluster=prod-one", "'template' is missing"),
        ("simulate?template=fix&cluster=prod-one&start=0", "start"),
        ("log/proof", "'entry' is missing"),
        ("log/proof?entry=-1", "'entry'"),
    ],
)
def test_what_is_no_query(path: str, words: str) -> None:
    async def body(api: Api) -> None:
        came = await api.get("dev", f"/v1/{path}")
        assert (came.status, came.kind) == (422, "invalid")
        assert words in came.json["detail"]

    with_api(body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"idempotency_key": ""}, 400),
        ({"idempotency_key": "x" * 129}, 400),
        ({"content_length": "many"}, 413),
        ({"authorization": "Basic ZGV2"}, 401),
        ({"authorization": ""}, 401),
    ],
    ids=str,
)
def test_headers(headers: dict[str, str], status: int) -> None:
    async def body(api: Api) -> None:
        came = await api.post("dev", "/v1/requests", ASKED, **headers)
        assert came.status == status
        assert came.kind

    with_api(body)


def test_what_takes_no_body_takes_none() -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        came = await api.post("dev", f"/v1/requests/{found['id']}:withdraw", {"why": "changed my mind"})
        assert (came.status, came.kind) == (422, "invalid")
        assert (await api.get("dev", f"/v1/requests/{found['id']}")).json["stage"] == "pending"

    with_api(body)


def test_what_there_is_not() -> None:
    async def body(api: Api) -> None:
        assert (await api.get("dev", "/v2")).kind == "http"
        assert (await api.call("dev", "DELETE", "/v1/templates")).status == 405

    with_api(body)


def test_without_a_database_nothing_is_done() -> None:
    async def body(api: Api) -> None:
        async def fails(work: object) -> object:
            raise Unreachable("postgresql://secret-host/access: gone")

        api.world.store.write = fails  # type: ignore[method-assign,assignment]
        came = await api.post("dev", "/v1/requests", ASKED)
        assert (came.status, came.kind) == (503, "unavailable")
        assert b"secret-host" not in came.body

    with_api(body)


def test_without_templates_nothing_is_given() -> None:
    async def body(api: Api) -> None:
        found = await api.agreed()
        api.world.others.policy = None
        assert (await api.get("dev", "/v1/templates")).kind == "unknown"
        assert (await api.post("dev", f"/v1/requests/{found['id']}:activate")).kind == "unknown"
        assert (await api.post("max", "/v1/killswitch:pull", {"why": "now"})).kind == "unknown"

    with_api(body)
