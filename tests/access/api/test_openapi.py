"""The document is of all routes and no others, and Schemathesis asks what it says: every answer is as it promises."""

import asyncio
import inspect
import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from aliquot.access.api.application import application
from aliquot.access.api.hooks import Hooks
from aliquot.access.api.openapi import OPERATIONS, Operation, document
from aliquot.access.core.standard_webhooks import key_of, signed
from aliquot.access.tickets.incoming.settings import HookSettings, StandardHook
from aliquot.clock import VirtualClock
from tests.access.api.calling import Answer, Api, with_api
from tests.access.broker.world import CLUSTER
from tests.fuzz.described import available, drawn, prepared

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOBODY = ""


def test_every_route_is_described() -> None:
    """Whoever adds a route describes it, in `api/openapi.py`; and what is described is served."""

    async def body(api: Api) -> None:
        parts = inspect.signature(application).parameters.values()
        assert {one.name for one in parts if one.kind is one.KEYWORD_ONLY} == set(api.rooms())
        assert all(isinstance(one, Route) for one in api.app.routes)
        there = {
            (method.lower(), route.path)
            for route in api.app.routes
            if isinstance(route, Route)
            for method in route.methods or ()
            if method != "HEAD"
        }
        described = {
            (method, path) for path, operations in document()["paths"].items() for method in operations
        }
        assert there == described
        answer = await api.get(NOBODY, "/openapi.json")
        assert answer.json == json.loads(json.dumps(document()))

    with_api(body)


@pytest.mark.parametrize(
    "one", [one for one in OPERATIONS if not one.open], ids=lambda one: f"{one.method} {one.path}"
)
def test_what_asks_for_a_token_is_told_nothing_without(one: Operation) -> None:
    async def body(api: Api) -> None:
        ids = ((await api.asked())["id"], "r" + "0" * 26)
        paths = [one.path.replace("{id}", each).replace("{name}", CLUSTER) for each in ids]
        came = [await api.call(NOBODY, one.method.upper(), each, raw=b"{") for each in paths]
        assert {(each.status, each.kind) for each in came} == {(401, "unauthenticated")}
        assert came[0].body == came[1].body
        assert all("www-authenticate" in each.headers for each in came)
        assert all(each.bytes_read == 0 for each in came)

    with_api(body)


def test_names_of_operations_are_their_own() -> None:
    names = [each["operationId"] for path in document()["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not available(), reason="Schemathesis is not installed: make tools")
@pytest.mark.parametrize("spoilt", [False, True])
def test_every_answer_is_as_the_document_says(spoilt: bool, tmp_path: Path) -> None:
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi import checks

    mode = GenerationMode.NEGATIVE if spoilt else GenerationMode.POSITIVE
    operations = [one.ok() for one in schemathesis.openapi.from_dict(document()).get_all_operations()]
    cases = [case for one in operations for case in drawn(one, 6, mode, seed=1)]
    promised = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    (tmp_path / "itsm").write_text(SECRET)
    itsm: dict[str, HookSettings] = {"itsm": StandardHook(secret_file=str(tmp_path / "itsm"), may_ask=True)}

    async def body(api: Api) -> set[int]:
        api.app = application(api.door, **api.rooms(hooks=Hooks(api.door, api.world.others, itsm, None)))
        ids = [(await api.active())["id"], (await api.agreed())["id"]]
        rng, seen = random.Random(2), set()
        for number, case in enumerate(cases):
            if "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = rng.choice(ids)
            if case.operation.path == "/v1/hooks/{name}" and number % 3:
                case.path_parameters["name"] = "itsm"
            if isinstance(case.body, dict) and "template" in case.body and not spoilt:
                case.body |= {"template": "fix", "cluster": "prod-one", "namespace": "team-a"}
            asked = prepared(case)
            who = ("dev", "sara", "max", "stranger", NOBODY)[number % 5]
            answer = await _sent(api, who, asked)
            seen.add(answer.status)
            assert answer.status < 500 or answer.kind == "stopped", (asked.method, asked.url, asked.body)
            headers = {name: [value] for name, value in answer.headers.items()}
            response = schemathesis.Response(answer.status, headers, answer.body, asked, 0.0, False)
            case.validate_response(response, checks=promised)
        await asyncio.sleep(60)
        return seen

    seen = with_api(body)
    assert {200, 401, 403, 404, 422} <= seen


async def _sent(api: Api, who: str, asked: Any) -> Answer:
    path = asked.path_url
    sent = asked.body.encode() if isinstance(asked.body, str) else asked.body or b""
    if path == "/v1/hooks/itsm":
        signature = signed([key_of(SECRET)], f"msg_{len(sent)}", VirtualClock().now(), sent)
        return await api.call(NOBODY, asked.method, path, raw=sent, **signature)
    headers = {
        name.lower(): value
        for name, value in asked.headers.items()
        if name.lower() in ("idempotency-key", "if-match", "if-none-match", "content-type")
    }
    return await api.call(who, asked.method, path, raw=sent, **headers)
