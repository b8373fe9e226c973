"""Reading pods of the API: what they take, what they ask, and the assignment there and back."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.kube.api.core import Pod
from aliquot.scheduler.core.pod import DeviceChoice, GpuWish, HostPort, PlacedPod
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.core.topology import GpuLevel
from aliquot.scheduler.pods import PodReader, annotations
from aliquot.scheduler.testing import placed, term, toleration
from aliquot.scheduler.testing import pod as request_of

GIB = 1 << 30


def pod(spec: dict[str, Any], **metadata: Any) -> Pod:
    return msgspec.convert(
        {"metadata": {"name": "p", "namespace": "default", "uid": "1", **metadata}, "spec": spec}, Pod
    )


def container(name: str = "main", limits: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    resources = {key: more.pop(key) for key in ("requests",) if key in more}
    if limits is not None:
        resources["limits"] = limits
    return {"name": name, "resources": resources, **more}


@pytest.mark.parametrize(
    ("spec", "request_"),
    [
        ({"containers": [container()]}, {"pods": 1}),
        (
            {
                "containers": [
                    container(requests={"cpu": "1500m", "memory": "1Gi"}),
                    container("b", requests={"cpu": 1}),
                ]
            },
            {"cpu": 2500, "memory": GIB, "pods": 1},
        ),
        # A limit without a request is one.
        (
            {"containers": [container(limits={"cpu": "2", "nvidia.com/gpu": 2}, requests={"cpu": "1"})]},
            {"cpu": 1000, "nvidia.com/gpu": 2, "pods": 1},
        ),
        # Zero is nothing.
        ({"containers": [container(limits={"nvidia.com/gpu": "0"})]}, {"pods": 1}),
        # Init containers run one after the other, before the rest.
        (
            {
                "initContainers": [
                    container("x", requests={"cpu": 3}),
                    container("y", requests={"memory": "2Gi"}),
                ],
                "containers": [container(requests={"cpu": 2, "memory": "1Gi"})],
            },
            {"cpu": 3000, "memory": 2 * GIB, "pods": 1},
        ),
        # A sidecar runs beside those that start after it.
        (
            {
                "initContainers": [
                    container("before", requests={"cpu": 4}),
                    container("side", requests={"cpu": 2}, restartPolicy="Always"),
                    container("after", requests={"cpu": 3}),
                ],
                "containers": [container(requests={"cpu": 2})],
            },
            {"cpu": 5000, "pods": 1},
        ),
        # What the pod as a whole states counts instead of the sum; overhead comes on top.
        (
            {
                "containers": [container(requests={"cpu": 2, "memory": "1Gi"})],
                "resources": {"requests": {"cpu": "3"}},
                "overhead": {"cpu": "250m"},
            },
            {"cpu": 3250, "memory": GIB, "pods": 1},
        ),
    ],
)
def test_effective_request(spec: dict[str, Any], request_: dict[str, int]) -> None:
    assert PodReader().request(pod(spec)).shape.request == request_
    assert PodReader().placed(pod({**spec, "nodeName": "a"})).request == request_


def test_constraints() -> None:
    shape = PodReader().shape(
        pod(
            {
                "containers": [container()],
                "nodeSelector": {"b": "2", "a": "1"},
                "tolerations": [
                    {"key": "k", "value": "v", "effect": "NoSchedule"},
                    {"operator": "Exists"},
                    {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3},
                ],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "zone", "operator": "In", "values": ["1", "2"]},
                                        {"key": "gpu", "operator": "Exists"},
                                    ],
                                    "matchFields": [
                                        {"key": "metadata.name", "operator": "In", "values": ["a"]}
                                    ],
                                }
                            ]
                        },
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 7,
                                "preference": {
                                    "matchExpressions": [{"key": "gen", "operator": "Gt", "values": ["3"]}]
                                },
                            }
                        ],
                    },
                },
            }
        )
    )
    assert shape.refusal is None
    assert shape.node_selector == (("a", "1"), ("b", "2"))
    assert shape.tolerations == (toleration("k=v:NoSchedule"), toleration("*"), toleration("k:NoExecute"))
    assert shape.required == (term("zone in 1,2", "gpu", "@name in a"),)
    assert [(p.weight, p.term) for p in shape.preferred] == [(7, term("gen > 3"))]


def test_host_ports() -> None:
    ports = [{"containerPort": 8080}, {"containerPort": 80, "hostPort": 81, "protocol": "UDP"}]
    reader = PodReader()
    plain = reader.shape(pod({"containers": [container(ports=ports)]}))
    on_host = reader.shape(pod({"containers": [container(ports=ports)], "hostNetwork": True}))
    assert plain.host_ports == (HostPort(81, "UDP"),)
    assert on_host.host_ports == (HostPort(8080), HostPort(81, "UDP"))


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (HostPort(80), HostPort(80), True),
        (HostPort(80), HostPort(81), False),
        (HostPort(80), HostPort(80, "UDP"), False),
        (HostPort(80, ip="10.0.0.1"), HostPort(80), True),
        (HostPort(80, ip="10.0.0.1"), HostPort(80, ip="10.0.0.2"), False),
    ],
)
def test_host_port_clashes(one: HostPort, other: HostPort, clash: bool) -> None:
    assert one.clashes_with(other) is other.clashes_with(one) is clash


CLAIM = {"name": "a", "resourceClaimName": "shared"}
INSTEAD_OF_CLAIMS = "ask for what a device plugin offers, such as nvidia.com/gpu, or give the pod to a scheduler that allocates claims"


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        (
            {"containers": [container()], "resourceClaims": [{"name": "b"}, CLAIM]},
            Kind.RESOURCE_CLAIMS,
            f"resource claims (DRA) are not allocated here: a (ResourceClaim shared), b; {INSTEAD_OF_CLAIMS}",
        ),
        (
            {
                "containers": [container()],
                "resourceClaims": [{"name": "a", "resourceClaimTemplateName": "one-gpu"}],
            },
            Kind.RESOURCE_CLAIMS,
            "resource claims (DRA) are not allocated here: a (ResourceClaimTemplate one-gpu); "
            + INSTEAD_OF_CLAIMS,
        ),
        (
            {"containers": [container(limits={"deviceclass.resource.kubernetes.io/gpu": "1"})]},
            Kind.RESOURCE_CLAIMS,
            "deviceclass.resource.kubernetes.io/gpu can be had by a resource claim (DRA) alone, and these are not allocated here; "
            + INSTEAD_OF_CLAIMS,
        ),
        (
            {"containers": [container()], "topologySpreadConstraints": [{"maxSkew": 1}]},
            Kind.UNSUPPORTED,
            "the pod's scheduling fields cannot be read: KeyError: 'topologyKey'",
        ),
        (
            {
                "containers": [container()],
                "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}},
            },
            Kind.UNSUPPORTED,
            "the pod's scheduling fields cannot be read: KeyError: 'topologyKey'",
        ),
        (
            {"containers": [container(limits={"cpu": "lots"})]},
            Kind.UNSUPPORTED,
            "the pod's scheduling fields cannot be read: 'lots' is not a quantity",
        ),
        (
            {"containers": [container()], "tolerations": [{"key": "k", "operator": "Gt", "value": "1"}]},
            Kind.UNSUPPORTED,
            "the pod's scheduling fields cannot be read: ValueError: 'Gt' is not a valid TolerationOperator",
        ),
    ],
)
def test_refusals(spec: dict[str, Any], kind: Kind, message: str) -> None:
    refusal = PodReader().shape(pod(spec)).refusal
    assert refusal is not None
    assert refusal.kind is kind
    assert refusal.detail.startswith(message)


def test_pods_of_one_template_share_a_shape_and_no_others_do() -> None:
    reader = PodReader()
    base: dict[str, Any] = {"containers": [container(limits={"nvidia.com/gpu": 1})]}
    shape = reader.shape(pod(base))
    assert reader.shape(pod(base)) is shape
    differing: list[dict[str, Any]] = [
        {"containers": [container(limits={"nvidia.com/gpu": 2})]},
        {"containers": [container("other", limits={"nvidia.com/gpu": 1})]},
        {**base, "nodeSelector": {"a": "1"}},
        {**base, "tolerations": [{"operator": "Exists"}]},
        {**base, "affinity": {"nodeAffinity": {}}},
        {**base, "resourceClaims": [{"name": "x"}]},
        {**base, "hostNetwork": True},
        {**base, "overhead": {"cpu": "1"}},
        {**base, "resources": {"requests": {"cpu": "1"}}},
        {**base, "initContainers": [container("x")]},
        {**base, "initContainers": [container("x", restartPolicy="Always")]},
    ]
    assert len({reader.shape(pod(spec)).signature for spec in [base, *differing]}) == 1 + len(differing)


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        ({}, None),
        ({"aliquot.dev/required-gpu-level": "aliquot.dev/numa"}, GpuWish(GpuLevel.NUMA)),
        (
            {
                "aliquot.dev/required-gpu-level": "aliquot.dev/nvlink",
                "aliquot.dev/preferred-gpu-level": "aliquot.dev/numa",
            },
            GpuWish(GpuLevel.NVLINK, GpuLevel.NUMA),
        ),
        ({"aliquot.dev/preferred-gpu-level": "aliquot.dev/numa"}, GpuWish(None, GpuLevel.NUMA)),
    ],
)
def test_where_its_gpus_should_be(said: dict[str, str], wish: GpuWish | None) -> None:
    reader = PodReader()
    shape = reader.shape(pod({"containers": [container()]}, annotations=said))
    assert shape.gpu_wish == wish
    assert (shape is reader.shape(pod({"containers": [container()]}))) == (wish is None)


def test_a_level_that_is_none_within_a_node_is_refused() -> None:
    said = {"aliquot.dev/required-gpu-level": "numa"}
    refusal = PodReader().shape(pod({"containers": [container()]}, annotations=said)).refusal
    assert refusal == Reason(
        Kind.UNSUPPORTED,
        "annotation aliquot.dev/required-gpu-level is 'numa': give aliquot.dev/numa or aliquot.dev/nvlink",
    )


def test_an_assignment_comes_back_as_it_was_sent() -> None:
    sent = placed(request_of("p", gpu=2), "a gpu0 gpu1")
    back = PodReader().placed(
        pod(
            {"containers": [container(limits={"nvidia.com/gpu": 2})], "nodeName": "a"},
            uid="uid-p",
            annotations=annotations(sent),
        )
    )
    assert (back.node, back.devices) == (sent.node, sent.devices)


def test_no_devices_no_annotation() -> None:
    assert annotations(placed(request_of("p", gpu=1), "a")) == {}


def test_an_unreadable_assignment_counts_as_none() -> None:
    read = PodReader().placed(
        pod({"containers": [container()], "nodeName": "a"}, annotations={ASSIGNMENT_ANNOTATION: "{"})
    )
    assert read == PlacedPod(key="default/p", uid="1", node="a", request={"pods": 1}, since_s=0.0)


@pytest.mark.parametrize(
    ("status", "admitted"),
    [
        ({"phase": "Pending"}, False),
        ({"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": {}}}]}, False),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "x", "state": {"running": {}}}]}, True),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "x", "state": {"terminated": {}}}]}, True),
        ({"phase": "Running"}, True),
    ],
)
def test_a_pod_is_admitted_when_a_container_has_run(status: dict[str, Any], admitted: bool) -> None:
    spec = {"containers": [container()], "nodeName": "a"}
    read = msgspec.convert({"metadata": {"name": "p"}, "spec": spec, "status": status}, Pod)
    assert PodReader().placed(read).admitted is admitted


def test_slices_are_assigned_by_profile_and_start() -> None:
    choice = DeviceChoice("main", "nvidia.com/mig-1g.10gb", "GPU-1", "1g.10gb", 0)
    sent = PlacedPod(key="default/p", uid="1", node="a", request={}, devices=(choice,))
    assert annotations(sent) == {
        ASSIGNMENT_ANNOTATION: (
            '{"devices":[{"container":"main","resource":"nvidia.com/mig-1g.10gb","gpu":"GPU-1",'
            '"profile":"1g.10gb","start":0}],"podUid":"1"}'
        )
    }
