from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import service_endpoints
from aliquot.emulator.controllers.service_endpoints import (
    LARGEST_SLICE,
    Ports,
    SlicesPlan,
    endpoints,
    is_ours,
    plan_slices,
    subsets,
    subsets_json,
)
from aliquot.emulator.controllers.service_types import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Service,
    ServicePort,
    ServiceSpec,
)
from aliquot.kube.api.core import Container, ContainerPort, Pod, PodCondition, PodSpec, PodStatus
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0
WEB = EndpointPort(name="web", port=80)


def service(*ports: ServicePort, labels: dict[str, str] | None = None, **spec: Any) -> Service:
    wanted = {"selector": {"app": "a"}, "ports": ports or (ServicePort(name="web", port=80, target_port=80),)}
    return Service(
        metadata=ObjectMeta(name="s", namespace="ns", uid="s", labels=labels),
        spec=ServiceSpec(**{**wanted, **spec}),
    )


def pod(
    number: int,
    *,
    ready: bool = True,
    deleted: bool = False,
    phase: str = "Running",
    ip: str | None = None,
    ports: tuple[ContainerPort, ...] = (),
    **spec: Any,
) -> Pod:
    return Pod(
        metadata=ObjectMeta(
            name=f"p{number}",
            namespace="ns",
            uid=f"u{number}",
            deletion_timestamp=rfc3339(NOW) if deleted else None,
        ),
        spec=PodSpec(containers=(Container(name="c", ports=ports),), node_name="n1", **spec),
        status=PodStatus(
            phase=phase,
            pod_ip=f"10.0.0.{number}" if ip is None else ip,
            conditions=(PodCondition(type="Ready", status="True" if ready else "False"),),
        ),
    )


def only(found: dict[Ports, list[Endpoint]]) -> tuple[Ports, list[Endpoint]]:
    [(ports, group)] = found.items()
    return ports, group


@pytest.mark.parametrize(
    ("found", "published", "expected"),
    [
        (pod(1), False, (True, True, False)),
        (pod(1, ready=False), False, (False, False, False)),
        (pod(1, deleted=True), False, (False, True, True)),
        (pod(1, ready=False, deleted=True), False, (False, False, True)),
        (pod(1, ready=False), True, (True, False, False)),
        (pod(1, deleted=True), True, (True, True, True)),
    ],
)
def test_conditions(found: Pod, published: bool, expected: tuple[bool, bool, bool]) -> None:
    _, [endpoint] = only(endpoints(service(publish_not_ready_addresses=published), [found], {}))
    conditions = endpoint.conditions
    assert (conditions.ready, conditions.serving, conditions.terminating) == expected


def test_an_endpoint_says_where_it_is() -> None:
    _, [endpoint] = only(endpoints(service(), [pod(1)], {"n1": "zone-a"}))
    assert (endpoint.addresses, endpoint.node_name, endpoint.zone) == (("10.0.0.1",), "n1", "zone-a")
    assert endpoint.target_ref is not None
    assert (endpoint.target_ref.kind, endpoint.target_ref.name) == ("Pod", "p1")
    assert endpoint.hostname is None


@pytest.mark.parametrize(("subdomain", "hostname"), [("s", "web-1"), ("other", None), ("", None)])
def test_a_pod_of_the_subdomain_has_a_name(subdomain: str, hostname: str | None) -> None:
    _, [endpoint] = only(endpoints(service(), [pod(1, hostname="web-1", subdomain=subdomain)], {}))
    assert endpoint.hostname == hostname


@pytest.mark.parametrize("found", [pod(1, ip=""), pod(1, phase="Succeeded"), pod(1, phase="Failed")])
def test_no_endpoint(found: Pod) -> None:
    assert endpoints(service(), [found], {}) == {}


@pytest.mark.parametrize(
    ("ports", "offered", "expected"),
    [
        ([ServicePort(port=80, target_port=8080)], (), [EndpointPort(port=8080)]),
        ([ServicePort(port=80)], (), [EndpointPort(port=80)]),
        (
            [ServicePort(port=80, name="web", target_port="http")],
            (ContainerPort(container_port=8000, name="http"),),
            [EndpointPort(name="web", port=8000)],
        ),
        (
            [ServicePort(port=53, name="dns", protocol="UDP", target_port="dns")],
            (ContainerPort(container_port=53, name="dns"),),
            None,
        ),
        (
            [ServicePort(port=1, name="a", target_port="x"), ServicePort(port=2, name="b", target_port=2)],
            (),
            [EndpointPort(name="b", port=2)],
        ),
    ],
)
def test_ports(
    ports: list[ServicePort], offered: tuple[ContainerPort, ...], expected: list[EndpointPort] | None
) -> None:
    found = endpoints(service(*ports), [pod(1, ports=offered)], {})
    assert [list(key) for key in found] == ([] if expected is None else [expected])


