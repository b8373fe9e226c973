"""Pods of the parts: Deployments of those that lead or stand by, the DaemonSet of discovery."""

from dataclasses import dataclass, replace

import msgspec

from aliquot.admission.installation import PORT as WEBHOOK_PORT
from aliquot.installation.labels import COMPONENT, NAME, OURS, PART_OF, Json
from aliquot.installation.values import Part, PartValues, ReplicatedValues, Values
from aliquot.kube.api import pci_labels
from aliquot.kube.api.gpupolicy import Toleration
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.operands import PRESENT_LABEL
from aliquot.operator.upgrading.gpu_pods import SKIP_DRAIN

METRICS_PORT = 8080
_UNPRIVILEGED: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_NOBODY: Json = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_ELSEWHERE: Json = {
    "weight": 100,
    "preference": {
        "matchExpressions": [
            {"key": label, "operator": "NotIn", "values": ["true"]}
            for label in (PRESENT_LABEL, pci_labels.OURS, *pci_labels.NFDS)
        ]
    },
}
"""Than on nodes with GPUs, which are dear, and are taken out for upgrades of their drivers. Where there are no others, there."""
_NODE_NAME: Json = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}


@dataclass(frozen=True, slots=True)
class Program:
    """What a part runs."""

    args: tuple[str, ...]
    priority: str
    probes: Json
    ports: tuple[Json, ...] = ()
    env: tuple[Json, ...] = ()


def name_of(part: Part) -> str:
    """Of its workload, its account, and what its pods are called."""
    return f"aliquot-{part.value}"


def own_labels(part: Part) -> dict[str, str]:
    """By which its pods are selected."""
    return {NAME: name_of(part), PART_OF: OURS}


def _http(path: str, port: str, scheme: str = "HTTP", **more: int) -> Json:
    return {"httpGet": {"path": path, "port": port, "scheme": scheme}, "timeoutSeconds": 5, **more}


_METRICS = (
    "--metrics-port",
    str(METRICS_PORT),
)
_BY_METRICS: Json = {
    "livenessProbe": _http("/healthz", "metrics", periodSeconds=20, failureThreshold=5),
    "readinessProbe": _http("/readyz", "metrics", periodSeconds=10),
}
_METRICS_PORTS: tuple[Json, ...] = ({"name": "metrics", "containerPort": METRICS_PORT},)
_PROGRAMS = {
    Part.OPERATOR: Program(
        ("operator", "run", *_METRICS), "system-cluster-critical", _BY_METRICS, _METRICS_PORTS
    ),
    Part.SCHEDULER: Program(
        ("scheduler", "run", *_METRICS), "system-cluster-critical", _BY_METRICS, _METRICS_PORTS
    ),
    Part.PARTITIONER: Program(
        ("partition", "controller", *_METRICS), "system-cluster-critical", _BY_METRICS, _METRICS_PORTS
    ),
    Part.ADMISSION: Program(
        ("admission", "serve"),
        "system-cluster-critical",
        {
            "livenessProbe": _http("/healthz", "https", "HTTPS", periodSeconds=20, failureThreshold=5),
            "readinessProbe": _http("/healthz", "https", "HTTPS", periodSeconds=10),
        },
        ({"name": "https", "containerPort": WEBHOOK_PORT},),
    ),
    Part.DISCOVERY: Program(("node", "discover"), "system-node-critical", {}, env=(_NODE_NAME,)),
}


def deployment(part: Part, values: Values) -> Json:
    given = values.part(part)
    assert isinstance(given, ReplicatedValues)
    pod, labels = _pod(part, given, values), {**own_labels(part), COMPONENT: part.value}
    if part is Part.OPERATOR:
        # An upgrade that drains its node would end who is at it.
        labels[SKIP_DRAIN] = "true"
    pod["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [_ELSEWHERE]}}
    # Two of them on one node, or in one zone, would go together.
    pod["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": own_labels(part)},
            # Those of the last version, which are about to go, do not count.
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name_of(part), "namespace": NAMESPACE, "labels": own_labels(part)},
        "spec": {
            "replicas": given.replicas,
            "selector": {"matchLabels": own_labels(part)},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def daemon_set(part: Part, values: Values) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name_of(part), "namespace": NAMESPACE, "labels": own_labels(part)},
        "spec": {
            "selector": {"matchLabels": own_labels(part)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": {**own_labels(part), COMPONENT: part.value}},
                "spec": _pod(part, values.part(part), values),
            },
        },
    }


def budget(part: Part) -> Json:
    """One may always go, so that nodes can be drained; never all at once."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name_of(part), "namespace": NAMESPACE},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": own_labels(part)}},
    }


def once(name: str, args: tuple[str, ...], values: Values, *, account: str) -> Json:
    """A pod that does something and ends, wherever it can: also where all nodes are cordoned."""
    given = PartValues(resources=values.operator.resources, tolerations=[Toleration(operator="Exists")])
    return _spec(name, Program(args, "system-cluster-critical", {}), given, values, account=account)


def _pod(part: Part, given: PartValues, values: Values) -> Json:
    program = _PROGRAMS[part]
    if part is Part.OPERATOR:
        image = {"name": "ALIQUOT_IMAGE", "value": values.image}
        program = replace(program, env=(*program.env, image))
    return _spec(part.value, program, given, values, account=name_of(part))


def _spec(name: str, program: Program, given: PartValues, values: Values, *, account: str) -> Json:
    container: Json = {
        "name": name,
        "image": values.image,
        "imagePullPolicy": str(values.image_pull_policy),
        "command": ["aliquot"],
        "args": [*program.args, *given.args],
        # Nobody's home is on the root, which is read-only.
        "env": [*program.env, {"name": "HOME", "value": "/tmp"}],
        **({"ports": list(program.ports)} if program.ports else {}),
        **program.probes,
        "resources": msgspec.to_builtins(given.resources),
        "securityContext": _UNPRIVILEGED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod: Json = {
        "serviceAccountName": account,
        "priorityClassName": program.priority,
        # By the cluster's own: ours is among what is started here.
        "schedulerName": "default-scheduler",
        "securityContext": _NOBODY,
        "containers": [container],
        # Certificates while they are loaded, and cycles of the scheduler that failed.
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    }
    if given.node_selector:
        pod["nodeSelector"] = dict(given.node_selector)
    if given.tolerations:
        pod["tolerations"] = [msgspec.to_builtins(one) for one in given.tolerations]
    if values.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": one} for one in values.image_pull_secrets]
    return pod
