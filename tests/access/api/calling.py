"""The API in process, on the broker's world: who calls is said in a header, and so is what they prove."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec.structs import replace
from starlette.applications import Starlette

from aliquot.access.api.application import application
from aliquot.access.api.auditing import Auditing
from aliquot.access.api.door import Door, Reachable
from aliquot.access.api.hooks import Hooks
from aliquot.access.api.signing_in import SigningIn
from aliquot.access.audit.intake import Intake
from aliquot.access.broker.around import Caller
from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.broker.waking import Waking
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from tests.access.broker.world import CLUSTER, World, in_a_world
from tests.access.identity.laptop import KEY, PARTY
from tests.access.life.scenery import PEOPLE, person

T = TypeVar("T")

LOG_KEY = new_key("log.example.com/access", ED25519, b"k" * 32)
ASKED = {
    "template": "fix",
    "cluster": CLUSTER,
    "namespace": "team-a",
    "parameters": {"workload": "checkout"},
    "justification": "checkout is down",
}


class ByName:
    """`Authorization: Bearer NAME`, and `Proof: ACT DIGEST` of what they have proven themselves for."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller | Refused:
        scheme, _, name = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or person(name) not in PEOPLE:
            return Refused("nobody is known by this", Ground.FORBIDDEN)
        return Caller(identity=PEOPLE[person(name)], auth="test")

    async def authenticate_to_end(self, headers: Mapping[str, str]) -> Caller | Refused:
        return await self.authenticate(headers)

    async def proven(
        self, caller: Caller, headers: Mapping[str, str], act: str, digest: str
    ) -> Caller | Refused:
        given = headers.get("proof")
        if given is None:
            return caller
        if given != f"{act} {digest}":
            return Refused("this proof is for something else", Ground.FORBIDDEN)
        return replace(caller, step_up=StepUpLevel.WEBAUTHN)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    bytes_read: int
    """Of the request's body."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        found = self.json
        assert found["status"] == self.status
        assert found["detail"]
        return str(found["type"].rpartition(":")[2])


class Api:
    leaves = False
    """Whoever calls, before the last of it is sent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.door = Door(
            world.broker,
            world.store,
            world.others,
            ByName(),
            {CLUSTER: Reachable(CLUSTER, "https://prod-one:6443", "")},
            world.rng.randbytes,
            outage=world.outage,
        )
        self.app: Starlette = application(self.door, **self.rooms())

    def rooms(self, **instead: Any) -> dict[str, Any]:
        """All that an application may serve."""
        return {
            "origin": LOG_KEY.name,
            "signing_in": SigningIn(self.door, KEY, PARTY),
            "hooks": Hooks(self.door, self.world.others, {}, None),
            "auditing": Auditing(self.door, Intake(self.world.store, Waking()), {}),
            "keys": [LOG_KEY.public],
            "sign": Checkpointing(self.world.store, LOG_KEY).sign,
            **instead,
        }

    async def call(
        self,
        who: str,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        path, _, query = path.partition("?")
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = {"content-type": "application/json", "authorization": f"Bearer {who}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": None,
            "server": ("access", 443),
        }
        chunks = [sent[at : at + 16_384] for at in range(0, len(sent), 16_384)] or [b""]
        left = list(chunks)
        came: list[Any] = []

        async def receive() -> dict[str, Any]:
            if self.leaves and len(left) == 1:
                return {"type": "http.disconnect"}
            if not left:
                # Whoever calls stays until they are answered.
                await asyncio.Event().wait()
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:
            came.append(message)

        await self.app(scope, receive, send)
        start = came[0]
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(one.get("body", b"") for one in came[1:]),
            sum(map(len, chunks)) - sum(map(len, left)),
        )

    async def post(self, who: str, path: str, body: object = None, **headers: str) -> Answer:
        return await self.call(who, "POST", path, body, raw=None, **headers)

    async def get(self, who: str, path: str, **headers: str) -> Answer:
        return await self.call(who, "GET", path, None, raw=None, **headers)

    async def asked(self, who: str = "dev", **other: object) -> Any:
        came = await self.post(who, "/v1/requests", {**ASKED, **other})
        assert came.status == 201, came.body
        return came.json

    async def agreed(self) -> Any:
        found = await self.asked()
        for name in ("sara", "cleo"):
            came = await self.post(name, f"/v1/requests/{found['id']}:approve", {"digest": found["digest"]})
            assert came.status == 200, came.body
        return came.json

    async def active(self) -> Any:
        found = await self.agreed()
        assert (await self.post("dev", f"/v1/requests/{found['id']}:activate")).status == 200
        await self.world.until(found["id"], Stage.ACTIVE)
        return (await self.get("dev", f"/v1/requests/{found['id']}")).json


def with_api(body: Callable[[Api], Awaitable[T]]) -> T:
    return in_a_world(lambda world: body(Api(world)))
