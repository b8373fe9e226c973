"""What clusters deliver, over the API: each with its own token, and each for itself."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aliquot.access.api.application import application
from aliquot.access.api.auditing import MOST_BYTES, Auditing
from aliquot.access.audit.intake import Intake
from aliquot.access.broker.waking import Waking
from aliquot.clock import VirtualClock
from aliquot.sql.failures import Unreachable
from tests.access.api.calling import Answer, Api, with_api
from tests.access.audit.samples import encoded, raw, user
from tests.access.broker.world import CLUSTER

T = TypeVar("T")

TOKEN, OTHER = "a-token-of-prod-one-00", "a-token-of-prod-two-00"


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    for name, text in (
        (CLUSTER, f"{TOKEN}\nthe-token-before-it-00\n"),
        ("prod-two", OTHER),
        ("short", "short"),
    ):
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in (CLUSTER, "prod-two", "short", "lost")}


def run(tokens: dict[str, str], body: Callable[[Api], Awaitable[T]]) -> T:
    async def inside(api: Api) -> T:
        auditing = Auditing(api.door, Intake(api.world.store, Waking()), tokens)
        api.app = application(api.door, **api.rooms(auditing=auditing))
        return await body(api)

    return with_api(inside)


async def sent(api: Api, body: bytes, token: str = TOKEN, cluster: str = CLUSTER) -> Answer:
    return await api.call(token, "POST", f"/v1/audit/{cluster}", raw=body)


def by(grant: str, credential: str = "JTI=1") -> dict[str, Any]:
    return user(
        f"system:serviceaccount:aliquot-break-glass:aliquot-bg-{grant}",
        "system:serviceaccounts:aliquot-break-glass",
        credential=credential,
    )


def test_what_a_holder_did_is_shown_to_who_may_see_the_grant(tokens: dict[str, str]) -> None:
    async def body(api: Api) -> None:
        grant = (await api.active())["id"]
        assert (await api.post("dev", f"/v1/grants/{grant}:credential")).status == 200
        now_s = VirtualClock().now()
        did = [
            raw("get", "pods/log", namespace="team-a", by=by(grant), at_s=now_s, number=1),
            raw("list", "secrets", "", namespace="team-a", by=by(grant), code=403, at_s=now_s, number=2),
            {"kind": "Nonsense"},
        ]
        answer = await sent(api, encoded(*did))
        assert answer.status == 200
        assert answer.json["uses"] == 2
        assert answer.json["unread"] == ["item 2: no audit event: Object missing required field `auditID`"]
        assert (await sent(api, encoded(*did))).json["uses"] == 0
        for who in ("dev", "max"):
            found = (await api.get(who, f"/v1/grants/{grant}/use")).json
            assert (found["count"], found["read"][0]["resource"]) == (2, "pods/log")
            assert (found["denied"][0]["verb"], found["denied"][0]["resource"]) == ("list", "secrets")
            assert {tuple(one["resources"]) for one in found["unused"]} == {
                ("deployments",),
                ("pods",),
                ("pods/log",),
            }
        assert (await api.get("stranger", f"/v1/grants/{grant}/use")).status == 404

    run(tokens, body)


def test_findings_are_for_those_who_look_after_all(tokens: dict[str, str]) -> None:
    async def body(api: Api) -> None:
        now_s = VirtualClock().now()
        root = user("kubernetes-admin", "system:masters", credential="X509SHA256=00")
        assert (await sent(api, encoded(raw(by=root, at_s=now_s)))).json["findings"] == 1
        (found,) = (await api.get("max", "/v1/audit/findings")).json["items"]
        assert (found["rule"], found["cluster"]) == ("system_masters", CLUSTER)
        await asyncio.sleep(10)
        assert [one.notice.sort for one in api.world.others.noticed] == ["system masters"]
        assert (await api.get("max", "/v1/audit/findings?cluster=prod-two")).json == {"items": []}
        assert (await api.get("max", "/v1/audit/findings?cluster=A")).status == 422
        assert (await api.get("dev", "/v1/audit/findings")).status == 403

    run(tokens, body)


@pytest.mark.parametrize(
    ("cluster", "token", "status"),
    [
        (CLUSTER, TOKEN, 200),
        (CLUSTER, "the-token-before-it-00", 200),
        (CLUSTER, OTHER, 401),
        (CLUSTER, "", 401),
        (CLUSTER, "dev", 401),
        (CLUSTER, "tokén-of-prod-one", 401),
        ("prod-two", TOKEN, 401),
        ("prod-two", OTHER, 200),
        ("prod-three", TOKEN, 401),
        ("findings", TOKEN, 401),
        ("lost", TOKEN, 503),
        ("short", "short", 503),
    ],
)
def test_one_cluster_cannot_speak_for_another(
    tokens: dict[str, str], cluster: str, token: str, status: int
) -> None:
    async def body(api: Api) -> None:
        answer = await sent(api, encoded(), token.encode().decode("latin-1"), cluster)
        assert answer.status == status, answer.body
        if status == 401:
            assert answer.bytes_read == 0
            assert "prod" not in answer.json["detail"]
        if status == 503:
            assert answer.headers["retry-after"]

    run(tokens, body)


@pytest.mark.parametrize(
    ("sent_body", "status", "words"),
    [
        (b"x" * (MOST_BYTES + 1), 413, "at most 10485760 bytes"),
        (b"nonsense", 400, "it is no EventList: JSON is malformed"),
        (b'{"kind":"PodList","items":[]}', 400, "it is a PodList"),
        (b'{"kind":"EventList","items":[1,"a",null,{}]}', 200, ""),
    ],
)
def test_what_is_no_delivery_is_refused_in_one_line(
    tokens: dict[str, str], sent_body: bytes, status: int, words: str
) -> None:
    async def body(api: Api) -> None:
        answer = await sent(api, sent_body)
        assert answer.status == status
        assert words in answer.json.get("detail", "")

    run(tokens, body)


def test_while_the_database_is_gone_the_api_server_is_to_come_again(
    tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(api: Api) -> None:
        async def gone(*_: object) -> Any:
            raise Unreachable("postgresql://secret: it has gone")

        monkeypatch.setattr(api.world.store, "write", gone)
        answer = await sent(api, encoded(raw(at_s=VirtualClock().now())))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"secret" not in answer.body

    run(tokens, body)
