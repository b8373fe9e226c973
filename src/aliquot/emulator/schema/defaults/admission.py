"""Defaults of webhook configurations. They change their argument, a copy made for it."""

from typing import Any

_GROUP = "admissionregistration.k8s.io"


def _fill_webhook(hook: dict[str, Any]) -> None:
    hook["failurePolicy"] = hook.get("failurePolicy") or "Fail"
    hook["matchPolicy"] = hook.get("matchPolicy") or "Equivalent"
    hook.setdefault("namespaceSelector", {})
    hook.setdefault("objectSelector", {})
    hook.setdefault("timeoutSeconds", 10)
    service = (hook.get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    for rule in hook.get("rules") or ():
        rule["scope"] = rule.get("scope") or "*"


def _fill_validating(obj: dict[str, Any]) -> None:
    for hook in obj.get("webhooks") or ():
        _fill_webhook(hook)


def _fill_mutating(obj: dict[str, Any]) -> None:
    for hook in obj.get("webhooks") or ():
        _fill_webhook(hook)
        hook["reinvocationPolicy"] = hook.get("reinvocationPolicy") or "Never"


FILLERS = {
    (_GROUP, "ValidatingWebhookConfiguration"): _fill_validating,
    (_GROUP, "MutatingWebhookConfiguration"): _fill_mutating,
}
