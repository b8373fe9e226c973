"""What a namespace may use, as users meet it."""

import asyncio
from typing import Any

import pytest

from aliquot.emulator.quota import Ledger
from aliquot.emulator.storage.persistence import WriteRefused
from aliquot.emulator.storage.store import Store
from tests.emulator.api import APPLY, CONFIGS, MERGE, PODS, Api, FixedClock, config, new_api, pod
from tests.emulator.test_service_addresses import SERVICES, service

QUOTAS = "/api/v1/namespaces/default/resourcequotas"


async def limit(api: Api, name: str = "q", *, scopes: list[str] | None = None, **hard: str) -> None:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    spec = {"hard": named, **({"scopes": scopes} if scopes else {})}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec}
    await api.ok("POST", QUOTAS, body)


def asking(name: str, **amounts: str) -> dict[str, Any]:
    resources = {"requests": amounts, "limits": amounts}
    return pod(name, containers=[{"name": "main", "image": "i", "resources": resources}])


async def refused(api: Api, path: str, body: Any) -> str:
    status, answer = await api.send("POST", path, body)
    assert (status, answer["reason"]) == (403, "Forbidden"), answer
    return str(answer["message"])


async def test_what_exceeds_a_quota_is_refused_in_kubernetes_words(api: Api) -> None:
    await limit(api, requests_cpu="1", pods="2")
    await api.ok("POST", PODS, asking("a", cpu="600m"))
    assert await refused(api, PODS, asking("b", cpu="0.5")) == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, '
        "limited: requests.cpu=1"
    )
    await api.ok("POST", PODS, asking("b", cpu="400m"))
    assert (
        "requested: pods=1,requests.cpu=1m, used: pods=2,requests.cpu=1, limited: pods=2,requests.cpu=1"
        in (await refused(api, PODS, asking("c", cpu="1m")))
    )


async def test_what_is_limited_must_be_said(api: Api) -> None:
    await limit(api, "q", limits_memory="1Gi")
    assert await refused(api, PODS, pod("a")) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.memory for: main'
    )


async def test_of_creates_at_once_no_more_pass_than_may(api: Api) -> None:
    await limit(api, configmaps="3", count__configmaps="5")
    answers = await asyncio.gather(*(api.send("POST", CONFIGS, config(f"c{i}")) for i in range(6)))
    assert sorted(status for status, _ in answers) == [201, 201, 201, 403, 403, 403]


async def test_what_is_deleted_may_be_used_again(api: Api) -> None:
    await limit(api, configmaps="1")
    await api.ok("POST", CONFIGS, config("a"))
    await refused(api, CONFIGS, config("b"))
    await api.ok("DELETE", f"{CONFIGS}/a")
    await api.ok("POST", CONFIGS, config("b"))


async def test_pods_that_ended_use_nothing(api: Api) -> None:
    await limit(api, pods="1")
    await api.ok("POST", PODS, pod("a"))
    await api.ok("PATCH", f"{PODS}/a/status", {"status": {"phase": "Succeeded"}}, type=MERGE)
    await api.ok("POST", PODS, pod("b"))


async def test_a_dry_run_and_a_refused_write_use_nothing(api: Api) -> None:
    await limit(api, configmaps="1")
    await api.ok("POST", CONFIGS, config("a"), dryRun="All")
    status, _ = await api.send("POST", CONFIGS, config("A bad name"))
    assert status == 422
    await api.ok("POST", CONFIGS, config("a"))
    status, answer = await api.send("POST", CONFIGS, config("b"), dryRun="All")
    assert (status, "exceeded quota" in answer["message"]) == (403, True)


async def test_a_write_that_cannot_be_stored_uses_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await limit(api, configmaps="1")
    commit = api.server.store._commit

    def failing() -> None:
        batch, api.server.store._batch = api.server.store._batch, []
        api.server.store._staged = {}
        for _, done in batch:
            done.set_exception(WriteRefused("disk full"))

    monkeypatch.setattr(api.server.store, "_commit", failing)
    assert (await api.send("POST", CONFIGS, config("a")))[0] == 503
    monkeypatch.setattr(api.server.store, "_commit", commit)
    api.server.store._next = api.server.store._revision
    await api.ok("POST", CONFIGS, config("a"))


async def test_a_change_that_grows_is_judged_by_what_it_adds(api: Api) -> None:
    await limit(api, services_nodeports="2", services="5")
    two = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    await api.ok("POST", SERVICES, service("s", type="NodePort", ports=two))
    await api.ok("POST", SERVICES, service("t"))
    status, answer = await api.send("PATCH", f"{SERVICES}/t", {"spec": {"type": "NodePort"}}, type=MERGE)
    assert (status, answer["message"]) == (
        403,
        'services "t" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=2, '
        "limited: services.nodeports=2",
    )
    # What adds nothing may be done above the limit too.
    await api.ok("PATCH", f"{QUOTAS}/q", {"spec": {"hard": {"services.nodeports": "1"}}}, type=MERGE)
    await api.ok("PATCH", f"{SERVICES}/s", {"metadata": {"labels": {"a": "b"}}}, type=MERGE)


async def test_an_apply_that_creates_counts(api: Api) -> None:
    await limit(api, count__configmaps="1")
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    await api.ok("PATCH", f"{CONFIGS}/a", applied, type=APPLY, fieldManager="m")
    await api.ok("PATCH", f"{CONFIGS}/a", {**applied, "data": {"a": "b"}}, type=APPLY, fieldManager="m")
    await refused(api, CONFIGS, config("b"))


async def test_extended_resources_and_scopes(api: Api) -> None:
    await limit(api, "gpus", requests_nvidia_com__gpu="1")
    assert "requests.nvidia.com/gpu" in (await api.get(f"{QUOTAS}/gpus"))[1]["spec"]["hard"]
    await limit(api, "idle", pods="0", scopes=["BestEffort"])
    await api.ok("POST", PODS, asking("a", **{"nvidia.com/gpu": "1", "cpu": "1"}))
    message = await refused(api, PODS, asking("b", **{"nvidia.com/gpu": "1", "cpu": "1"}))
    assert message.endswith(
        "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=1, limited: "
        "requests.nvidia.com/gpu=1"
    )
    assert "exceeded quota: idle" in await refused(api, PODS, pod("b"))


async def test_quotas_are_of_their_namespace_and_end_with_it(api: Api) -> None:
    await limit(api, configmaps="0")
    await api.ok("POST", "/api/v1/namespaces/kube-public/configmaps", config("a"))
    await refused(api, CONFIGS, config("a"))
    await api.ok("DELETE", f"{QUOTAS}/q")
    await api.ok("POST", CONFIGS, config("a"))


async def test_the_ledger_counts_anew_when_the_log_has_lost_what_it_missed() -> None:
    store = Store(history_events=8)
    api = await new_api(FixedClock(), store=store)
    ledger = Ledger(store)
    await limit(api, count__configmaps="100")
    [quota] = api.server.storage.all("resourcequotas")
    for turn in range(4):
        for place in range(10):
            await api.ok("POST", CONFIGS, config(f"c{turn}-{place}"))
        await api.ok("DELETE", f"{CONFIGS}/c{turn}-0")
        assert ledger.used(quota) == {"count/configmaps": str(9 * (turn + 1))}
    await api.close()
