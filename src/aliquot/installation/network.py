"""Who may talk to whom in the namespace: nobody, but for what is used."""

from collections.abc import Iterator

from aliquot.admission.installation import PORT as WEBHOOK_PORT
from aliquot.installation.labels import COMPONENT, Json
from aliquot.installation.values import Part, Values
from aliquot.installation.workloads import METRICS_PORT, own_labels
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.operands import OperandName
from aliquot.operator.core.rendering.operands import METRICS_PORTS as OPERAND_PORTS

_NAMED = ("Ingress", "Egress")


def policies(values: Values, *, webhook: bool) -> Iterator[Json]:
    """Pods in the network of their node are bound by none of them, nor are kubelet's probes."""
    yield _policy("aliquot-deny", {}, policyTypes=list(_NAMED))
    dns = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    api = [{"port": port, "protocol": "TCP"} for port in values.network.api_ports]
    # The API server has no pods to be selected by.
    yield _policy(
        "aliquot-to-api",
        {},
        policyTypes=["Egress"],
        egress=[{"to": [{"namespaceSelector": {}}], "ports": dns}, {"ports": api}],
    )
    scraped = sorted({METRICS_PORT, *OPERAND_PORTS})
    yield _policy(
        "aliquot-metrics",
        {},
        policyTypes=["Ingress"],
        ingress=[
            {
                "from": [{"namespaceSelector": {}}],
                "ports": [{"port": port, "protocol": "TCP"} for port in scraped],
            }
        ],
    )
    # Driver images that are not precompiled load what they build with: from where, is the distribution's.
    yield _policy(
        "aliquot-driver-packages",
        {COMPONENT: str(OperandName.DRIVER)},
        policyTypes=["Egress"],
        egress=[{"ports": [{"port": port, "protocol": "TCP"} for port in (80, 443)]}],
    )
    if webhook:
        yield _policy(
            "aliquot-admission",
            own_labels(Part.ADMISSION),
            policyTypes=["Ingress"],
            ingress=[{"ports": [{"port": WEBHOOK_PORT, "protocol": "TCP"}]}],
        )


def _policy(name: str, pods: dict[str, str], **spec: object) -> Json:
    selector: Json = {"matchLabels": pods} if pods else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"podSelector": selector, **spec},
    }
