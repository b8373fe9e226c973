"""What holds when admission has to wait for somebody: nothing is lost, nothing given out twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aliquot.emulator import admission
from aliquot.emulator.admission import Admitted, Operation
from tests.emulator.admission.gated import Gated, Labels
from tests.emulator.api import (
    APPLY,
    CONFIGS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    Api,
    FixedClock,
    config,
    new_api,
    pod,
)
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment
from tests.emulator.test_service_addresses import SERVICES, service

Json = dict[str, Any]


@asynccontextmanager
async def waiting_for(concerns: Callable[[Admitted], bool]) -> AsyncIterator[tuple[Api, Gated]]:
    gate = Gated(concerns)
    api = await new_api(FixedClock(), chain=admission.built_in(validators=(gate,)))
    try:
        yield api, gate
    finally:
        gate.open()
        await api.close()


def of(operation: Operation, storage: str = "configmaps") -> Callable[[Admitted], bool]:
    return lambda asked: asked.operation is operation and asked.served.storage == storage


async def meanwhile(gate: Gated, held: asyncio.Task[Any], do: Callable[[], Awaitable[None]]) -> Any:
    """`do` is done while `held` waits in admission; the answer of `held`."""
    await gate.entered.wait()
    await do()
    gate.open()
    return await held


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"data": {"mine": "1"}}),
        (STRATEGIC, {"data": {"mine": "1"}}),
        (JSON_PATCH, [{"op": "add", "path": "/data/mine", "value": "1"}]),
        (APPLY, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"mine": "1"}}),
    ],
)
async def test_a_patch_is_done_anew_where_the_object_changed_meanwhile(kind: str, patch: Any) -> None:
    async with waiting_for(lambda asked: of(Operation.UPDATE)(asked) and asked.call.content_type == kind) as (
        api,
        gate,
    ):
        await api.ok("POST", CONFIGS, config("c", a="1"))
        held = asyncio.create_task(api.send("PATCH", f"{CONFIGS}/c", patch, type=kind, fieldManager="m"))

        async def other() -> None:
            await api.ok("PUT", f"{CONFIGS}/c", config("c", a="2"))

        status, answer = await meanwhile(gate, held, other)
        assert (status, answer["data"]) == (200, {"a": "2", "mine": "1"})
        assert (await api.get(f"{CONFIGS}/c"))[1]["data"] == {"a": "2", "mine": "1"}
        assert [one[0].old["data"]["a"] for one in gate.seen if one[0].old] == ["1", "2"]


async def test_who_named_a_revision_learns_of_the_conflict() -> None:
    async with waiting_for(lambda asked: asked.call.request.method == "PUT") as (api, gate):
        made = await api.ok("POST", CONFIGS, config("c", a="1"))
        seen = config("c", a="2")
        seen["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        held = asyncio.create_task(api.send("PUT", f"{CONFIGS}/c", seen))

        async def other() -> None:
            await api.ok("PATCH", f"{CONFIGS}/c", {"data": {"b": "1"}}, type=MERGE)

        status, answer = await meanwhile(gate, held, other)
        assert (status, answer["reason"]) == (409, "Conflict")
        assert (await api.get(f"{CONFIGS}/c"))[1]["data"] == {"a": "1", "b": "1"}


async def test_an_object_that_changes_again_and_again_is_a_conflict_at_last() -> None:
    async with waiting_for(
        lambda asked: of(Operation.UPDATE)(asked) and asked.call.content_type == MERGE
    ) as (api, gate):
        await api.ok("POST", CONFIGS, config("c", n="0"))
        held = asyncio.create_task(api.send("PATCH", f"{CONFIGS}/c", {"data": {"mine": "1"}}, type=MERGE))
        for number in range(5):
            await gate.entered.wait()
            await api.ok("PUT", f"{CONFIGS}/c", config("c", n=str(number + 1)))
            gate.let_go()
        status, answer = await held
        assert (status, answer["reason"]) == (409, "Conflict")
        assert "the object has been modified" in answer["message"]
        assert (await api.get(f"{CONFIGS}/c"))[1]["data"] == {"n": "5"}


async def test_an_object_that_went_meanwhile_is_not_found() -> None:
    async with waiting_for(of(Operation.UPDATE)) as (api, gate):
        await api.ok("POST", CONFIGS, config("c"))
        held = asyncio.create_task(api.send("PUT", f"{CONFIGS}/c", config("c", a="1")))

        async def other() -> None:
            await api.ok("DELETE", f"{CONFIGS}/c")

        assert (await meanwhile(gate, held, other))[0] == 404


async def test_of_two_creates_of_a_name_one_is_refused() -> None:
    async with waiting_for(of(Operation.CREATE)) as (api, gate):
        both = []
        for number in range(2):
            both.append(asyncio.create_task(api.send("POST", CONFIGS, config("c", n=str(number)))))
            await gate.entered.wait()
            gate.entered.clear()
        gate.open()
        answers = await asyncio.gather(*both)
        assert sorted(status for status, _ in answers) == [201, 409]


async def test_an_apply_that_finds_the_object_made_meanwhile_updates_it() -> None:
    wanted = lambda asked: of(Operation.CREATE)(asked) and asked.call.content_type == APPLY  # noqa: E731
    async with waiting_for(wanted) as (api, gate):
        body = config("c", mine="1")
        held = asyncio.create_task(api.send("PATCH", f"{CONFIGS}/c", body, type=APPLY, fieldManager="m"))

        async def other() -> None:
            await api.ok("POST", CONFIGS, config("c", a="1"))

        status, answer = await meanwhile(gate, held, other)
        assert (status, answer["data"]) == (200, {"a": "1", "mine": "1"})


async def test_a_scale_is_set_anew_where_the_object_changed_meanwhile() -> None:
    async with waiting_for(lambda asked: asked.subresource == "scale") as (api, gate):
        await api.ok("POST", DEPLOYMENTS, deployment(replicas=1))
        held = asyncio.create_task(
            api.send("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, type=MERGE)
        )

        async def other() -> None:
            await api.ok("PATCH", f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"x": "y"}}}, type=MERGE)

        status, _ = await meanwhile(gate, held, other)
        found = (await api.get(f"{DEPLOYMENTS}/d"))[1]
        assert (status, found["spec"]["replicas"], found["metadata"]["labels"]) == (200, 3, {"x": "y"})
        asked, scale = gate.seen[0]
        assert (asked.kind, asked.served.storage) == (("autoscaling", "v1", "Scale"), "deployments.apps")
        assert ((asked.old or {})["spec"], (scale or {})["spec"]) == ({"replicas": 1}, {"replicas": 3})


async def test_a_delete_is_judged_anew_where_the_object_changed_meanwhile() -> None:
    async with waiting_for(of(Operation.DELETE)) as (api, gate):
        made = await api.ok("POST", CONFIGS, config("c", a="1"))
        revision = {"preconditions": {"resourceVersion": made["metadata"]["resourceVersion"]}}
        held = asyncio.create_task(api.send("DELETE", f"{CONFIGS}/c", revision))

        async def other() -> None:
            await api.ok("PUT", f"{CONFIGS}/c", config("c", a="2"))

        assert (await meanwhile(gate, held, other))[0] == 409
        assert (await api.get(f"{CONFIGS}/c"))[0] == 200


async def test_a_namespace_that_ended_meanwhile_takes_nothing_in() -> None:
    async with waiting_for(of(Operation.CREATE)) as (api, gate):
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        held = asyncio.create_task(api.send("POST", "/api/v1/namespaces/n/configmaps", config("c")))

        async def other() -> None:
            await api.ok("DELETE", "/api/v1/namespaces/n")

        status, answer = await meanwhile(gate, held, other)
        assert (status, answer["reason"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "10.96.0.10"},
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30_000}]},
    ],
    ids=["address", "port"],
)
async def test_what_waits_keeps_what_it_was_given(spec: Json) -> None:
    async with waiting_for(lambda asked: asked.served.storage == "services" and asked.name == "a") as (
        api,
        gate,
    ):
        held = asyncio.create_task(api.send("POST", SERVICES, service("a", **spec)))
        await gate.entered.wait()
        status, answer = await api.send("POST", SERVICES, service("b", **spec))
        assert (status, "already allocated" in answer["message"]) == (422, True)
        gate.open()
        assert (await held)[0] == 201


async def test_what_was_not_made_gives_back_what_it_was_given() -> None:
    async with waiting_for(lambda asked: asked.served.storage == "services" and asked.name == "a") as (
        api,
        gate,
    ):
        gate.open()
        asked = service(
            "a", clusterIP="10.96.0.10", type="NodePort", ports=[{"port": 80, "nodePort": 30_000}]
        )
        await api.ok("POST", SERVICES, asked, dryRun="All")
        assert (await api.send("POST", SERVICES, asked | {"metadata": {"name": "Bad_Name"}}))[0] == 422
        await api.ok("POST", SERVICES, asked)


async def test_two_services_made_in_one_turn_do_not_share_an_address(api: Api) -> None:
    asked = [service(name, clusterIP="10.96.0.10") for name in ("a", "b")]
    answers = await asyncio.gather(*(api.send("POST", SERVICES, one) for one in asked))
    assert sorted(status for status, _ in answers) == [201, 422]


# ---- what admission is told ----------------------------------------------------------------------------------


class Notes:
    """A validator that never waits and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, str, str, bool, bool]] = []

    def check(self, asked: Admitted, obj: Json | None) -> None:
        self.seen.append(
            (
                asked.operation.value,
                asked.served.resource.plural,
                asked.subresource,
                asked.kind[2],
                asked.name,
                obj is not None,
                asked.old is not None,
            )
        )


