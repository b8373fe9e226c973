"""What Prometheus' operator scrapes the exporters by."""

from aliquot.operator.core.operands import POLICY_LABEL, OperandName
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, Json


def service(policy: Policy, namespace: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(policy, namespace),
        "spec": {
            "clusterIP": "None",
            "selector": _own(policy),
            "ports": [{"name": "metrics", "port": 9400, "targetPort": "metrics"}],
        },
    }


def service_monitor(policy: Policy, namespace: str) -> Json:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": _metadata(policy, namespace),
        "spec": {
            "selector": {"matchLabels": _own(policy)},
            "endpoints": [{"port": "metrics", "interval": "15s", "honorLabels": True}],
        },
    }


def _metadata(policy: Policy, namespace: str) -> Json:
    labels = {
        "app.kubernetes.io/name": "aliquot",
        "app.kubernetes.io/managed-by": "aliquot-operator",
        **_own(policy),
    }
    return {
        "name": f"aliquot-{policy.name}-{OperandName.EXPORTER}",
        "namespace": namespace,
        "labels": labels,
    }


def _own(policy: Policy) -> dict[str, str]:
    return {OPERAND_LABEL: str(OperandName.EXPORTER), POLICY_LABEL: policy.name}
