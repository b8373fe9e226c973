from typing import Any

from aliquot.emulator.admission.service_addresses import NODE_PORTS
from tests.emulator.api import MERGE, Api

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": ports, **spec},
    }


async def test_a_service_gets_an_address_of_its_own_and_keeps_it(api: Api) -> None:
    first = (await api.ok("POST", SERVICES, service("a")))["spec"]
    second = (await api.ok("POST", SERVICES, service("b")))["spec"]
    assert first["clusterIP"].startswith("10.96.")
    assert first["clusterIPs"] == [first["clusterIP"]]
    assert first["clusterIP"] != second["clusterIP"]
    again = (await api.ok("PUT", f"{SERVICES}/a", service("a", ports=[{"port": 81}])))["spec"]
    assert again["clusterIP"] == first["clusterIP"]


async def test_some_services_have_no_address(api: Api) -> None:
    headless = (await api.ok("POST", SERVICES, service("a", clusterIP="None")))["spec"]
    assert headless["clusterIPs"] == ["None"]
    named = service("b", type="ExternalName", externalName="example.com")
    assert "clusterIP" not in (await api.ok("POST", SERVICES, named))["spec"]


async def test_an_address_can_be_asked_for_once(api: Api) -> None:
    await api.ok("POST", SERVICES, service("a", clusterIP="10.96.0.10"))
    for address, words in (("10.96.0.10", "already allocated"), ("192.168.0.1", "not in the valid range")):
        status, answer = await api.send("POST", SERVICES, service("b", clusterIP=address))
        assert (status, answer["reason"]) == (422, "Invalid")
        assert words in answer["message"]


async def test_node_ports_are_taken_and_kept(api: Api) -> None:
    made = (await api.ok("POST", SERVICES, service("a", type="NodePort")))["spec"]["ports"]
    assert made[0]["nodePort"] in NODE_PORTS
    kept = await api.ok("PATCH", f"{SERVICES}/a", {"metadata": {"labels": {"x": "y"}}}, type=MERGE)
    assert kept["spec"]["ports"] == made
    same = service("b", type="NodePort", ports=[{"port": 80, "nodePort": made[0]["nodePort"]}])
    assert (await api.send("POST", SERVICES, same))[0] == 422
    beyond = service("c", type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    assert (await api.send("POST", SERVICES, beyond))[0] == 422
