"""Who may do what in a cluster: access entries with their policies, and roles of pods."""

from typing import Any

from aliquot.eks.fake.refusals import in_use, not_found, wrong
from aliquot.eks.fake.rules import finding
from aliquot.eks.fake.world import Cluster, World, at

POLICIES = (
    "AmazonEKSAdminPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
_TYPES = ("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX")


def _policy_arn(name: str) -> str:
    return f"arn:aws:eks::aws:cluster-access-policy/{name}"


def _entries(world: World, call: dict[str, Any]) -> Cluster:
    cluster = finding.active(world, call["clusterName"])
    if cluster.told["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise wrong(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."
        )
    return cluster


def _entry(cluster: Cluster, principal: str) -> dict[str, Any]:
    if principal not in cluster.access:
        raise not_found("access entry", principal, clusterName=cluster.name)
    return cluster.access[principal]


def create(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = _entries(world, call)
    principal, type_ = call["principalArn"], call.get("type", "STANDARD")
    if principal in cluster.access:
        raise in_use(
            "The specified access entry resource is already in use on this cluster.", clusterName=cluster.name
        )
    if type_ not in _TYPES:
        raise wrong(f"type {type_!r} is none of {', '.join(_TYPES)}")
    if type_ != "STANDARD" and call.get("kubernetesGroups"):
        raise wrong("kubernetesGroups go with type STANDARD alone")
    for group in call.get("kubernetesGroups", ()):
        if group.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
            raise wrong(
                f"The kubernetes group name {group} is invalid, it cannot start with a reserved prefix"
            )
    return {"accessEntry": _admit(world, cluster, principal, call, now_s)}


def _admit(
    world: World, cluster: Cluster, principal: str, call: dict[str, Any], now_s: float
) -> dict[str, Any]:
    entry = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "kubernetesGroups": call.get("kubernetesGroups", []),
        "accessEntryArn": world.arn("access-entry", cluster.name, world.id()),
        "createdAt": at(now_s),
        "modifiedAt": at(now_s),
        "tags": call.get("tags", {}),
        "username": call.get("username", principal),
        "type": call.get("type", "STANDARD"),
    }
    cluster.access[principal] = entry
    return entry


def admit_creator(world: World, cluster: Cluster, now_s: float) -> None:
    """Whoever makes a cluster may do everything in it. Who calls the fake is always the account itself."""
    creator = f"arn:aws:iam::{world.account}:root"
    _admit(world, cluster, creator, {}, now_s)
    _give(cluster, creator, _policy_arn("AmazonEKSClusterAdminPolicy"), {"type": "cluster"}, now_s)


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"accessEntry": _entry(_entries(world, call), call["principalArn"])}


def list_entries(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"accessEntries": sorted(_entries(world, call).access)}


