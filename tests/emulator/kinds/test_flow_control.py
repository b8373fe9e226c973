from tests.emulator.api import TABLE, Api

FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"


async def test_a_cluster_begins_with_the_levels_and_schemas_that_refer_to_them(api: Api) -> None:
    levels = (await api.get(f"{FLOWS}/prioritylevelconfigurations"))[1]["items"]
    schemas = (await api.get(f"{FLOWS}/flowschemas"))[1]["items"]
    names = {level["metadata"]["name"] for level in levels}
    assert {"exempt", "catch-all", "workload-low"} <= names
    assert {schema["spec"]["priorityLevelConfiguration"]["name"] for schema in schemas} <= names
    assert len(schemas) == 11


async def test_they_are_shown_as_kubernetes_shows_them(api: Api) -> None:
    table = await api.ok("GET", f"{FLOWS}/prioritylevelconfigurations/workload-low", accept=TABLE)
    assert table["rows"][0]["cells"][:-1] == ["workload-low", "Limited", 100, 128, 6, 50]
    table = await api.ok("GET", f"{FLOWS}/flowschemas/probes", accept=TABLE)
    assert table["rows"][0]["cells"][:4] == ["probes", "exempt", 2, "<none>"]


async def test_what_a_chart_brings_is_completed(api: Api) -> None:
    spec = {"priorityLevelConfiguration": {"name": "workload-low"}, "rules": []}
    body = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "mine"},
    }
    made = await api.ok("POST", f"{FLOWS}/flowschemas", {**body, "spec": spec})
    assert made["spec"]["matchingPrecedence"] == 1000
