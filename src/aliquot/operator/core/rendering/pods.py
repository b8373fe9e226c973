"""What the pods of all operands have in common."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from aliquot.operator.core.operands import DEPLOY_LABELS, POLICY_LABEL, OperandName
from aliquot.operator.core.policies import OperandPlan, Policy

Json: TypeAlias = dict[str, Any]

OPERAND_LABEL = "app.kubernetes.io/component"
REVISION_LABEL = "aliquot.dev/revision"
"""On an operand's pods: of what they were made."""
NODE_NAME: Json = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
HIDDEN: Json = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
"""Not itself a container with GPUs, whatever the runtime is set to."""
_LONGEST_NAME = 63
PRIVILEGED: Json = {"privileged": True, "seLinuxOptions": {"level": "s0"}}


@dataclass(frozen=True, slots=True)
class HostPath:
    name: str
    path: str
    at: str = ""
    """Empty: as on the host."""
    read_only: bool = False
    propagation: str = ""
    kind: str = "DirectoryOrCreate"

    @property
    def volume(self) -> Json:
        return {"name": self.name, "hostPath": {"path": self.path, "type": self.kind}}

    @property
    def mount(self) -> Json:
        found: Json = {"name": self.name, "mountPath": self.at or self.path}
        if self.read_only:
            found["readOnly"] = True
        if self.propagation:
            found["mountPropagation"] = self.propagation
        return found


def daemon_set(
    policy: Policy,
    name: OperandName,
    namespace: str,
    *,
    containers: list[Json],
    volumes: Iterable[HostPath],
    account: str,
    init: Iterable[Json] = (),
    suffix: str = "",
    selector: Mapping[str, str] | None = None,
    on_delete: bool = False,
    host_pid: bool = False,
) -> Json:
    """`on_delete`: its pods are exchanged when they are deleted, and not before."""
    labels = {
        "app.kubernetes.io/name": "aliquot",
        "app.kubernetes.io/managed-by": "aliquot-operator",
        OPERAND_LABEL: str(name),
        POLICY_LABEL: policy.name,
    }
    template = policy.spec.pods
    own = {OPERAND_LABEL: str(name), POLICY_LABEL: policy.name, **(selector or {})}
    pod: Json = {
        "nodeSelector": {POLICY_LABEL: policy.name, DEPLOY_LABELS[name]: "true", **(selector or {})},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            # A node that is cordoned for the upgrade of its driver gets the new one all the same.
            {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
            *(msgspec.to_builtins(one) for one in template.tolerations),
        ],
        "priorityClassName": template.priority_class_name,
        "serviceAccountName": account,
        "containers": containers,
    }
    if mounted := [one.volume for one in volumes]:
        pod["volumes"] = mounted
    if host_pid:
        pod["hostPID"] = True
    if found := list(init):
        pod["initContainers"] = found
    if template.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": one} for one in template.image_pull_secrets]
    metadata: Json = {"labels": {**template.labels, **labels, **(selector or {})}}
    if template.annotations:
        metadata["annotations"] = dict(template.annotations)
    # Known of each pod without a look at ControllerRevisions, and the same whenever it is rendered.
    metadata["labels"][REVISION_LABEL] = digest({"metadata": metadata, "spec": pod})
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": daemon_set_name(policy.name, name, suffix),
            "namespace": namespace,
            "labels": labels,
        },
        "spec": {
            "selector": {"matchLabels": own},
            "updateStrategy": {"type": "OnDelete"}
            if on_delete
            else {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": metadata, "spec": pod},
        },
    }


def container(
    plan: OperandPlan,
    name: str,
    volumes: Iterable[HostPath],
    *,
    image: str = "",
    command: list[str] | None = None,
    args: list[str] | None = None,
    env: Iterable[Json] = (),
    **more: Any,
) -> Json:
    """With what the policy says of the operand. Its `env` and `args` come last, and so count before ours."""
    spec = plan.spec
    said = [{"name": one.name, "value": one.value} for one in spec.env]
    names = {one["name"] for one in said}
    found: Json = {
        "name": name,
        "image": image or str(plan.image),
        "imagePullPolicy": str(spec.image_pull_policy or "IfNotPresent"),
        "env": [one for one in env if one["name"] not in names] + said,
    }
    if mounts := [one.mount for one in volumes]:
        found["volumeMounts"] = mounts
    found |= more
    if command:
        found["command"] = command
    if arguments := [*(args or ()), *spec.args]:
        found["args"] = arguments
    if spec.resources is not None:
        found["resources"] = msgspec.to_builtins(spec.resources)
    return found


def revision(daemon_set: Json) -> str:
    """Of its pods, those that are made from now on."""
    found: str = daemon_set["spec"]["template"]["metadata"]["labels"][REVISION_LABEL]
    return found


def daemon_set_name(policy: str, operand: OperandName, suffix: str = "") -> str:
    """Not longer than what its pods can be called by."""
    parts = ("aliquot", policy, str(operand), suffix)
    whole = "-".join(part for part in parts if part).lower().replace("_", "-").replace(".", "-")
    if len(whole) <= _LONGEST_NAME:
        return whole
    return f"{whole[: _LONGEST_NAME - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def digest(obj: Json) -> str:
    return hashlib.sha256(msgspec.json.encode(obj, order="sorted")).hexdigest()[:12]


def exec_probe(*command: str, every_s: int = 10, failures: int = 3, timeout_s: int = 10) -> Json:
    return {
        "exec": {"command": list(command)},
        "periodSeconds": every_s,
        "failureThreshold": failures,
        "timeoutSeconds": timeout_s,
    }
