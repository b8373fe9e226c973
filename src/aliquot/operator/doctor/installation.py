"""Whether the parts are there and at work: kinds, deployments, their leases, discovery, the runtime class, the webhook."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.kube import crds
from aliquot.kube.api.core import Pod
from aliquot.kube.resources import CRDS, DAEMONSETS, DEPLOYMENTS, LEASES, RUNTIMECLASSES, SECRETS
from aliquot.operator.core.discovered import has_gpus
from aliquot.operator.core.pods import read
from aliquot.operator.core.policies import Stored
from aliquot.operator.core.upgrade.states import STATE_LABEL, UNDER_WAY, state_of
from aliquot.operator.doctor.certificates import ends_s, is_trusted
from aliquot.operator.doctor.findings import Finding, Weight
from aliquot.operator.doctor.seen import Json, Seen, Webhook

OPERATOR = "aliquot-operator"
DISCOVERY = "aliquot-discovery"
_NFD = "feature.node.kubernetes.io/"
_INSTALL = "aliquot install"
_KINDS_ALONE = "aliquot install -o crds | kubectl apply --server-side --force-conflicts -f -"
_NEEDED = ("gpupolicies.aliquot.dev", "gpunodes.aliquot.dev")
_MAKE_ROOM = (
    "give the namespace what it lacks (quota, limits), or let the pods through (an admission webhook or policy): kubectl -n "
    "{namespace} get resourcequotas,limitranges"
)
_STALE_S = 60.0
"""A lease that nobody has renewed for so long is nobody's, whatever clocks say."""
_DAY_S = 86_400.0
_SOON_S = 7 * _DAY_S


def examine_installation(seen: Seen, policies: Mapping[str, Stored]) -> Iterator[Finding]:
    for kind, message in seen.unread.items():
        # Few may read Secrets, and all else is seen without.
        weight = Weight.NOTE if kind == SECRETS else Weight.TO_DO
        yield _finding(weight, "", "", "NotLookedAt", message, "ask as somebody who may read it")
    yield from _kinds(seen)
    yield from _operator(seen)
    for deployment in seen.deployments:
        yield from _deployment(seen, deployment)
    yield from _leases(seen)
    yield from _discovery(seen)
    if any(one.policy is not None for one in policies.values()):
        yield from _runtime_class(seen)
    yield from _webhook(seen)


def _kinds(seen: Seen) -> Iterator[Finding]:
    if not seen.may_see(CRDS):
        return
    for wanted in crds.ALL:
        name = wanted["metadata"]["name"]
        found = seen.crds.get(name)
        if found is None:
            if name in _NEEDED:
                yield _to_do(
                    "CustomResourceDefinition",
                    name,
                    "CRDMissing",
                    "the cluster does not have the kind",
                    _INSTALL,
                )
            continue
        conditions = (found.get("status") or {}).get("conditions") or ()
        if not any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
            yield _to_do(
                "CustomResourceDefinition",
                name,
                "CRDNotServed",
                "the API server does not serve the kind",
                f"kubectl describe crd {name}",
            )
        elif missing := _missing(_schema(wanted), _schema(found), ""):
            yield _to_do(
                "CustomResourceDefinition",
                name,
                "CRDOutdated",
                f"it is of an earlier version: it does not know {missing}, which is dropped when it is written",
                f"{_INSTALL}; of Helm's: {_KINDS_ALONE}",
            )


