"""The server's own account of who still asks for deprecated APIs."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aliquot.emulator.deprecated_requests import METRIC
from aliquot.emulator.versions import Surface
from tests.emulator.api import Api, FixedClock, new_api

OLD = "/apis/flowcontrol.apiserver.k8s.io/v1beta3/flowschemas"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock(), surface=Surface("1.31"))
    yield made
    made.server.stop()
    await made.close()


async def samples(api: Api) -> dict[tuple[str, str, str, str], float]:
    status, text = await api.get("/metrics")
    assert status == 200
    return {
        (
            one.labels["group"],
            one.labels["version"],
            one.labels["resource"],
            one.labels["removed_release"],
        ): one.value
        for family in text_string_to_metric_families(text)
        if family.name == METRIC
        for one in family.samples
    }


async def test_what_is_asked_for_is_told_and_nothing_else(api: Api) -> None:
    await api.get("/api/v1/pods")
    await api.get("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas")
    assert await samples(api) == {}
    await api.get(OLD)
    await api.get(OLD)
    assert await samples(api) == {("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "1.32"): 1.0}


async def test_each_client_is_counted(api: Api) -> None:
    await api.send("GET", OLD, headers={"user-agent": "shop/1.0"})
    await api.send("GET", f"{OLD}/none", headers={"user-agent": "shop/1.0"})
    await api.send("GET", OLD, headers={"user-agent": "other/2.0"})
    told = [(one.resource, one.user_agent, one.times) for one in api.server.deprecated.uses()]
    assert told == [("flowschemas", "shop/1.0", 2), ("flowschemas", "other/2.0", 1)]


async def test_who_may_not_read_metrics_is_refused(api: Api) -> None:
    guest = Api(api.server, "guest", ("system:authenticated",))
    assert (await guest.get("/metrics"))[0] == 403
    await guest.close()
