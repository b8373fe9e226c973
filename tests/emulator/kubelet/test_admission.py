"""kubelet's last check of a pod against its node. Each row is a rule with kubelet's own words."""

import pytest

from aliquot.emulator.kubelet.admission import (
    NodeFacts,
    Rejection,
    check,
    device_rejection,
    qos_class,
    requests,
)
from tests.emulator.kubelet.conftest import pod

NODE = NodeFacts(
    name="node-1",
    labels={"zone": "a", "generation": "9"},
    allocatable={"cpu": 4000, "memory": 1000, "pods": 3, "nvidia.com/gpu": 2},
)


def asking(requests: str, limits: str = "") -> str:
    return f"containers: [{{name: main, resources: {{requests: {{{requests}}}, limits: {{{limits}}}}}}}]"


def requiring(expression: str) -> str:
    terms = f"{{nodeSelectorTerms: [{{matchExpressions: [{{{expression}}}]}}]}}"
    return f"containers: [], affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {terms}}}}}"


@pytest.mark.parametrize(
    ("spec", "others", "rejection"),
    [
        (asking("cpu: 4, memory: 1000"), [], None),
        (
            asking("cpu: 4"),
            [asking("cpu: 100m")],
            Rejection(
                "OutOfcpu",
                "Node didn't have enough resource: cpu, requested: 4000, used: 100, capacity: 4000",
            ),
        ),
        (
            asking("memory: 1Ki"),
            [],
            Rejection(
                "OutOfmemory",
                "Node didn't have enough resource: memory, requested: 1024, used: 0, capacity: 1000",
            ),
        ),
        (
            asking(""),
            [asking("")] * 3,
            Rejection(
                "OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
            ),
        ),
        (
            asking("cpu: 9"),
            [asking("")] * 3,
            Rejection(
                "OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
            ),
        ),
        (
            asking("", "nvidia.com/gpu: 2"),
            [asking("", "nvidia.com/gpu: 1")],
            Rejection(
                "OutOfnvidia.com/gpu",
                "Node didn't have enough resource: nvidia.com/gpu, requested: 2, used: 1, capacity: 2",
            ),
        ),
        (asking("", "example.com/unheard-of: 5"), [], None),
        (
            asking("hugepages-2Mi: 2Mi"),
            [],
            Rejection(
                "OutOfhugepages-2Mi",
                "Node didn't have enough resource: hugepages-2Mi, requested: 2097152, used: 0, capacity: 0",
            ),
        ),
    ],
    ids=[
        "fits exactly",
        "cpu",
        "memory",
        "pods",
        "pods come first",
        "extended resource",
        "extended resource the node does not know is passed over",
        "huge pages are never passed over",
    ],
)
def test_resources(spec: str, others: list[str], rejection: Rejection | None) -> None:
    running = [pod(other, name=f"other-{index}") for index, other in enumerate(others)]
    assert check(pod(spec), running, NODE) == rejection


@pytest.mark.parametrize(
    ("spec", "matches"),
    [
        ("containers: [], nodeSelector: {zone: a}", True),
        ("containers: [], nodeSelector: {zone: b}", False),
        ("containers: [], nodeSelector: {absent: a}", False),
        (requiring("key: zone, operator: In, values: [a, b]"), True),
        (requiring("key: zone, operator: In, values: [b]"), False),
        (requiring("key: zone, operator: NotIn, values: [b]"), True),
        (requiring("key: absent, operator: NotIn, values: [b]"), True),
        (requiring("key: zone, operator: Exists"), True),
        (requiring("key: absent, operator: Exists"), False),
        (requiring("key: absent, operator: DoesNotExist"), True),
        (requiring("key: generation, operator: Gt, values: ['8']"), True),
        (requiring("key: generation, operator: Gt, values: ['9']"), False),
        (requiring("key: generation, operator: Lt, values: ['10']"), True),
        (requiring("key: zone, operator: Gt, values: ['8']"), False),
        (requiring("key: zone, operator: Near, values: [a]"), False),
        (
            "containers: [], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
            "{nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}]}}}",
            True,
        ),
        (
            "containers: [], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
            "{nodeSelectorTerms: [{}]}}}",
            False,
        ),
    ],
)
def test_node_selector_and_affinity(spec: str, matches: bool) -> None:
    text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert check(pod(spec), [], NODE) == (None if matches else Rejection("NodeAffinity", text))