def _schema(crd: Json) -> Json:
    versions = crd["spec"]["versions"]
    stored = next((one for one in versions if one.get("storage")), versions[0])
    schema: Json = (stored.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


def _missing(ours: Json, theirs: Json, path: str) -> str:
    """The first field that they do not have."""
    for name, field in (ours.get("properties") or {}).items():
        inner = f"{path}.{name}" if path else name
        if theirs.get("x-kubernetes-preserve-unknown-fields"):
            return ""
        other = (theirs.get("properties") or {}).get(name)
        if other is None:
            return inner
        if found := _missing(field, other, inner):
            return found
    if isinstance(items := ours.get("items"), Mapping):
        return _missing(items, theirs.get("items") or {}, path)
    return ""


def _operator(seen: Seen) -> Iterator[Finding]:
    """Where nobody keeps a lease, it may still be somebody who needs none: as long as policies are followed, and no node is
    left in the middle of its upgrade."""
    age_s = _age_s(seen, OPERATOR)
    behind = [
        f"follows GPUPolicy {policy['metadata']['name']}"
        for policy in seen.policies
        if (policy.get("status") or {}).get("observedGeneration", 0) < policy["metadata"].get("generation", 0)
    ]
    if age_s is not None:
        behind += [
            f"goes on with the upgrade of node {node.metadata.name}"
            for node in seen.nodes
            if state_of((node.metadata.labels or {}).get(STATE_LABEL, "")) in UNDER_WAY
        ]
    if not behind or not seen.may_see(DEPLOYMENTS, LEASES) or (age_s is not None and age_s < _STALE_S):
        return
    deployed = next((one for one in seen.deployments if one["metadata"]["name"] == OPERATOR), None)
    if deployed is None:
        yield _to_do(
            "",
            "",
            "OperatorAbsent",
            f"nobody {behind[0]}: there is no Deployment {OPERATOR} in {seen.namespace}, and nobody keeps "
            "its lease",
            f"{_INSTALL}, or run `aliquot operator run`",
        )
    elif age_s is None and (deployed.get("status") or {}).get("readyReplicas", 0):
        yield _to_do(
            "Deployment",
            OPERATOR,
            "NobodyLeads",
            f"nobody {behind[0]}: its pods run, and none has taken the lease",
            f"kubectl -n {seen.namespace} logs deployment/{OPERATOR} --tail 50",
        )


def _deployment(seen: Seen, deployment: Json) -> Iterator[Finding]:
    name = deployment["metadata"]["name"]
    wanted, ready = (
        deployment["spec"].get("replicas", 1),
        (deployment.get("status") or {}).get("readyReplicas", 0),
    )
    if ready or not wanted:
        if not wanted and name == OPERATOR:
            yield _to_do(
                "Deployment",
                name,
                "ScaledToZero",
                "it is scaled to zero: nodes stay as they are",
                f"kubectl -n {seen.namespace} scale deployment {name} --replicas 1",
            )
        return
    selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    found = next(
        (found for pod in seen.pods if _selects(selector, pod) and (found := read(pod, "")).reason), None
    )
    if found is None and (refused := _refused(deployment)):
        yield _to_do("Deployment", name, "FailedCreate", refused, _MAKE_ROOM.format(namespace=seen.namespace))
        return
    # Of a pod that has not started there is no log.
    has_log = found is None or found.reason in ("CrashLoopBackOff", "Starting")
    labels = ",".join(f"{label}={value}" for label, value in selector.items())
    yield _to_do(
        "Deployment",
        name,
        "NotReady",
        f"{found.reason}: {found.message}" if found is not None else "it has no pod that is ready",
        f"kubectl -n {seen.namespace} logs deployment/{name} --tail 50"
        if has_log
        else f"kubectl -n {seen.namespace} describe pods -l {labels}",
    )


def _refused(deployment: Json) -> str:
    """What the API server has against its pods; empty: nothing."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return ""


def _leases(seen: Seen) -> Iterator[Finding]:
    for deployment in seen.deployments:
        name, age_s = deployment["metadata"]["name"], _age_s(seen, deployment["metadata"]["name"])
        if age_s is None or age_s < _STALE_S or not (deployment.get("status") or {}).get("readyReplicas", 0):
            continue
        yield _to_do(
            "Lease",
            name,
            "LeaseStale",
            f"nobody has renewed it for {age_s:.0f} s: no replica leads",
            f"kubectl -n {seen.namespace} logs deployment/{name} --tail 50",
        )


def _age_s(seen: Seen, name: str) -> float | None:
    lease = seen.leases.get(name)
    if lease is None or not lease.spec.renew_time:
        return None
    try:
        return max(0.0, seen.now_s - parse_rfc3339(lease.spec.renew_time))
    except ValueError:
        return None


def _discovery(seen: Seen) -> Iterator[Finding]:
    if (
        not seen.nodes
        or not seen.may_see(DAEMONSETS)
        or any(has_gpus(one.metadata.labels or {}, one.metadata.annotations or {}) for one in seen.nodes)
    ):
        return
    if seen.discovery_refused:
        advice = _MAKE_ROOM.format(namespace=seen.namespace)
        yield _to_do("DaemonSet", DISCOVERY, "FailedCreate", seen.discovery_refused, advice)
        return
    has_nfd = any(label.startswith(_NFD) for one in seen.nodes for label in one.metadata.labels or {})
    if has_nfd or any(one["metadata"]["name"] == DISCOVERY for one in seen.daemon_sets):
        yield _note("", "NoGPUNodes", "no node says that it has a GPU of NVIDIA on its PCI bus")
        return
    yield _to_do(
        "",
        "",
        "NoDiscovery",
        f"nobody finds GPUs: there is no Node Feature Discovery, and no DaemonSet {DISCOVERY}",
        f"{_INSTALL}; or say so by hand: kubectl label node NODE nvidia.com/gpu.present=true",
    )


def _runtime_class(seen: Seen) -> Iterator[Finding]:
    if seen.may_see(RUNTIMECLASSES) and "nvidia" not in seen.runtime_classes:
        yield _to_do(
            "RuntimeClass",
            "nvidia",
            "RuntimeClassMissing",
            "pods of the validator and the exporter are refused without it",
            "the operator makes it: see whether it runs, and may: kubectl auth can-i create runtimeclasses "
            f"--as system:serviceaccount:{seen.namespace}:{OPERATOR}",
        )


def _webhook(seen: Seen) -> Iterator[Finding]:
    webhook = seen.webhook
    if webhook is None or (found := _certificate_trouble(webhook, seen.now_s)) is None:
        return
    reason, message = found
    advice = (
        f"kubectl -n {seen.namespace} rollout restart deployment aliquot-admission; where cert-manager makes it: kubectl -n "
        f"{seen.namespace} describe certificates"
    )
    yield _to_do("MutatingWebhookConfiguration", webhook.name, reason, message, advice)


def _certificate_trouble(webhook: Webhook, now_s: float) -> tuple[str, str] | None:
    refused = "pods that name a GPUClass are refused"
    authority_s = ends_s(webhook.bundle)
    if authority_s is None:
        return "NoAuthority", f"it names no authority that can be read: {refused}"
    if authority_s <= now_s:
        return "AuthorityEnded", f"its authority has ended: {refused}"
    if not webhook.certificate:
        return None
    certificate_s = ends_s(webhook.certificate)
    if certificate_s is None or certificate_s <= now_s:
        return "CertificateEnded", f"its certificate has ended, or cannot be read: {refused}"
    if not is_trusted(webhook.certificate, webhook.bundle):
        return (
            "CertificateNotTrusted",
            f"its certificate is of another authority than the API server trusts: {refused}",
        )
    if certificate_s - now_s < _SOON_S:
        days = (certificate_s - now_s) / _DAY_S
        return (
            "CertificateNotRenewed",
            f"its certificate ends in {days:.1f} days, and was to be renewed long ago",
        )
    return None


def _selects(selector: Mapping[str, str], pod: Pod) -> bool:
    return bool(selector) and selector.items() <= (pod.metadata.labels or {}).items()


def _to_do(kind: str, name: str, reason: str, message: str, advice: str) -> Finding:
    return _finding(Weight.TO_DO, kind, name, reason, message, advice)


def _note(kind: str, reason: str, message: str, advice: str = "") -> Finding:
    return _finding(Weight.NOTE, kind, "", reason, message, advice)


def _finding(weight: Weight, kind: str, name: str, *rest: Any) -> Finding:
    reason, message, advice = rest
    return Finding(
        weight=weight, kind=kind, names=(name,) if name else (), reason=reason, message=message, advice=advice
    )
