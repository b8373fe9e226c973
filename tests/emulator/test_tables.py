from typing import Any

import pytest

from aliquot.emulator import tables
from aliquot.emulator.discovery import Catalog, ResourceType, builtin
from aliquot.emulator.tables import Form, IncludeObject, durations
from aliquot.emulator.tables.cells import CELLS
from aliquot.emulator.tables.jsonpath import JSONPathError, compile_path
from aliquot.emulator.versions import SUPPORTED, Surface

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
CREATED = "2025-12-31T23:59:00Z"
CATALOG = Catalog(builtin())


def resource(api_version: str, plural: str) -> ResourceType:
    group, _, version = api_version.rpartition("/")
    found = CATALOG.find(group, version, plural)
    assert found is not None
    return found


def row(api_version: str, plural: str, obj: dict[str, Any]) -> list[Any]:
    obj.setdefault("metadata", {}).setdefault("name", "a")
    obj["metadata"].setdefault("creationTimestamp", CREATED)
    return tables.printer(resource(api_version, plural)).cells(obj, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (599, "9m59s"),
        (600, "10m"),
        (179 * 60 + 59, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600 + 60, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400 + 3600, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (731 * 86400, "2y1d"),
        (8 * 365 * 86400 + 86400, "8y"),
    ],
)
def test_human_durations(seconds: float, text: str) -> None:
    assert durations.human(seconds) == text


@pytest.mark.parametrize(
    ("timestamp", "text"), [(None, "<unknown>"), ("", "<unknown>"), ("soon", "<invalid>")]
)
def test_ages_that_are_no_times(timestamp: str | None, text: str) -> None:
    assert durations.since(timestamp, NOW) == text


def container(name: str = "main", **state: Any) -> dict[str, Any]:
    """A container status; `ready` and `restartCount` may be among the keywords, the rest is its state."""
    flags: dict[str, Any] = {
        key: state.pop(key) for key in ("ready", "restartCount", "started", "lastState") if key in state
    }
    return {"name": name, "ready": False, "restartCount": 0, "state": state} | flags


RUNNING = container(running={}, ready=True)
DONE = container(terminated={"exitCode": 0, "reason": "Completed"})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, ("0/1", "Pending", "0")),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            ("0/1", "SchedulingGated", "0"),
        ),
        (
            {"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ContainerCreating"})]},
            ("0/1", "ContainerCreating", "0"),
        ),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, ("1/1", "Running", "0")),
        (
            {
                "phase": "Running",
                "containerStatuses": [container(waiting={"reason": "CrashLoopBackOff"}, restartCount=3)],
            },
            ("0/1", "CrashLoopBackOff", "3"),
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    container(
                        running={},
                        ready=True,
                        restartCount=2,
                        lastState={"terminated": {"finishedAt": "2025-12-31T23:55:00Z"}},
                    )
                ],
            },
            ("1/1", "Running", "2 (5m ago)"),
        ),
        ({"phase": "Succeeded", "containerStatuses": [DONE]}, ("0/1", "Completed", "0")),
        (
            {
                "phase": "Failed",
                "containerStatuses": [container(terminated={"exitCode": 1, "reason": "Error"})],
            },
            ("0/1", "Error", "0"),
        ),
        (
            {"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 3})]},
            ("0/1", "ExitCode:3", "0"),
        ),
        (
            {"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 137, "signal": 9})]},
            ("0/1", "Signal:9", "0"),
        ),
        (
            {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed"},
            ("0/1", "UnexpectedAdmissionError", "0"),
        ),
        (
            {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [DONE, RUNNING],
            },
            ("1/1", "Running", "0"),
        ),
        ({"phase": "Running", "containerStatuses": [DONE, RUNNING]}, ("1/1", "NotReady", "0")),
    ],
)
def test_pod_state(status: dict[str, Any], expected: tuple[str, str, str]) -> None:
    pod = {"spec": {"containers": [{"name": "main"}]}, "status": status}
    assert tuple(row("v1", "pods", pod)[1:4]) == expected


INIT_SPEC = {"containers": [{"name": "main"}], "initContainers": [{"name": "one"}, {"name": "two"}]}


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ([container("one", running={})], "Init:0/2"),
        ([container("one", terminated={"exitCode": 0}), container("two", running={})], "Init:1/2"),
        ([container("one", terminated={"exitCode": 2})], "Init:ExitCode:2"),
        ([container("one", terminated={"exitCode": 2, "reason": "Error"})], "Init:Error"),
        ([container("one", waiting={"reason": "CrashLoopBackOff"})], "Init:CrashLoopBackOff"),
        ([container("one", waiting={"reason": "PodInitializing"})], "Init:0/2"),
    ],
)
def test_init_containers(statuses: list[dict[str, Any]], word: str) -> None:
    pod = {"spec": INIT_SPEC, "status": {"phase": "Pending", "initContainerStatuses": statuses}}
    assert row("v1", "pods", pod)[2] == word


