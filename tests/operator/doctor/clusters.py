"""Clusters as the doctor sees them: one that is well, and what is changed of it."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from aliquot.clock import rfc3339_micro
from aliquot.kube import crds
from aliquot.kube.api.core import Lease, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.operator.core.operands import POLICY_LABEL
from aliquot.operator.core.progress import Step
from aliquot.operator.core.upgrade.memory import Memory, encode
from aliquot.operator.core.upgrade.states import MEMORY
from aliquot.operator.doctor.seen import Seen, Webhook

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
NAMESPACE = "aliquot-system"
FOUND = "aliquot.dev/pci-10de.present"
LABELS = {FOUND: "true", "nvidia.com/gpu.present": "true", POLICY_LABEL: "default"}
Json = dict[str, Any]


def node(
    name: str = "a",
    *,
    ready: str = "True",
    cordoned: bool = False,
    labels: Json | None = None,
    upgrade: str = "",
) -> Node:
    """`upgrade`: why it waits or has failed, as the operator remembers it."""
    metadata: Json = {"name": name, "labels": LABELS if labels is None else labels}
    if upgrade:
        metadata["annotations"] = {MEMORY: encode(Memory(reason=upgrade, since_s=NOW_S))}
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return msgspec.convert(
        {"metadata": metadata, "spec": {"unschedulable": cordoned}, "status": status}, Node
    )


def gpu_node(name: str = "a", /, **told: tuple[str, str, str]) -> GPUNode:
    """Of a node that is validated, but for `told`: (status, reason, message) by type; steps behind the first that is not true
    wait for it."""
    conditions: list[Json] = []
    waits = ""
    for step in Step:
        status, reason, message = told.pop(
            step.value, ("Unknown", f"WaitingFor{waits}", "") if waits else ("True", "Ready", "")
        )
        if status != "True" and not waits:
            waits = step.name.capitalize()
        conditions.append({"type": step.value, "status": status, "reason": reason, "message": message})
    for kind, (status, reason, message) in told.items():
        conditions.append({"type": kind, "status": status, "reason": reason, "message": message})
    return msgspec.convert({"metadata": {"name": name}, "status": {"conditions": conditions}}, GPUNode)


def operand_pod(
    operand: str,
    node_name: str = "a",
    *,
    container: str = "",
    waits: str = "",
    message: str = "",
    ended: str = "",
    **status: Any,
) -> Pod:
    """`container`: that which waits; empty: that of the operand's name."""
    name = container or operand
    containers: list[Json] = []
    if waits:
        containers = [{"name": name, "state": {"waiting": {"reason": waits, "message": message}}}]
    elif ended:
        last = {"terminated": {"exitCode": 1, "message": ended}}
        containers = [{"name": name, "restartCount": 1, "state": {"running": {}}, "lastState": last}]
    labels = {POLICY_LABEL: "default", "app.kubernetes.io/component": operand}
    return msgspec.convert(
        {
            "metadata": {"name": f"{operand}-x", "namespace": NAMESPACE, "labels": labels},
            "spec": {"nodeName": node_name, "containers": [{"name": name}]},
            "status": {"containerStatuses": containers, **status},
        },
        Pod,
    )


def part_pod(name: str, *, waits: str) -> Pod:
    """Of one of our Deployments; it waits for a node, or for its container."""
    status: Json = {"containerStatuses": [{"name": name, "state": {"waiting": {"reason": waits}}}]}
    if waits == "Unschedulable":
        scheduled = {"type": "PodScheduled", "status": "False", "reason": waits, "message": "0/3 nodes"}
        status = {"conditions": [scheduled]}
    metadata = {"name": f"{name}-x", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": name}}
    return msgspec.convert(
        {"metadata": metadata, "spec": {"containers": [{"name": name}]}, "status": status}, Pod
    )


def policy(
    name: str = "default", *, seen: int = 1, spec: Json | None = None, degraded: tuple[str, str] | None = None
) -> Json:
    conditions = [{"type": "Ready", "status": "True", "reason": "Ready"}]
    if degraded is not None:
        conditions.append(
            {"type": "Degraded", "status": "True", "reason": degraded[0], "message": degraded[1]}
        )
    return {
        "metadata": {"name": name, "uid": name, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec or {},
        "status": {"observedGeneration": seen, "conditions": conditions},
    }


def deployment(
    name: str = "aliquot-operator", *, replicas: int = 1, ready: int = 1, refused: str = ""
) -> Json:
    """`refused`: what the API server has against its pods."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}}
    status: Json = {"readyReplicas": ready}
    if refused:
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
        status["conditions"] = [failure]
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def lease(name: str = "aliquot-operator", *, age_s: float = 1.0) -> Lease:
    return msgspec.convert(
        {"metadata": {"name": name}, "spec": {"renewTime": rfc3339_micro(NOW_S - age_s)}}, Lease
    )


def served(*, without: str = "", pending: str = "", older: str = "") -> Mapping[str, Json]:
    """All kinds, but for the one named `without`; `pending` is not served yet, `older` does not know its spec."""
    found = {}
    for one in crds.ALL:
        name = one["metadata"]["name"]
        status = "False" if name == pending else "True"
        made: Json = msgspec.json.decode(msgspec.json.encode(one))
        if name == older:
            del made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
                "upgrade"
            ]
        if name != without:
            found[name] = {**made, "status": {"conditions": [{"type": "Established", "status": status}]}}
    return found


def well(**changed: Any) -> Seen:
    found: Json = {
        "now_s": NOW_S,
        "namespace": NAMESPACE,
        "crds": served(),
        "policies": [policy()],
        "nodes": [node()],
        "gpu_nodes": {"a": gpu_node()},
        "deployments": [deployment()],
        "daemon_sets": [{"metadata": {"name": "aliquot-discovery"}}],
        "leases": {"aliquot-operator": lease()},
        "runtime_classes": frozenset({"nvidia"}),
    }
    return Seen(**{**found, **changed})


def stuck(*pods: Pod, **told: tuple[str, str, str]) -> Seen:
    return well(gpu_nodes={"a": gpu_node(**told)}, pods=pods)


_KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def certificate(*, ends_s: float, key: int = 0, signer: int = 0) -> bytes:
    """Of one of two keys, signed by one of them."""
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"key {one}")]) for one in (key, signer)
    )
    ends = datetime.datetime.fromtimestamp(ends_s, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_KEYS[key].public_key())
        .serial_number(1)
        .not_valid_before(ends - datetime.timedelta(days=90))
        .not_valid_after(ends)
        .sign(_KEYS[signer], SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def webhook(
    *, authority_days: float = 300, days: float = 60, signer: int = 0, bundle: bytes | None = None
) -> Webhook:
    return Webhook(
        name="aliquot-gpu-class",
        bundle=certificate(ends_s=NOW_S + authority_days * DAY_S) if bundle is None else bundle,
        certificate=certificate(ends_s=NOW_S + days * DAY_S, key=1, signer=signer),
    )


def nodes(*names: str) -> Sequence[Node]:
    return [node(name) for name in names]
