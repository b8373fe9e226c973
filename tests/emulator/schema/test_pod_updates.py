from typing import Any

import pytest

from tests.emulator.schema.objects import changed, pod, schema, texts

POD = schema("Pod")
FORBIDDEN = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def problems(new: dict[str, Any], old: dict[str, Any], subresource: str = "") -> list[str]:
    return texts(POD.validate_update(new, old, subresource))


@pytest.mark.parametrize(
    ("before", "path", "value"),
    [
        ({}, "metadata.labels", {"a": "b"}),
        ({}, "spec.containers.0.image", "y"),
        ({"initContainers": [{"name": "i", "image": "x"}]}, "spec.initContainers.0.image", "y"),
        ({}, "spec.activeDeadlineSeconds", 5),
        ({"activeDeadlineSeconds": 9}, "spec.activeDeadlineSeconds", 5),
        ({}, "spec.tolerations", [{"key": "a", "operator": "Exists"}]),
        ({"schedulingGates": [{"name": "g"}]}, "spec.schedulingGates", None),
        ({"schedulingGates": [{"name": "g"}]}, "spec.nodeSelector", {"a": "b"}),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds", 1),
    ],
)
def test_what_may_change(before: dict[str, Any], path: str, value: Any) -> None:
    old = pod(**before)
    assert problems(changed(old, path, value), old) == []


@pytest.mark.parametrize(
    ("before", "path", "value", "problem"),
    [
        ({}, "spec.containers", [], "spec.containers: Forbidden: pod updates may not add or remove containers"),
        ({"activeDeadlineSeconds": 5}, "spec.activeDeadlineSeconds", 9, "spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"),
        ({"activeDeadlineSeconds": 5}, "spec.activeDeadlineSeconds", None, "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"),
        ({"tolerations": [{"key": "a", "operator": "Exists"}]}, "spec.tolerations", [], "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
        ({}, "spec.schedulingGates", [{"name": "g"}], "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"),
        ({"schedulingGates": [{"name": "g"}], "nodeSelector": {"a": "b"}}, "spec.nodeSelector", {"a": "c"}, 'spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)'),
        ({}, "metadata.name", "b", 'metadata.name: Invalid value: "b": field is immutable'),
        ({}, "metadata.uid", "u", 'metadata.uid: Invalid value: "u": field is immutable'),
    ],
)  # fmt: skip
def test_what_may_not(before: dict[str, Any], path: str, value: Any, problem: str) -> None:
    old = pod(**before)
    assert problem in problems(changed(old, path, value), old)


def test_the_difference_is_shown_as_go_prints_it() -> None:
    old = pod(
        serviceAccountName="default",
        containers=[
            {
                "name": "main",
                "image": "registry.example/app:1",
                "command": ["sleep", "3600"],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "volumeMounts": [
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets", "readOnly": True}
                ],
            }
        ],
        volumes=[
            {
                "name": "kube-api-access-x",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                        {
                            "downwardAPI": {
                                "items": [
                                    {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
                                ]
                            }
                        },
                    ]
                },
            }
        ],
    )
    assert problems(changed(old, "spec.nodeName", "other"), old) == [
        FORBIDDEN + "@@ -149,7 +149,7 @@\n"
        '  "NodeSelector": null,\n'
        '  "ServiceAccountName": "default",\n'
        '  "AutomountServiceAccountToken": null,\n'
        '- "NodeName": "",\n'
        '+ "NodeName": "other",\n'
        '  "SecurityContext": {\n'
        '   "HostNetwork": false,\n'
        '   "HostPID": false,\n'
    ]


def test_fields_that_kubernetes_keeps_elsewhere_are_shown_there() -> None:
    old = pod()
    [problem] = problems(changed(old, "spec.hostNetwork", True), old)
    assert '-  "HostNetwork": false,\n+  "HostNetwork": true,\n' in problem


def test_finalizers_are_not_added_to_what_is_going() -> None:
    old = changed(pod(), "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
    assert problems(changed(old, "metadata.finalizers", ["a/b"]), old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a/b"}'
    ]


def status(**fields: Any) -> dict[str, Any]:
    return changed(pod(restartPolicy="Never"), "status", fields)


def ended(code: int = 0) -> list[dict[str, Any]]:
    return [{"name": "main", "state": {"terminated": {"exitCode": code}}}]


RUNNING = [{"name": "main", "state": {"running": {}}}]


def test_a_status_may_change() -> None:
    assert (
        problems(status(phase="Running", containerStatuses=RUNNING), status(phase="Pending"), "status") == []
    )


def test_the_class_of_service_is_fixed() -> None:
    [problem] = problems(status(qosClass="BestEffort"), status(qosClass="Guaranteed"), "status")
    assert problem == 'status.qosClass: Invalid value: "BestEffort": field is immutable'


def test_what_ended_for_good_does_not_run_again() -> None:
    [problem] = problems(status(containerStatuses=RUNNING), status(containerStatuses=ended(1)), "status")
    assert problem == (
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    )


def test_what_failed_may_run_again_where_it_is_restarted() -> None:
    old = changed(status(containerStatuses=ended(1)), "spec.restartPolicy", "OnFailure")
    new = changed(status(containerStatuses=RUNNING), "spec.restartPolicy", "OnFailure")
    assert problems(new, old, "status") == []
    old = changed(old, "status.containerStatuses", ended(0))
    assert len(problems(new, old, "status")) == 1