def update(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    entry = _entry(_entries(world, call), call["principalArn"])
    entry |= {key: call[key] for key in ("kubernetesGroups", "username") if key in call}
    entry["modifiedAt"] = at(now_s)
    return {"accessEntry": entry}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = _entries(world, call)
    _entry(cluster, call["principalArn"])
    del cluster.access[call["principalArn"]]
    cluster.policies.pop(call["principalArn"], None)
    return {}


def list_policies(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"accessPolicies": [{"name": name, "arn": _policy_arn(name)} for name in POLICIES]}


def associate(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = _entries(world, call)
    _entry(cluster, call["principalArn"])
    if call["policyArn"] not in {_policy_arn(name) for name in POLICIES}:
        raise wrong(f"The policyArn parameter format is not valid: {call['policyArn']}")
    scope = call["accessScope"]
    if scope.get("type") == "namespace" and not scope.get("namespaces"):
        raise wrong("accessScope of a namespace has to name some")
    told = _give(cluster, call["principalArn"], call["policyArn"], scope, now_s)
    return {"clusterName": cluster.name, "principalArn": call["principalArn"], "associatedAccessPolicy": told}


def _give(
    cluster: Cluster, principal: str, policy: str, scope: dict[str, Any], now_s: float
) -> dict[str, Any]:
    told = {
        "policyArn": policy,
        "accessScope": scope,
        "associatedAt": at(now_s),
        "modifiedAt": at(now_s),
    }
    cluster.policies.setdefault(principal, {})[policy] = told
    return told


def disassociate(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = _entries(world, call)
    _entry(cluster, call["principalArn"])
    if cluster.policies.get(call["principalArn"], {}).pop(call["policyArn"], None) is None:
        raise not_found("access policy", call["policyArn"], clusterName=cluster.name)
    return {}


def list_associated(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = _entries(world, call)
    _entry(cluster, call["principalArn"])
    return {
        "clusterName": cluster.name,
        "principalArn": call["principalArn"],
        "associatedAccessPolicies": list(cluster.policies.get(call["principalArn"], {}).values()),
    }


def create_identity(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    for one in cluster.identities.values():
        if (one["namespace"], one["serviceAccount"]) == (call["namespace"], call["serviceAccount"]):
            raise in_use(f"Association already exists: {one['associationId']}", clusterName=cluster.name)
    told = _associate(world, cluster, call["namespace"], call["serviceAccount"], call["roleArn"], now_s)
    told["tags"] = call.get("tags", {})
    return {"association": told}


def _associate(
    world: World, cluster: Cluster, namespace: str, account: str, role: str, now_s: float
) -> dict[str, Any]:
    id_ = f"a-{world.rng.getrandbits(68):017x}"
    cluster.identities[id_] = told = {
        "clusterName": cluster.name,
        "namespace": namespace,
        "serviceAccount": account,
        "roleArn": role,
        "associationArn": world.arn("podidentityassociation", cluster.name, id_),
        "associationId": id_,
        "tags": {},
        "createdAt": at(now_s),
        "modifiedAt": at(now_s),
    }
    return told


def set_owned(
    world: World, cluster: Cluster, owner: str, namespace: str, wanted: list[dict[str, Any]], now_s: float
) -> list[str]:
    """Associations of an add-on are just those that are wanted: their ARNs. Raises Refused."""
    roles = {one["serviceAccount"]: one["roleArn"] for one in wanted}
    others = {
        one["serviceAccount"]: one["associationId"]
        for one in cluster.identities.values()
        if one["namespace"] == namespace and one.get("ownerArn") != owner
    }
    if both := sorted(set(roles) & set(others)):
        raise in_use(f"Association already exists: {others[both[0]]}", clusterName=cluster.name)
    for id_, one in list(cluster.identities.items()):
        if one.get("ownerArn") != owner:
            continue
        if one["serviceAccount"] not in roles:
            del cluster.identities[id_]
            continue
        one["roleArn"] = roles.pop(one["serviceAccount"])
        one["modifiedAt"] = at(now_s)
    for account, role in roles.items():
        one = _associate(world, cluster, namespace, account, role, now_s)
        one["ownerArn"] = owner
    return [one["associationArn"] for one in cluster.identities.values() if one.get("ownerArn") == owner]


def _identity(world: World, call: dict[str, Any]) -> tuple[Cluster, dict[str, Any]]:
    cluster = finding.cluster(world, call["clusterName"])
    if call["associationId"] not in cluster.identities:
        raise not_found("pod identity association", call["associationId"], clusterName=cluster.name)
    return cluster, cluster.identities[call["associationId"]]


def _not_owned(told: dict[str, Any]) -> None:
    """Raises Refused."""
    if "ownerArn" in told:
        raise wrong(
            f"Association {told['associationId']} is owned by {told['ownerArn']}",
            clusterName=told["clusterName"],
        )


def describe_identity(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"association": _identity(world, call)[1]}


def list_identities(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    keys = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    return {
        "associations": [
            {key: one[key] for key in keys if key in one}
            for one in cluster.identities.values()
            if call.get("namespace") in (None, one["namespace"])
            and call.get("serviceAccount") in (None, one["serviceAccount"])
        ]
    }


def update_identity(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    _, told = _identity(world, call)
    _not_owned(told)
    if "roleArn" in call:
        told["roleArn"] = call["roleArn"]
    told["modifiedAt"] = at(now_s)
    return {"association": told}


def delete_identity(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster, told = _identity(world, call)
    _not_owned(told)
    del cluster.identities[call["associationId"]]
    return {"association": told}
