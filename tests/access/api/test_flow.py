"""The whole way over the API, and what each answer says."""

import asyncio
import json

from msgspec.structs import replace

from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.templates.template import StepUp, StepUpLevel
from aliquot.access.log.evidence import parse
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from tests.access.api.calling import ASKED, Api, with_api
from tests.access.life.scenery import FIX, PEEK, person, policy_of


def test_from_asking_to_returning() -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        assert found["stage"] == "active"
        assert [one["person"]["subject"] for one in found["approvals"]] == ["sara", "cleo"]
        came = await api.post("dev", f"/v1/grants/{found['id']}:credential")
        assert (came.status, came.json["token"]) == (200, "token")
        assert came.headers["cache-control"] == "no-store"
        assert (await api.post("dev", f"/v1/grants/{found['id']}:return")).json["stage"] == "ending"
        await api.world.until(found["id"], Stage.ENDED)
        assert (await api.get("dev", f"/v1/requests/{found['id']}")).json["endReason"] == "returned"

    with_api(body)


def test_revoked_it_gives_no_credential_any_more() -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        came = await api.post("max", f"/v1/grants/{found['id']}:revoke", {"why": "not him"})
        assert came.json["endedBy"]["subject"] == "max"
        came = await api.post("dev", f"/v1/grants/{found['id']}:credential")
        assert (came.status, came.kind) == (409, "conflict")

    with_api(body)


def test_a_key_stands_for_one_request() -> None:
    async def body(api: Api) -> None:
        first = await api.post("dev", "/v1/requests", ASKED, idempotency_key="k1")
        again = await api.post("dev", "/v1/requests", ASKED, idempotency_key="k1")
        assert first.json == again.json
        assert first.headers["location"] == f"/v1/requests/{first.json['id']}"
        other = await api.post("dev", "/v1/requests", {**ASKED, "justification": "no"}, idempotency_key="k1")
        assert (other.status, other.kind) == (422, "key-used")
        of_another = await api.post("dave", "/v1/requests", ASKED, idempotency_key="k1")
        assert of_another.json["id"] != first.json["id"]

    with_api(body)


def test_of_whoever_may_not_ask_no_key_is_kept() -> None:
    async def body(api: Api) -> None:
        for who, asked in (("stranger", ASKED), ("dev", {**ASKED, "template": "none"})):
            came = await api.post(who, "/v1/requests", asked, idempotency_key="k1")
            assert came.status in (403, 422)
            kept = await api.world.store.read(
                lambda tx, who=who: tx.answer(str(person(who)), "k1")  # type: ignore[misc]
            )
            assert kept is None

    with_api(body)


def test_whoever_dies_after_a_key_was_kept_makes_the_same_request() -> None:
    async def body(api: Api) -> None:
        policy, api.world.others.policy = api.world.others.policy, None
        assert (await api.post("dev", "/v1/requests", ASKED, idempotency_key="k1")).status == 503
        api.world.others.policy = policy
        made = [await api.post("dev", "/v1/requests", ASKED, idempotency_key="k1") for _ in range(2)]
        assert made[0].status == 201
        assert made[0].json == made[1].json

    with_api(body)


def test_versions() -> None:
    async def body(api: Api) -> None:
        found = await api.asked()
        path = f"/v1/requests/{found['id']}"
        tag = (await api.get("dev", path)).headers["etag"]
        assert (await api.get("dev", path, if_none_match=tag)).status == 304
        said = {"digest": found["digest"]}
        old = await api.post("sara", f"{path}:approve", said, if_match='"99"')
        assert (old.status, old.kind) == (412, "moved")
        assert (await api.post("sara", f"{path}:approve", said, if_match=tag)).status == 200
        assert (await api.get("dev", path)).headers["etag"] != tag
        assert (await api.post("dev", f"{path}:withdraw", if_match=tag)).status == 412

    with_api(body)


def test_pages() -> None:
    async def body(api: Api) -> None:
        ids = []
        for who in ("dev", "dev", "dave"):
            ids.append((await api.asked(who))["id"])
            await asyncio.sleep(1)
        first = (await api.get("sara", "/v1/requests?limit=2")).json
        assert [one["id"] for one in first["items"]] == ids[:0:-1]
        rest = (await api.get("sara", f"/v1/requests?limit=2&before={first['next']}")).json
        assert [one["id"] for one in rest["items"]] == ids[:1]
        assert "next" not in rest
        mine = (await api.get("dave", "/v1/requests?mine=true&stage=pending,active")).json
        assert [one["id"] for one in mine["items"]] == ids[2:]
        assert (await api.get("sara", "/v1/requests?stage=active")).json["items"] == []
        assert (await api.get("stranger", "/v1/requests")).json["items"] == []

    with_api(body)


def test_a_fresh_proof_is_for_one_digest() -> None:
    async def body(api: Api) -> None:
        strict = replace(FIX, step_up=StepUp(approval=StepUpLevel.WEBAUTHN))
        api.world.others.policy = policy_of((strict, PEEK))
        found = await api.asked()
        path, said = f"/v1/requests/{found['id']}:approve", {"digest": found["digest"]}
        assert (await api.post("sara", path, said)).status == 403
        assert (await api.post("sara", path, said, proof="approve sha256:other")).status == 403
        assert (await api.post("sara", path, said, proof=f"approve {found['digest']}")).status == 200

    with_api(body)