def test_sidecars_count_among_the_containers() -> None:
    pod = {
        "spec": {
            "containers": [{"name": "main"}],
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
        },
        "status": {
            "phase": "Running",
            "initContainerStatuses": [container("s", running={}, ready=True, started=True)],
            "containerStatuses": [RUNNING],
        },
    }
    assert row("v1", "pods", pod)[1:3] == ["2/2", "Running"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"phase": "Running", "containerStatuses": [RUNNING]}, "Terminating"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
        ({"phase": "Succeeded", "containerStatuses": [DONE]}, "Completed"),
    ],
)
def test_deleted_pods(status: dict[str, Any], word: str) -> None:
    pod = {"metadata": {"deletionTimestamp": CREATED}, "spec": {"containers": [{}]}, "status": status}
    assert row("v1", "pods", pod)[2] == word


def test_pod_wide_cells() -> None:
    pod = {
        "spec": {
            "nodeName": "n1",
            "containers": [{}],
            "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
        },
        "status": {
            "podIPs": [{"ip": "10.0.0.1"}],
            "nominatedNodeName": "n2",
            "conditions": [{"type": "a", "status": "True"}],
        },
    }
    assert row("v1", "pods", pod)[4:] == ["60s", "10.0.0.1", "n1", "n2", "1/2"]


READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({}, ["a", "Unknown", "<none>", "60s", ""]),
        (READY, ["a", "Ready", "<none>", "60s", ""]),
        ({**READY, "spec": {"unschedulable": True}}, ["a", "Ready,SchedulingDisabled", "<none>", "60s", ""]),
        (
            {
                "status": {
                    "conditions": [{"type": "Ready", "status": "Unknown"}],
                    "nodeInfo": {"kubeletVersion": "v1"},
                }
            },
            ["a", "NotReady", "<none>", "60s", "v1"],
        ),
        (
            {
                "metadata": {
                    "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "gpu"}
                }
            },
            ["a", "Unknown", "control-plane,gpu", "60s", ""],
        ),
    ],
)
def test_nodes(node: dict[str, Any], expected: list[Any]) -> None:
    assert row("v1", "nodes", {key: dict(part) for key, part in node.items()})[:5] == expected


@pytest.mark.parametrize(("version", "shown"), [("1.34", "6.1.0"), ("1.35", "6.1.0 (arm64)")])
def test_the_kernel_names_its_architecture_since_1_35(version: str, shown: str) -> None:
    surface = Surface(version)
    nodes = next(one for one in builtin(surface) if one.plural == "nodes")
    node = {"metadata": {}, "status": {"nodeInfo": {"kernelVersion": "6.1.0", "architecture": "arm64"}}}
    printer = tables.printer(nodes, minor=surface.minor)
    names = [column["name"] for column in printer.columns]
    assert printer.cells(node, NOW)[names.index("Kernel-Version")] == shown


