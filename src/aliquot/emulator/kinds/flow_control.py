"""The priority levels and flow schemas that every cluster has. They are objects alone: no request waits its turn here."""

from collections.abc import Sequence
from typing import Any

_API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
_ALL = ["*"]
_EVERYBODY = ("system:unauthenticated", "system:authenticated")

# name -> shares, percent that may be lent, (queues, hand size)
_LEVELS = {
    "system": (30, 33, (64, 6)),
    "node-high": (40, 25, (64, 6)),
    "leader-election": (10, 0, (16, 4)),
    "workload-high": (40, 50, (128, 6)),
    "workload-low": (100, 90, (128, 6)),
    "global-default": (20, 50, (128, 6)),
}
_QUEUE_LENGTH = 50


def objects() -> list[dict[str, Any]]:
    return [*_priority_levels(), *_flow_schemas()]


def _priority_levels() -> list[dict[str, Any]]:
    exempt = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
    reject = {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}
    return [
        _level("exempt", {"type": "Exempt", "exempt": exempt}),
        _level("catch-all", {"type": "Limited", "limited": reject}),
        *(_level(name, _limited(*values)) for name, values in _LEVELS.items()),
    ]


def _limited(shares: int, lendable_percent: int, queues: tuple[int, int]) -> dict[str, Any]:
    queuing = {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": _QUEUE_LENGTH}
    return {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": shares,
            "lendablePercent": lendable_percent,
            "limitResponse": {"type": "Queue", "queuing": queuing},
        },
    }


def _flow_schemas() -> list[dict[str, Any]]:
    nodes = _groups("system:nodes")
    manager, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
    system_accounts = [
        {"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}}
    ]
    leases = _resources(["get", "create", "update"], "coordination.k8s.io", ["leases"], cluster=False)
    of_nodes = [
        _resources(_ALL, "", ["nodes", "nodes/status"]),
        _resources(_ALL, "coordination.k8s.io", ["leases"], cluster=False),
    ]
    probes = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
    return [
        _everything("exempt", "exempt", 1, "", _groups("system:masters")),
        _schema("probes", "exempt", 2, "", {"subjects": _groups(*_EVERYBODY), "nonResourceRules": probes}),
        _schema(
            "system-leader-election",
            "leader-election",
            100,
            "ByUser",
            {"subjects": [*_users(manager, scheduler), *system_accounts], "resourceRules": [leases]},
        ),
        _schema(
            "system-node-high", "node-high", 400, "ByUser", {"subjects": nodes, "resourceRules": of_nodes}
        ),
        _everything("system-nodes", "system", 500, "ByUser", nodes),
        _everything("kube-controller-manager", "workload-high", 800, "ByNamespace", _users(manager)),
        _everything("kube-scheduler", "workload-high", 800, "ByNamespace", _users(scheduler)),
        _everything("kube-system-service-accounts", "workload-high", 900, "ByNamespace", system_accounts),
        _everything("service-accounts", "workload-low", 9000, "ByUser", _groups("system:serviceaccounts")),
        _everything("global-default", "global-default", 9900, "ByUser", _groups(*_EVERYBODY)),
        _everything("catch-all", "catch-all", 10_000, "ByUser", _groups(*_EVERYBODY)),
    ]


def _level(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _object("PriorityLevelConfiguration", name, spec)


def _everything(
    name: str, level: str, precedence: int, distinguisher: str, subjects: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    rules = {
        "subjects": list(subjects),
        "resourceRules": [_resources(_ALL, "*", _ALL)],
        "nonResourceRules": [{"verbs": _ALL, "nonResourceURLs": _ALL}],
    }
    return _schema(name, level, precedence, distinguisher, rules)


def _schema(
    name: str, level: str, precedence: int, distinguisher: str, rules: dict[str, Any]
) -> dict[str, Any]:
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        **({"distinguisherMethod": {"type": distinguisher}} if distinguisher else {}),
        "rules": [rules],
    }
    return _object("FlowSchema", name, spec)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _groups(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _resources(verbs: list[str], group: str, resources: list[str], *, cluster: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        "verbs": verbs,
        "apiGroups": [group],
        "resources": resources,
        "namespaces": _ALL,
    }
    return {**found, "clusterScope": True} if cluster else found
