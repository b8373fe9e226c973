"""All objects of an installation, as plain data, in the order in which they are applied. Equal values give equal objects."""

from collections.abc import Iterator
from dataclasses import dataclass

from aliquot.admission import installation as admission
from aliquot.installation import network, workloads
from aliquot.installation.labels import Json, labelled
from aliquot.installation.values import Part, PolicyValues, Values, terse
from aliquot.kube import roles
from aliquot.kube.api.gpunode import API_VERSION

OPERAND_ACCOUNTS = (
    "aliquot-driver",
    "aliquot-exporter",
    "aliquot-node-agent",
    "aliquot-toolkit",
    "aliquot-validator",
)
"""Of the pods that the operator makes."""
_REPLICATED = (Part.OPERATOR, Part.SCHEDULER, Part.PARTITIONER)


@dataclass(frozen=True, slots=True)
class Offers:
    """What a cluster serves beside what every one does."""

    mutating: str = "v1"
    """Version of MutatingAdmissionPolicy; empty: none, and a webhook does its work."""
    pod_monitors: bool = False
    cert_manager: bool = False
    """It makes the webhook's certificate then."""


def objects(values: Values, offers: Offers) -> tuple[Json, ...]:
    """Without the definitions of our kinds, which come first, and without a policy, which comes last."""
    return (
        labelled(roles.NAMESPACE_OBJECT),
        *(one for part in values.parts for one in of_part(part, values, offers)),
        *shared(values, offers),
    )


def of_part(part: Part, values: Values, offers: Offers) -> Iterator[Json]:
    for one in _of_part(part, values, offers):
        yield labelled(one, component=part.value)


def shared(values: Values, offers: Offers) -> Iterator[Json]:
    for account in OPERAND_ACCOUNTS:
        yield labelled(_account(account))
    for one in roles.of_parts(*OPERAND_ACCOUNTS):
        yield labelled(one)
    if values.network.policies:
        for one in network.policies(values, webhook=has_webhook(values, offers)):
            yield labelled(one)
    if values.monitors and offers.pod_monitors:
        yield labelled(pod_monitor())


def has_webhook(values: Values, offers: Offers) -> bool:
    return values.admission.enabled and not offers.mutating


def policy(values: PolicyValues) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "GPUPolicy",
        "metadata": {"name": values.name},
        "spec": terse(values.spec),
    }


def pod_monitor() -> Json:
    """Of our own parts, by the name of their port. The exporter's ServiceMonitor is the policy's."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": "aliquot", "namespace": roles.NAMESPACE},
        "spec": {
            "selector": {
                "matchExpressions": [
                    {"key": "app.kubernetes.io/name", "operator": "In", "values": _scraped()}
                ]
            },
            "podMetricsEndpoints": [{"port": "metrics"}],
        },
    }


def _scraped() -> list[str]:
    """The operands that are ours are called as the whole."""
    return ["aliquot", *(workloads.name_of(part) for part in _REPLICATED)]


def _of_part(part: Part, values: Values, offers: Offers) -> Iterator[Json]:
    if part is Part.ADMISSION:
        yield from _admission(values, offers)
        return
    name = workloads.name_of(part)
    yield _account(name)
    yield from roles.of_parts(name)
    if part is Part.DISCOVERY:
        yield workloads.daemon_set(part, values)
    else:
        yield workloads.budget(part)
        yield workloads.deployment(part, values)


def _admission(values: Values, offers: Offers) -> Iterator[Json]:
    if offers.mutating:
        yield from admission.policies(offers.mutating)
        return
    for one in admission.webhook(by_cert_manager=offers.cert_manager):
        if one["kind"] != "Namespace":
            yield one
    yield workloads.budget(Part.ADMISSION)
    yield workloads.deployment(Part.ADMISSION, values)


def _account(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": roles.NAMESPACE},
    }