def test_an_extension_is_a_request_of_its_own() -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        path = f"/v1/grants/{found['id']}:extend"
        asked = {"durationSeconds": 1800, "justification": "not done yet"}
        assert (await api.post("sara", path, asked)).status == 403
        came = await api.post("dev", path, asked, idempotency_key="k")
        assert (came.status, came.json["request"]["extends"]) == (201, found["id"])
        assert (await api.post("dev", path, asked, idempotency_key="k")).json["id"] == came.json["id"]

    with_api(body)


def test_one_pulls_and_two_clear() -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        pulled = await api.post("max", "/v1/killswitch:pull", {"why": "stolen laptop"})
        assert pulled.json["isPulled"]
        await api.world.until(found["id"], Stage.ENDED)
        assert (await api.post("dave", "/v1/requests", ASKED)).kind == "stopped"
        for name, is_pulled in (("max", True), ("mia", False)):
            came = await api.post(name, "/v1/killswitch:clear", {"pull": pulled.json["pulls"]})
            assert came.json["isPulled"] is is_pulled
        assert (await api.get("stranger", "/v1/killswitch")).json["isPulled"] is False

    with_api(body)


def test_a_review() -> None:
    async def body(api: Api) -> None:
        found = await api.asked(emergency=True, durationSeconds=1200)
        await api.world.until(found["id"], Stage.ACTIVE)
        assert (await api.post("dev", f"/v1/grants/{found['id']}:return")).status == 200
        await api.world.until(found["id"], Stage.ENDED)
        assert len((await api.get("rita", "/v1/requests?reviewOpen=true")).json["items"]) == 1
        said = {"digest": found["digest"], "outcome": "justified", "note": "it was down"}
        assert (await api.post("sara", f"/v1/reviews/{found['id']}", said)).status == 403
        assert (await api.post("rita", f"/v1/reviews/{found['id']}", said)).json["reviewState"] == "justified"

    with_api(body)


def test_what_asking_would_come_to() -> None:
    async def body(api: Api) -> None:
        asked = "template=fix&cluster=prod-one&namespace=team-a&parameter.workload=checkout"
        found = (await api.get("dev", f"/v1/simulate?{asked}&durationSeconds=3600")).json
        assert found["rules"][0]["resourceNames"] == ["checkout"]
        assert [one["groups"] for one in found["approvals"]["slots"]] == [
            ["https://login.example.com#sre"],
            ["https://login.example.com#sec"],
        ]
        assert (await api.get("stranger", f"/v1/simulate?{asked}")).kind == "forbidden"
        assert (await api.get("dev", f"/v1/simulate?{asked}&emergency=true")).json["approvals"]["slots"] == []
        assert not (await api.get("dev", "/v1/requests")).json["items"]
        assert found["missing"] == []
        await api.active()
        await api.asked()
        assert "yours already" in (await api.get("dev", f"/v1/simulate?{asked}")).json["missing"][0]
        assert (await api.post("max", "/v1/killswitch:pull", {"why": "stolen laptop"})).status == 200
        assert "kill switch" in (await api.get("dev", f"/v1/simulate?{asked}")).json["missing"][0]
        elsewhere = await api.get("dev", f"/v1/simulate?{asked.replace('prod-one', 'prod-two')}")
        assert elsewhere.json["detail"] == "this server has no cluster 'prod-two'; did you mean 'prod-one'?"

    with_api(body)


def test_templates_say_what_the_caller_may() -> None:
    async def body(api: Api) -> None:
        async def may(who: str) -> list[object]:
            (fix, _) = (await api.get(who, "/v1/templates")).json["items"]
            return [fix["name"], fix["mayAsk"], fix["mayAskInEmergency"], fix["mayApprove"]]

        assert await may("dev") == ["fix", True, True, False]
        assert await may("sara") == ["fix", False, False, True]

    with_api(body)


def test_the_log() -> None:
    async def body(api: Api) -> None:
        found = await api.agreed()
        assert (await api.get("dev", "/v1/log/checkpoint")).status == 404
        key = new_key("log.example.com/access", ED25519, bytes(32))
        assert await Checkpointing(api.world.store, key).sign() is not None
        note = (await api.get("dev", "/v1/log/checkpoint")).body.decode()
        proof = parse((await api.get("dev", "/v1/log/proof?entry=1")).body.decode())
        assert (proof.index, proof.note) == (1, note)
        assert (await api.get("dev", "/v1/log/proof?entry=999")).status == 404
        assert (await api.get("dev", "/v1/log/dump")).kind == "forbidden"
        lines = [json.loads(one) for one in (await api.get("max", "/v1/log/dump")).body.splitlines()]
        assert {one.get("grant") for one in lines} >= {found["id"]}
        assert {one["opening"]["value"] for one in lines if "opening" in one} >= {"checkout is down"}
        without = (await api.get("max", "/v1/log/dump?personal=false")).body
        assert b"checkout is down" not in without

    with_api(body)


def test_where_a_cluster_is() -> None:
    async def body(api: Api) -> None:
        found = (await api.get("dev", "/v1/clusters/prod-one")).json
        assert found["server"] == "https://prod-one:6443"
        assert (await api.get("dev", "/v1/clusters/other")).status == 404

    with_api(body)
