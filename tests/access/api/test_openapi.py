"""The document is of all routes and no others, and Schemathesis asks what it says: every answer is as it promises."""

import asyncio
import json
import random
from typing import Any

import pytest
from starlette.routing import Route

from aliquot.access.api.openapi import OPERATIONS, document
from tests.access.api.calling import Answer, Api, with_api
from tests.fuzz.described import available, drawn, prepared

_ELSEWHERE = {"/healthz", "/openapi.json"}


def test_every_route_is_described() -> None:
    async def body(api: Api) -> None:
        there = {
            (method.lower(), route.path)
            for route in api.app.routes
            if isinstance(route, Route) and route.path not in _ELSEWHERE
            for method in route.methods or ()
            if method != "HEAD"
        }
        assert there == {(one.method, one.path) for one in OPERATIONS}
        answer = await api.get("", "/openapi.json")
        assert answer.json == json.loads(json.dumps(document()))

    with_api(body)


def test_names_of_operations_are_their_own() -> None:
    names = [each["operationId"] for path in document()["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not available(), reason="Schemathesis is not installed: make tools")
@pytest.mark.parametrize("spoilt", [False, True])
def test_every_answer_is_as_the_document_says(spoilt: bool) -> None:
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

    async def body(api: Api) -> set[int]:
        ids = [(await api.active())["id"], (await api.agreed())["id"]]
        rng, seen = random.Random(2), set()
        for number, case in enumerate(cases):
            if "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = rng.choice(ids)
            if isinstance(case.body, dict) and "template" in case.body and not spoilt:
                case.body |= {"template": "fix", "cluster": "prod-one", "namespace": "team-a"}
            asked = prepared(case)
            who = ("dev", "sara", "max", "stranger")[number % 4]
            answer = await _sent(api, who, asked)
            seen.add(answer.status)
            assert answer.status < 500 or answer.kind == "stopped", (asked.method, asked.url, asked.body)
            headers = {name: [value] for name, value in answer.headers.items()}
            response = schemathesis.Response(answer.status, headers, answer.body, asked, 0.0, False)
            case.validate_response(response, checks=promised)
        await asyncio.sleep(60)
        return seen

    seen = with_api(body)
    assert {200, 403, 404, 422} <= seen


async def _sent(api: Api, who: str, asked: Any) -> Answer:
    path = asked.path_url
    sent = asked.body.encode() if isinstance(asked.body, str) else asked.body or b""
    headers = {
        name.lower(): value
        for name, value in asked.headers.items()
        if name.lower() in ("idempotency-key", "if-match", "content-type")
    }
    return await api.call(who, asked.method, path, raw=sent, **headers)
