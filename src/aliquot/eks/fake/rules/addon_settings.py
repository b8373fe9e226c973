"""What add-ons may be told (their configuration schemas), and the service accounts of theirs that need a role."""

import json
from typing import Any

from aliquot.eks.fake.refusals import wrong

_COMMON = {"podAnnotations": "object", "podLabels": "object", "resources": "object"}
_PLACED = {"affinity": "object", "nodeSelector": "object", "tolerations": "array"}
SETTINGS: dict[str, dict[str, str]] = {
    "vpc-cni": {
        **_COMMON,
        "affinity": "object",
        "enableNetworkPolicy": "string",
        "enableWindowsIpam": "string",
        "enableWindowsPrefixDelegation": "string",
        "eniConfig": "object",
        "env": "object",
        "extraVolumeMounts": "array",
        "extraVolumes": "array",
        "init": "object",
        "livenessProbeTimeoutSeconds": "integer",
        "nodeAgent": "object",
        "originalMatchLabels": "boolean",
        "readinessProbeTimeoutSeconds": "integer",
        "tolerations": "array",
    },
    "kube-proxy": {**_COMMON, "ipvs": "object", "mode": "string"},
    "coredns": {
        **_COMMON,
        **_PLACED,
        "autoScaling": "object",
        "computeType": "string",
        "corefile": "string",
        "podDisruptionBudget": "object",
        "replicaCount": "integer",
        "topologySpreadConstraints": "array",
    },
    "eks-pod-identity-agent": {**_COMMON, "affinity": "object", "agent": "object", "tolerations": "array"},
}
"""By add-on: its settings at the top, and of which JSON type each is. An add-on that is not here takes any object."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}

ROLES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "vpc-cni": (("aws-node", ("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",)),),
    "aws-ebs-csi-driver": (
        ("ebs-csi-controller-sa", ("arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",)),
    ),
    "aws-efs-csi-driver": (
        ("efs-csi-controller-sa", ("arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy",)),
    ),
    "amazon-cloudwatch-observability": (
        ("cloudwatch-agent", ("arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",)),
    ),
}
"""By add-on: service accounts, and the policies that AWS advises for the role of each."""
_NAMESPACES = {"amazon-cloudwatch-observability": "amazon-cloudwatch"}


def namespace(addon: str) -> str:
    return _NAMESPACES.get(addon, "kube-system")


def schema(addon: str) -> str:
    whole: dict[str, Any] = {"$schema": "http://json-schema.org/draft-06/schema#", "type": "object"}
    if addon in SETTINGS:
        whole["additionalProperties"] = False
        whole["properties"] = {key: {"type": type_} for key, type_ in SETTINGS[addon].items()}
    return json.dumps(whole, sort_keys=True)


def roles(addon: str) -> list[dict[str, Any]]:
    return [
        {"serviceAccount": account, "recommendedManagedPolicies": list(policies)}
        for account, policies in ROLES.get(addon, ())
    ]


def check(addon: str, text: str | None, names: dict[str, str]) -> None:
    """Raises Refused. EKS takes YAML, too; the fake takes JSON alone."""
    if not text:
        return
    try:
        value = json.loads(text)
    except ValueError:
        raise wrong("ConfigurationValue is not in valid JSON or YAML format", **names) from None
    if not isinstance(value, dict):
        raise wrong("ConfigurationValue provided in request is not supported", **names)
    wanted = SETTINGS.get(addon)
    found = []
    for key, one in value.items():
        if wanted is not None and key not in wanted:
            found.append(
                f"$.{key}: is not defined in the schema and the schema does not allow additional properties"
            )
        elif wanted is not None and not _is(wanted[key], one):
            found.append(f"$.{key}: {type(one).__name__} found, {wanted[key]} expected")
    if found:
        raise wrong(
            "ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
            f"[{'; '.join(found)}]",
            **names,
        )


def _is(type_: str, value: Any) -> bool:
    return isinstance(value, _TYPES[type_]) and (type_ == "boolean" or not isinstance(value, bool))
