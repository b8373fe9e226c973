"""Audit events as a kube-apiserver 1.36 writes them."""

import json
from typing import Any

from aliquot.access.audit.events import Event, read
from aliquot.clock import rfc3339_micro

START_S = 1_800_000_000.0
GRANT = "r01m8k6brv680ym5merp5and70x"
ACCOUNTS = "system:serviceaccount:aliquot-break-glass:"
ACCOUNT = f"{ACCOUNTS}aliquot-bg-{GRANT}"
CREDENTIAL = "JTI=5a2f4d4e-0d7c-4b2e-9f7e-0f8c5b1d2e3f"


def user(name: str = ACCOUNT, *groups: str, credential: str | None = None, **extra: str) -> dict[str, Any]:
    if credential is None:
        credential = CREDENTIAL if name == ACCOUNT else "JTI=theirs"
    told = {"authentication.kubernetes.io/credential-id": [credential]} if credential else {}
    told |= {name.replace("__", "/").replace("_", "."): [value] for name, value in extra.items()}
    of_accounts = ("system:serviceaccounts", "system:serviceaccounts:aliquot-break-glass")
    return {
        "username": name,
        "uid": "c0ffee00-0000-4000-8000-000000000001",
        "groups": [*(groups or (of_accounts if name.startswith(ACCOUNTS) else ())), "system:authenticated"],
        "extra": told,
    }


def raw(
    verb: str = "get",
    resource: str = "pods",
    name: str = "web",
    *,
    namespace: str = "shop",
    group: str = "",
    code: int = 200,
    stage: str = "ResponseComplete",
    query: str = "",
    by: dict[str, Any] | None = None,
    at_s: float = START_S,
    done_s: float | None = None,
    number: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """`resource`: `pods/exec`; empty: of no resource, and `name` is its path."""
    plural, _, sub = resource.partition("/")
    prefix = f"/apis/{group}/v1" if group else "/api/v1"
    inner = f"/namespaces/{namespace}" if namespace else ""
    path = "/".join(filter(None, (f"{prefix}{inner}/{plural}", name, sub))) if resource else name
    decision = "forbid" if code == 403 else "allow"
    found = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"00000000-0000-4000-8000-{number:012d}",
        "stage": stage,
        "requestURI": f"{path}?{query}" if query else path,
        "verb": verb,
        "user": by if by is not None else user(),
        "sourceIPs": ["10.0.0.7"],
        "userAgent": "kubectl/v1.36.2 (linux/amd64) kubernetes/abc",
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": rfc3339_micro(at_s),
        "stageTimestamp": rfc3339_micro(at_s + 0.004 if done_s is None else done_s),
        "annotations": {"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": "RBAC"},
    }
    if resource:
        reference = {"resource": plural, "namespace": namespace, "name": name, "apiVersion": "v1"}
        if group:
            reference["apiGroup"] = group
        if sub:
            reference["subresource"] = sub
        found["objectRef"] = {key: value for key, value in reference.items() if value}
    return found | more


def encoded(*events: dict[str, Any]) -> bytes:
    """As a webhook is sent them."""
    listed = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": list(events)}
    return json.dumps(listed).encode()


def event(*args: Any, **kwargs: Any) -> Event:
    found = read(json.dumps(raw(*args, **kwargs)).encode())
    assert found is not None
    return found