async def test_everything_that_changes_something_passes_by() -> None:
    notes = Notes()
    api = await new_api(FixedClock(), chain=admission.built_in(validators=(notes,)))
    await api.ok("POST", PODS, pod())
    notes.seen.clear()
    generated = config()
    generated["metadata"] = {"generateName": "c-"}
    await api.ok("POST", CONFIGS, generated)
    await api.ok("PATCH", f"{CONFIGS}/c", config(), type=APPLY, fieldManager="m")
    await api.ok("PATCH", f"{CONFIGS}/c", {"data": {"a": "1"}}, type=MERGE)
    await api.ok("PUT", f"{CONFIGS}/c", config(a="1"))
    await api.ok("PATCH", f"{PODS}/p/status", {"status": {"message": "m"}}, type=MERGE)
    await api.ok("POST", f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}})
    await api.ok("POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}})
    await api.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    await api.ok("DELETE", CONFIGS)
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    await api.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    await api.close()
    assert notes.seen[:7] == [
        ("CREATE", "configmaps", "", "ConfigMap", "", True, False),
        ("CREATE", "configmaps", "", "ConfigMap", "c", True, False),
        ("UPDATE", "configmaps", "", "ConfigMap", "c", True, True),
        ("UPDATE", "configmaps", "", "ConfigMap", "c", True, True),
        ("UPDATE", "pods", "status", "Pod", "p", True, True),
        ("CREATE", "pods", "binding", "Binding", "p", True, False),
        ("CREATE", "pods", "eviction", "Eviction", "p", True, False),
    ]
    assert notes.seen[7] == ("DELETE", "pods", "", "Pod", "p", False, True)
    assert notes.seen[8:-1] == [("DELETE", "configmaps", "", "ConfigMap", "", False, True)] * 2
    assert notes.seen[-1] == (
        "CREATE",
        "selfsubjectaccessreviews",
        "",
        "SelfSubjectAccessReview",
        "",
        True,
        False,
    )


async def test_mutators_run_a_second_round_only_after_a_change() -> None:
    first = Labels("first", lambda labels: "seen-" + labels.get("second", "nothing"))
    second = Labels("second", lambda labels: "there")
    api = await new_api(FixedClock(), chain=admission.built_in(mutators=(first, second)))
    made = await api.ok("POST", CONFIGS, config("c"))
    assert made["metadata"]["labels"] == {"first": "seen-there", "second": "there"}
    assert (first.rounds, second.rounds) == ([False, True], [False, True])
    await api.ok("PATCH", f"{CONFIGS}/c", {"data": {"a": "1"}}, type=MERGE)
    assert first.rounds == [False, True, False]
    await api.close()


async def test_what_a_mutator_says_of_the_servers_own_fields_does_not_count() -> None:
    class Forger:
        def begin(self, asked: Admitted) -> "Forger | None":
            return self if asked.served.storage == "configmaps" else None

        async def run(self, obj: Json | None, *, again: bool) -> Json | None:
            return (
                None
                if obj is None
                else {**obj, "metadata": {**obj["metadata"], "uid": "forged", "generation": 9}}
            )

    api = await new_api(FixedClock(), chain=admission.built_in(mutators=(Forger(),)))
    made = await api.ok("POST", CONFIGS, config("c"))
    assert made["metadata"]["uid"] != "forged"
    changed = await api.ok("PUT", f"{CONFIGS}/c", config("c", a="1"))
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert "generation" not in changed["metadata"]
    await api.close()