def test_pods_that_name_other_ports_are_another_group() -> None:
    named = service(ServicePort(port=80, name="web", target_port="http"))
    held = [
        pod(number, ports=(ContainerPort(container_port=port, name="http"),))
        for number, port in ((1, 80), (2, 81), (3, 80))
    ]
    found = endpoints(named, held, {})
    addresses = {ports[0].port: [one.addresses[0] for one in group] for ports, group in found.items()}
    assert addresses == {80: ["10.0.0.1", "10.0.0.3"], 81: ["10.0.0.2"]}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (service(), True),
        (service(selector=None), False),
        (service(type="ExternalName"), False),
    ],
)
def test_whose_it_is(found: Service, expected: bool) -> None:
    assert is_ours(found) == expected


# ---- slices ------------------------------------------------------------------------------------------------


def made(found: SlicesPlan) -> list[EndpointSlice]:
    """The slices to be made, as a cache would show them."""
    return [
        EndpointSlice(
            metadata=ObjectMeta(name=f"s-{number}", labels=body["metadata"]["labels"]),
            endpoints=tuple(
                Endpoint(addresses=tuple(one["addresses"]), target_ref=None) for one in body["endpoints"]
            ),
            ports=tuple(EndpointPort(**port) for port in body["ports"]),
        )
        for number, body in enumerate(found.create)
    ]


def group(*numbers: int) -> list[Endpoint]:
    return [Endpoint(addresses=(f"10.0.0.{number}",)) for number in numbers]


def numbers(found: Any) -> list[int]:
    return [int(one["addresses"][0].rpartition(".")[2]) for one in found["endpoints"]]


def test_a_service_that_leads_nowhere_has_a_slice_that_says_so() -> None:
    first = plan_slices(service(), {}, [])
    [body] = first.create
    assert (body["endpoints"], body["ports"]) == ([], [])
    assert plan_slices(service(), {}, made(first)) == SlicesPlan((), (), ())
    # It goes once there is something to say.
    then = plan_slices(service(), {(WEB,): group(1)}, made(first))
    assert len(then.create) == len(then.delete) == 1


def test_labels_of_a_slice() -> None:
    [body] = plan_slices(service(labels={"app": "a"}, cluster_ip="None"), {}, []).create
    assert body["metadata"]["labels"] == {
        "app": "a",
        "kubernetes.io/service-name": "s",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "service.kubernetes.io/headless": "",
    }
    held = made(plan_slices(service(labels={"app": "a"}), {}, []))
    [(_, patch)] = plan_slices(service(labels={"app": "b"}), {}, held).update
    assert patch["metadata"]["labels"] == {"app": "b"}


def test_slices_are_filled_and_no_more_than_needed_are_touched() -> None:
    many = group(*range(LARGEST_SLICE + 50))
    first = plan_slices(service(), {(WEB,): many}, [])
    assert [len(body["endpoints"]) for body in first.create] == [LARGEST_SLICE, 50]
    held = made(first)
    assert plan_slices(service(), {(WEB,): many}, held) == SlicesPlan((), (), ())
    # One gone of the second, one new: the first is full, and left alone.
    changed = [*many[:120], *many[121:], *group(200)]
    then = plan_slices(service(), {(WEB,): changed}, held)
    assert (then.create, then.delete) == ((), ())
    [(found, patch)] = then.update
    assert found.metadata.name == "s-1"
    assert 120 not in numbers(patch)
    assert 200 in numbers(patch)
    # All of the second gone: it goes too.
    less = plan_slices(service(), {(WEB,): many[:LARGEST_SLICE]}, held)
    assert [one.metadata.name for one in less.delete] == ["s-1"]
    assert less.update == ()


def test_the_last_slice_says_that_nothing_is_left() -> None:
    held = made(plan_slices(service(), {(WEB,): group(1)}, []))
    emptied = plan_slices(service(), {}, held)
    assert [one.metadata.name for one in emptied.delete] == ["s-0"]
    assert [body["endpoints"] for body in emptied.create] == [[]]


# ---- the older form ----------------------------------------------------------------------------------------


def test_endpoints_in_the_older_form() -> None:
    held = [pod(1), pod(2, ready=False), pod(3, deleted=True)]
    [found] = subsets_json(subsets(service(), endpoints(service(), held, {})))
    assert [one["ip"] for one in found["addresses"]] == ["10.0.0.1"]
    assert [one["ip"] for one in found["notReadyAddresses"]] == ["10.0.0.2"]
    assert found["ports"] == [{"name": "web", "port": 80, "protocol": "TCP"}]
    assert found["addresses"][0]["targetRef"] == {
        "kind": "Pod",
        "namespace": "ns",
        "name": "p1",
        "uid": "u1",
    }
    assert subsets(service(), endpoints(service(), [pod(3, deleted=True)], {})) == ()


def test_labels_of_endpoints() -> None:
    assert service_endpoints.endpoints_labels(service(labels={"a": "b"})) == {
        "a": "b",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
