"""Admission webhooks that fail closed: while a control plane is replaced, whatever they guard stands still if nobody answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.kube.selectors.labels import from_object

CHECK = "webhooks"
_KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_NAME_LABEL = "kubernetes.io/metadata.name"
_SYSTEM = "kube-system"
_VITAL = frozenset(
    {"pods", "nodes", "leases", "endpoints", "endpointslices", "*", "pods/*", "daemonsets", "deployments"}
)


def judge(objects: Objects) -> Iterator[Finding]:
    ready = _ready_services(objects)
    known = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects.of("Service")}
    for kind in _KINDS:
        for configuration in objects.of(kind):
            for webhook in configuration.get("webhooks") or ():
                if webhook.get("failurePolicy", "Fail") != "Fail":
                    continue
                named = f"{kind} {configuration['metadata']['name']}, webhook {webhook.get('name', '?')}"
                yield from _closed(named, webhook, ready, known)


def _closed(
    named: str, webhook: Mapping[str, Any], ready: set[tuple[str, str]], known: set[tuple[str, str]]
) -> Iterator[Finding]:
    service = (webhook.get("clientConfig") or {}).get("service")
    rules = _rules(webhook)
    if service is not None:
        place = (service.get("namespace", ""), service.get("name", ""))
        if place not in ready:
            missing = "is not there" if place not in known else "has no ready endpoints"
            yield Finding(
                check=CHECK,
                severity=Severity.BLOCK,
                what=named,
                why=f"it fails closed, and its service {place[0]}/{place[1]} {missing}: whatever it guards ({rules}) is refused now, and after the upgrade nothing of that comes up",
                fix="bring its pods up, or set failurePolicy: Ignore, or delete the configuration",
            )
            return
    if _catches_system(webhook):
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=named,
            why=f"it fails closed for kube-system, too ({rules}): if its own pods do not come up, neither do those of the network that they need",
            fix=f"except kube-system by a namespaceSelector ({_NAME_LABEL} NotIn [kube-system])",
        )


def _rules(webhook: Mapping[str, Any]) -> str:
    found = sorted(
        {resource for rule in webhook.get("rules") or () for resource in rule.get("resources") or ()}
    )
    return ", ".join(found[:4]) + (" and more" if len(found) > 4 else "") or "nothing"


def _catches_system(webhook: Mapping[str, Any]) -> bool:
    if not any(
        resource in _VITAL for rule in webhook.get("rules") or () for resource in rule.get("resources") or ()
    ):
        return False
    # What is known of kube-system is its name; of no other label is it known to have it.
    return from_object(webhook.get("namespaceSelector") or {}).matches({_NAME_LABEL: _SYSTEM})


def _ready_services(objects: Objects) -> set[tuple[str, str]]:
    found = set()
    for one in objects.of("EndpointSlice"):
        service = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        endpoints = one.get("endpoints") or ()
        # An endpoint that says nothing of it counts as ready (discovery/v1).
        if any((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in endpoints):
            found.add((one["metadata"].get("namespace", ""), service))
    return found