TEMPLATE = {"spec": {"containers": [{"name": "m", "image": "i:1"}, {"name": "s", "image": "j:2"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


@pytest.mark.parametrize(
    ("api_version", "plural", "obj", "expected"),
    [
        (
            "apps/v1",
            "deployments",
            {
                "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            ["a", "2/3", 3, 1, "60s", "m,s", "i:1,j:2", "app=web"],
        ),
        (
            "apps/v1",
            "replicasets",
            {"spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR}, "status": {"replicas": 2}},
            ["a", 3, 2, 0, "60s", "m,s", "i:1,j:2", "app=web"],
        ),
        ("v1", "secrets", {"type": "Opaque", "data": {"a": "", "b": ""}}, ["a", "Opaque", 2, "60s"]),
        ("v1", "configmaps", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["a", 2, "60s"]),
        ("v1", "namespaces", {"status": {"phase": "Active"}}, ["a", "Active", "60s"]),
        ("v1", "serviceaccounts", {}, ["a", "60s"]),
        (
            "v1",
            "services",
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIPs": ["10.1.1.1"],
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                }
            },
            ["a", "NodePort", "10.1.1.1", "<none>", "80:30080/TCP", "60s", "<none>"],
        ),
        (
            "v1",
            "services",
            {"spec": {"type": "LoadBalancer", "clusterIP": "None", "selector": {"b": "2", "a": "1"}}},
            ["a", "LoadBalancer", "None", "<pending>", "<none>", "60s", "a=1,b=2"],
        ),
        ("coordination.k8s.io/v1", "leases", {"spec": {"holderIdentity": "n1"}}, ["a", "n1", "60s"]),
        (
            "rbac.authorization.k8s.io/v1",
            "rolebindings",
            {
                "roleRef": {"kind": "ClusterRole", "name": "view"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
            ["a", "ClusterRole/view", "60s", "u", "", "n/s"],
        ),
        ("rbac.authorization.k8s.io/v1", "roles", {}, ["a", CREATED]),
        (
            "networking.k8s.io/v1",
            "ipaddresses",
            {"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}},
            ["a", "services/n/s"],
        ),
        (
            "networking.k8s.io/v1",
            "ipaddresses",
            {"spec": {"parentRef": {"group": "x.io", "resource": "Gates", "name": "g"}}},
            ["a", "gates.x.io/g"],
        ),
        (
            "networking.k8s.io/v1",
            "servicecidrs",
            {"spec": {"cidrs": ["10.0.0.0/8", "fd00::/108"]}},
            ["a", "10.0.0.0/8,fd00::/108", "60s"],
        ),
        ("scheduling.k8s.io/v1", "priorityclasses", {"value": 7}, ["a", 7, False, "60s", ""]),
        (
            "admissionregistration.k8s.io/v1",
            "validatingadmissionpolicies",
            {"spec": {"paramKind": {"apiVersion": "x.io/v1", "kind": "Limit"}, "validations": [{}, {}]}},
            ["a", 2, "x.io/v1/Limit", "60s"],
        ),
        (
            "admissionregistration.k8s.io/v1",
            "mutatingadmissionpolicies",
            {"spec": {"mutations": [{}]}},
            ["a", 1, "<unset>", "60s"],
        ),
        (
            "admissionregistration.k8s.io/v1",
            "validatingadmissionpolicybindings",
            {"spec": {"policyName": "p", "paramRef": {"name": "l"}}},
            ["a", "p", "*/l", "60s"],
        ),
        (
            "admissionregistration.k8s.io/v1",
            "mutatingadmissionpolicybindings",
            {
                "spec": {
                    "policyName": "p",
                    "paramRef": {
                        "selector": {
                            "matchLabels": {"b": "2", "a": "1"},
                            "matchExpressions": [{"key": "k", "operator": "In", "values": ["v", "w"]}],
                        }
                    },
                }
            },
            [
                "a",
                "p",
                "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
                "LabelSelectorRequirement{Key:k,Operator:In,Values:[v w],},},}",
                "60s",
            ],
        ),
        (
            "v1",
            "events",
            {
                "involvedObject": {"kind": "Pod", "name": "p"},
                "type": "Warning",
                "reason": "Failed",
                "message": " no \n",
                "source": {"component": "kubelet", "host": "n1"},
                "firstTimestamp": "2025-12-31T23:50:00Z",
                "lastTimestamp": "2025-12-31T23:59:30Z",
                "count": 4,
            },
            ["30s", "Warning", "Failed", "pod/p", "", "kubelet, n1", "no", "10m", 4, "a"],
        ),
        (
            "events.k8s.io/v1",
            "events",
            {
                "regarding": {"kind": "Node", "name": "n"},
                "note": "hello",
                "eventTime": "2025-12-31T23:59:50.000000Z",
                "reportingController": "aliquot",
            },
            ["10s", "", "", "node/n", "", "aliquot", "hello", "10s", 1, "a"],
        ),
    ],
)
def test_rows(api_version: str, plural: str, obj: dict[str, Any], expected: list[Any]) -> None:
    assert row(api_version, plural, dict(obj)) == expected


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"completions": 3, "parallelism": 1}, {}, ("Running", "0/3", "")),
        ({"parallelism": 2}, {"succeeded": 1, "startTime": CREATED}, ("Running", "1/1 of 2", "60s")),
        (
            {"completions": 1},
            {
                "succeeded": 1,
                "startTime": CREATED,
                "completionTime": "2025-12-31T23:59:05Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            },
            ("Complete", "1/1", "5s"),
        ),
        ({"completions": 1}, {"conditions": [{"type": "Failed", "status": "True"}]}, ("Failed", "0/1", "")),
        (
            {"completions": 1},
            {"conditions": [{"type": "Suspended", "status": "True"}]},
            ("Suspended", "0/1", ""),
        ),
        (
            {"completions": 1},
            {"conditions": [{"type": "FailureTarget", "status": "True"}]},
            ("FailureTarget", "0/1", ""),
        ),
    ],
)
def test_jobs(spec: dict[str, Any], status: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert tuple(row("batch/v1", "jobs", {"spec": spec, "status": status})[1:4]) == expected


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_served_kind_with_columns_has_cells_for_them(version: str) -> None:
    empty = {"metadata": {"name": "a"}}
    surface = Surface(version)
    for served in builtin(surface):
        printer = tables.printer(served, minor=surface.minor)
        assert len(printer.cells(empty, NOW)) == len(printer.columns), served.qualified


def test_every_row_function_is_of_a_served_kind() -> None:
    assert set(CELLS) <= {f"{served.api_version}/{served.plural}" for served in builtin()}


WIDGET = {
    "metadata": {"name": "w", "creationTimestamp": CREATED, "labels": {"example.com/tier": "gold"}},
    "spec": {"size": "small", "count": 3.0, "tags": ["a", "b"], "on": True},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("kind", "path", "cell"),
    [
        ("string", ".spec.size", "small"),
        ("string", ".spec.nope", None),
        ("string", ".spec.tags", '["a","b"]'),
        ("string", ".spec.on", "true"),
        ("string", ".spec.tags[0]", "a"),
        ("string", ".spec.tags[-1]", "b"),
        ("string", ".spec.tags[*]", "a"),
        ("string", '.status.conditions[?(@.type=="Ready")].status', "True"),
        ("string", ".status.conditions[?(@.type=='Other')].status", "False"),
        ("string", '.status.conditions[?(@.status!="True")].type', "Other"),
        ("string", '.status.conditions[?(@.type=="Gone")].status', None),
        ("string", r".metadata.labels.example\.com/tier", "gold"),
        ("string", ".metadata.labels['example.com/tier']", "gold"),
        ("string", ".spec.size[", None),
        ("integer", ".spec.count", 3),
        ("integer", ".spec.size", None),
        ("number", ".spec.count", 3.0),
        ("boolean", ".spec.on", True),
        ("boolean", ".spec.size", None),
        ("date", ".metadata.creationTimestamp", "60s"),
        ("date", ".spec.size", "<invalid>"),
    ],
)
def test_custom_columns(kind: str, path: str, cell: Any) -> None:
    version = {"additionalPrinterColumns": [{"name": "X", "type": kind, "jsonPath": path, "priority": 1}]}
    printer = tables.printer(resource("v1", "pods"), version)
    assert printer.cells(WIDGET, NOW) == ["w", cell]
    assert printer.columns[1]["priority"] == 1


def test_custom_resources_without_columns_show_their_age() -> None:
    printer = tables.printer(resource("v1", "pods"), {})
    assert [column["name"] for column in printer.columns] == ["Name", "Age"]
    assert printer.cells(WIDGET, NOW) == ["w", "60s"]


@pytest.mark.parametrize("path", [".a[", ".a[?(1)]", ".a[?(@.b==x)]", ".a b"])
def test_paths_that_cannot_be_read(path: str) -> None:
    with pytest.raises(JSONPathError):
        compile_path(path)


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", Form.OBJECT),
        ("*/*", Form.OBJECT),
        ("application/json", Form.OBJECT),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Form.TABLE,
        ),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            Form.OBJECT,
        ),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form.METADATA),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,*/*", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf", None),
    ],
)
def test_rendering_by_accept_header(header: str, form: Form | None) -> None:
    found = tables.rendering(header)
    assert (found.form if found else None) == form


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (IncludeObject.NONE, None),
        (
            IncludeObject.METADATA,
            {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}},
        ),
        (IncludeObject.OBJECT, {"metadata": {"name": "a"}, "status": {"phase": "Failed"}}),
    ],
)
def test_what_a_table_carries_of_its_objects(include: IncludeObject, expected: Any) -> None:
    pod = {"metadata": {"name": "a"}, "status": {"phase": "Failed"}}
    printer = tables.printer(resource("v1", "pods"))
    table = printer.table([pod], now=NOW, include=include, list_metadata={"resourceVersion": "7"})
    assert table["kind"] == "Table"
    assert table["metadata"] == {"resourceVersion": "7"}
    assert len(table["columnDefinitions"]) == len(table["rows"][0]["cells"])
    assert table["rows"][0]["object"] == expected
    assert table["rows"][0]["conditions"][0]["reason"] == "Failed"


def test_scale_columns() -> None:
    scale = {"metadata": {"name": "a"}, "spec": {"replicas": 3}, "status": {"replicas": 2}}
    assert tables.SCALE.cells(scale, NOW) == ["a", 3, 2, "<unknown>"]