def test_resources_are_looked_at_before_affinity() -> None:
    rejection = check(pod(asking("cpu: 9") + ", nodeSelector: {zone: b}"), [], NODE)
    assert rejection is not None
    assert rejection.reason == "OutOfcpu"


@pytest.mark.parametrize(
    ("mine", "theirs", "free"),
    [
        ("hostPort: 80", "hostPort: 80", False),
        ("hostPort: 80", "hostPort: 81", True),
        ("hostPort: 80", "hostPort: 80, protocol: UDP", True),
        ("hostPort: 80, hostIP: 10.0.0.1", "hostPort: 80, hostIP: 10.0.0.2", True),
        ("hostPort: 80, hostIP: 10.0.0.1", "hostPort: 80", False),
        ("", "", True),
    ],
)
def test_host_ports(mine: str, theirs: str, free: bool) -> None:
    def with_port(port: str) -> str:
        comma = ", " if port else ""
        return f"containers: [{{name: main, ports: [{{containerPort: 80{comma}{port}}}]}}]"

    rejection = check(pod(with_port(mine)), [pod(with_port(theirs), name="other")], NODE)
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert rejection == (None if free else Rejection("NodePorts", text))


def test_devices_that_cannot_be_had() -> None:
    error = ValueError("requested number of devices unavailable for R. Requested: 9, Available: 3")
    assert device_rejection(error) == Rejection(
        "UnexpectedAdmissionError",
        "Allocate failed due to requested number of devices unavailable for R. Requested: 9, Available: 3, "
        "which is unexpected",
    )


def container(name: str, cpu: str, *, policy: str = "") -> str:
    restart = f", restartPolicy: {policy}" if policy else ""
    return f"{{name: {name}, resources: {{requests: {{cpu: {cpu}}}}}{restart}}}"


@pytest.mark.parametrize(
    ("init", "cpu"),
    [
        ("", 3000),
        (container("i", "2"), 3000),
        (container("i", "5"), 5000),
        (container("s", "1", policy="Always"), 4000),
        (container("s", "1", policy="Always") + "," + container("i", "4"), 5000),
        (container("i", "4") + "," + container("s", "1", policy="Always"), 4000),
    ],
    ids=[
        "containers add up",
        "a small init container costs nothing",
        "a large init container counts instead",
        "a sidecar adds",
        "an init container runs beside earlier sidecars",
        "an init container does not run beside later sidecars",
    ],
)
def test_what_a_pod_takes(init: str, cpu: int) -> None:
    spec = f"containers: [{container('a', '1')}, {container('b', '2')}], initContainers: [{init}]"
    assert requests(pod(spec)) == {"cpu": cpu}


def test_overhead_and_requests_of_the_pod_count() -> None:
    spec = (
        f"containers: [{container('a', '1')}], resources: {{requests: {{cpu: 6}}}}, overhead: {{cpu: 500m}}"
    )
    assert requests(pod(spec)) == {"cpu": 6500}


@pytest.mark.parametrize(
    ("spec", "qos"),
    [
        (asking(""), "BestEffort"),
        (asking("", "nvidia.com/gpu: 1"), "BestEffort"),
        (asking("cpu: 1"), "Burstable"),
        (asking("", "cpu: 1"), "Burstable"),
        (asking("cpu: 1, memory: 1Gi", "cpu: 1, memory: 1Gi"), "Guaranteed"),
        (asking("", "cpu: 1, memory: 1Gi"), "Guaranteed"),
        (asking("cpu: 500m, memory: 1Gi", "cpu: 1, memory: 1Gi"), "Burstable"),
    ],
)
def test_quality_of_service(spec: str, qos: str) -> None:
    assert qos_class(pod(spec)) == qos
