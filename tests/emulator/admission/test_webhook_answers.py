"""What becomes of webhooks that refuse, answer badly, or do not answer."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import VirtualClock, VirtualTimeLoop
from tests.emulator.admission.hooks import (
    EVERY_CONFIG,
    Wire,
    allow,
    configure,
    deny,
    hook,
    patch,
)
from tests.emulator.api import CONFIGS, Api, config, new_api

Json = dict[str, Any]


# ---- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize(
    ("said", "code", "reason", "message"),
    [
        ({}, 400, None, 'admission webhook "h.example.com" denied the request without explanation'),
        ({"message": "no"}, 400, None, 'admission webhook "h.example.com" denied the request: no'),
        ({"reason": "Full"}, 400, "Full", 'admission webhook "h.example.com" denied the request: Full'),
        (
            {"message": "no", "reason": "Forbidden", "code": 403, "details": {"name": "x"}},
            403,
            "Forbidden",
            'admission webhook "h.example.com" denied the request: no',
        ),
        (
            {"message": "fine", "code": 200, "status": "Success"},
            400,
            None,
            'admission webhook "h.example.com" denied the request: fine',
        ),
    ],
)
async def test_a_refusal_reaches_the_client_in_its_words(
    api: Api, wire: Wire, kind: str, said: Json, code: int, reason: str | None, message: str
) -> None:
    wire.handlers["h.example.com"] = lambda review: deny(review, **said)
    await configure(api, kind, hook())
    status, answer = await api.send("POST", CONFIGS, config())
    assert (status, answer["code"], answer.get("reason"), answer["message"]) == (code, code, reason, message)
    assert answer["status"] == "Failure"
    assert answer.get("details") == said.get("details")
    assert (await api.get(f"{CONFIGS}/c"))[0] == 404


async def test_deletes_can_be_refused(api: Api, wire: Wire) -> None:
    await api.ok("POST", CONFIGS, config())
    wire.handlers["h.example.com"] = lambda review: deny(review, message="stay")
    await configure(api, "Validating", hook(rules=[{**EVERY_CONFIG, "operations": ["DELETE"]}]))
    assert (await api.send("DELETE", f"{CONFIGS}/c"))[0] == 400
    assert (await api.send("DELETE", CONFIGS))[0] == 400
    assert (await api.get(f"{CONFIGS}/c"))[0] == 200


async def test_of_several_refusals_the_first_webhooks_counts(api: Api, wire: Wire) -> None:
    gate = asyncio.Event()

    async def slow(review: Json) -> Json:
        await gate.wait()
        return deny(review, message="first")

    def quick(review: Json) -> Json:
        gate.set()
        return deny(review, message="second")

    wire.handlers = {"a.example.com": slow, "b.example.com": quick}
    await configure(api, "Validating", hook("a.example.com"), hook("b.example.com"))
    _, answer = await api.send("POST", CONFIGS, config())
    assert answer["message"].endswith("first")


# ---- what is no answer -----------------------------------------------------------------------------------------


FAILED = 'Internal error occurred: failed calling webhook "h.example.com": '
BAD_ANSWERS: list[tuple[Any, str]] = [
    (lambda review: {}, "received invalid webhook response: webhook response was absent"),
    (lambda review: {"response": 5}, "failed to call webhook: Expected `object | null`, got `int`"),
    (
        lambda review: allow({"request": {"uid": "another"}}),
        'received invalid webhook response: expected response.uid="',
    ),
    (
        lambda review: allow(review) | {"kind": "Pod"},
        "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, "
        "got admission.k8s.io/v1, Kind=Pod",
    ),
    (
        lambda review: allow(review, allowed="yes"),
        "failed to call webhook: Expected `bool | null`, got `str`",
    ),
]


@pytest.mark.parametrize(("answer", "words"), BAD_ANSWERS)
@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_an_answer_against_the_protocol_is_one_clear_failure(
    api: Api, wire: Wire, kind: str, answer: Any, words: str
) -> None:
    wire.handlers["h.example.com"] = answer
    await configure(api, kind, hook())
    status, refusal = await api.send("POST", CONFIGS, config())
    assert (status, refusal["reason"]) == (500, "InternalError")
    assert refusal["message"].startswith(f"{FAILED}{words}")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"patch": "W10="},
            "received invalid webhook response: webhook returned response.patch but not response.patchType",
        ),
        (
            {"patchType": "JSONPatch"},
            "received invalid webhook response: webhook returned response.patchType but not response.patch",
        ),
        ({"patch": "e30=", "patchType": "MergePatch"}, 'unsupported patch type "MergePatch"'),
        ({"patch": "bm8=", "patchType": "JSONPatch"}, "received undecodable patch in webhook response: "),
        ({"patch": "%%%%", "patchType": "JSONPatch"}, "failed to call webhook: "),
    ],
)
async def test_a_patch_that_is_none_is_one_clear_failure(
    api: Api, wire: Wire, more: Json, words: str
) -> None:
    wire.handlers["h.example.com"] = lambda review: allow(review, **more)
    await configure(api, "Mutating", hook())
    status, refusal = await api.send("POST", CONFIGS, config())
    assert status == 500
    assert refusal["message"].startswith(f"{FAILED}{words}")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nothing/here"},
        {"op": "replace", "path": "/data", "value": 5},
        {"op": "replace", "path": "/kind", "value": "Secret"},
    ],
)
async def test_a_patch_that_does_not_apply_is_an_internal_error(
    api: Api, wire: Wire, operation: Json
) -> None:
    wire.handlers["h.example.com"] = lambda review: patch(review, operation)
    # Whatever the failure policy: the webhook did answer.
    await configure(api, "Mutating", hook(failurePolicy="Ignore"))
    status, refusal = await api.send("POST", CONFIGS, config())
    assert (status, refusal["reason"]) == (500, "InternalError")


async def test_a_validating_webhook_may_not_patch(api: Api, wire: Wire) -> None:
    wire.handlers["h.example.com"] = lambda review: patch(review, {"op": "remove", "path": "/data"})
    await configure(api, "Validating", hook())
    status, refusal = await api.send("POST", CONFIGS, config())
    assert status == 500
    assert refusal["message"] == (
        f"{FAILED}received invalid webhook response: validating webhook may not return response.patch"
    )


async def test_a_delete_cannot_be_patched(api: Api, wire: Wire) -> None:
    await api.ok("POST", CONFIGS, config())
    wire.handlers["h.example.com"] = lambda review: patch(review, {"op": "remove", "path": "/data"})
    await configure(api, "Mutating", hook())
    status, refusal = await api.send("DELETE", f"{CONFIGS}/c")
    assert status == 500
    assert 'admission webhook "h.example.com" attempted to modify the object' in refusal["message"]


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_who_may_fail_is_passed_by(api: Api, wire: Wire, kind: str) -> None:
    wire.handlers["h.example.com"] = lambda review: {}
    await configure(api, kind, hook(failurePolicy="Ignore"), hook("i.example.com"))
    await api.ok("POST", CONFIGS, config())
    assert wire.asked("i.example.com")


def test_who_is_too_slow_has_failed() -> None:
    wire = Wire()

    async def never(review: Json) -> Json:
        await asyncio.Event().wait()
        raise AssertionError

    wire.handlers["h.example.com"] = never

    async def run() -> None:
        api = await new_api(VirtualClock(), network=wire)
        await configure(api, "Validating", hook(timeoutSeconds=3))
        loop = asyncio.get_running_loop()
        began = loop.time()
        status, refusal = await api.send("POST", CONFIGS, config())
        assert status == 500
        assert refusal["message"] == (
            f'{FAILED}failed to call webhook: Post "https://h.example.com/?timeout=3s": context deadline exceeded'
        )
        assert loop.time() - began == pytest.approx(3)
        await api.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def test_one_request_does_not_wait_for_ever_for_many() -> None:
    wire = Wire()

    async def never(review: Json) -> Json:
        await asyncio.Event().wait()
        raise AssertionError

    async def run() -> None:
        api = await new_api(VirtualClock(), network=wire)
        names = [f"{letter}.example.com" for letter in "abc"]
        wire.handlers = dict.fromkeys(names, never)
        await configure(
            api, "Mutating", *(hook(name, timeoutSeconds=30, failurePolicy="Ignore") for name in names)
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        status, refusal = await api.send("POST", CONFIGS, config(), within_s=100.0)
        assert (status, refusal["reason"]) == (504, "Timeout")
        assert loop.time() - began == pytest.approx(34)
        assert len(wire.reviews) == 2
        await api.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
