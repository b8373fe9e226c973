"""Admission webhooks that fail closed: while a control plane is replaced, whatever they guard stands still if nobody answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.services import Services
from aliquot.kube.selectors.labels import from_object

CHECK = "webhooks"
KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_NAME_LABEL = "kubernetes.io/metadata.name"
_SYSTEM = "kube-system"
_NODES = (("", "nodes"), ("", "nodes/status"))
"""In no namespace: no namespaceSelector keeps a webhook off them."""
_VITAL = (
    ("", "pods"),
    ("", "pods/binding"),
    ("", "pods/eviction"),
    ("", "pods/status"),
    ("", "endpoints"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("coordination.k8s.io", "leases"),
    ("discovery.k8s.io", "endpointslices"),
)
"""API group and resource of what has to come up in kube-system while a cluster is upgraded."""


def judge(objects: Objects) -> Iterator[Finding | Unchecked]:
    services = Services(objects)
    if not services.are_known:
        yield Unchecked(what="who stands behind webhooks", why="services and their endpoints were not read")
    for kind in KINDS:
        for configuration in objects.of(kind):
            for webhook in configuration.get("webhooks") or ():
                if webhook.get("failurePolicy", "Fail") != "Fail":
                    continue
                named = f"{kind} {configuration['metadata']['name']}, webhook {webhook.get('name', '?')}"
                yield from _closed(named, webhook, services)


def _closed(named: str, webhook: Mapping[str, Any], services: Services) -> Iterator[Finding]:
    rules = _rules(webhook)
    missing = services.missing(webhook.get("clientConfig") or {})
    if missing:
        yield Finding(
            check=CHECK,
            severity=Severity.BLOCK,
            what=named,
            why=f"it fails closed, and its service {missing}: whatever it guards ({rules}) is refused now, and after the upgrade nothing of that comes up",
            fix="bring its pods up, or set failurePolicy: Ignore, or delete the configuration",
        )
        return
    if _catches_nodes(webhook):
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=named,
            why=f"it fails closed for nodes ({rules}), of which no namespaceSelector keeps it off: if its own pods do not come up, neither do nodes for them",
            fix="except nodes by its rules or by scope: Namespaced; where matchConditions do so, waive this",
        )
    elif _catches_system(webhook):
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


def _catches_nodes(webhook: Mapping[str, Any]) -> bool:
    return any(
        rule.get("scope") != "Namespaced" and any(_is_of(rule, *one) for one in _NODES)
        for rule in webhook.get("rules") or ()
    )


def _catches_system(webhook: Mapping[str, Any]) -> bool:
    if not any(
        rule.get("scope") != "Cluster" and any(_is_of(rule, *one) for one in _VITAL)
        for rule in webhook.get("rules") or ()
    ):
        return False
    # What is known of kube-system is its name; of no other label is it known to have it.
    return from_object(webhook.get("namespaceSelector") or {}).matches({_NAME_LABEL: _SYSTEM})


def _is_of(rule: Mapping[str, Any], group: str, resource: str) -> bool:
    """As the API server takes a rule: `*` is every resource without its subresources, `pods/*` pods and all below, `*/*` everything."""
    groups = rule.get("apiGroups", ["*"])
    if "*" not in groups and group not in groups:
        return False
    name, _, sub = resource.partition("/")
    whole = {f"{name}/{sub}", f"{name}/*", f"*/{sub}", "*/*"} if sub else {name, "*", f"{name}/*", "*/*"}
    return not whole.isdisjoint(rule.get("resources") or ())
