"""How EKS tends the nodes of a cluster: who it is there, and what it writes."""

from typing import Any

import msgspec

from aliquot.cli.identities import Identity
from aliquot.eks.fake.fleet import Machine
from aliquot.kube import roles
from aliquot.kube.api.core import Node
from aliquot.kube.client import Client

NODE_MANAGER = Identity("eks:node-manager", ("system:authenticated",))


async def install(client: Client) -> None:
    """Gives the node manager its rights. Raises ApiError."""
    await roles.install(client, _node_manager())


def relabelled(before: Machine, after: Machine, node: Node) -> dict[str, Any]:
    """A patch: labels and taints of its group are others now; what else the node has stays."""
    labels = {**dict.fromkeys(before.labels), **after.labels}
    kept = [
        taint
        for taint in node.spec.taints or ()
        if (taint.key, taint.value, taint.effect) not in (*before.taints, *after.taints)
    ]
    given = [{"key": key, "value": value, "effect": effect} for key, value, effect in after.taints]
    return {"metadata": {"labels": labels}, "spec": {"taints": [*msgspec.to_builtins(kept), *given]}}


def _node_manager() -> list[dict[str, Any]]:
    subject = {"kind": "User", "name": NODE_MANAGER.user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        roles.role(
            NODE_MANAGER.user,
            roles.rule("get list watch delete", "", "pods"),
            roles.rule("create", "", "pods/eviction pods/binding"),
            roles.rule("get list watch patch delete", "", "nodes"),
        ),
        roles.binding(NODE_MANAGER.user, subject),
    ]
