"""Looks at the pods that a grant lets somebody into, when it is made and for each credential: none may be stronger than the grant.

So a pod that is made anew under the same name, and rights that its ServiceAccount gets later, count from the next credential on.
"""

import msgspec

from aliquot.access.core.entering import Binding, Pod, Rights, Role, ServiceAccount, entered, too_strong
from aliquot.access.core.life.grant import GrantSpec
from aliquot.kube import errors, roles
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS, SERVICEACCOUNTS


async def why_not(client: Client, spec: GrantSpec) -> str:
    """Why nobody is to be let in; empty: there is no reason, or no pod that it names. What cannot be read is a reason. Raises ApiError."""
    names = entered(spec.rules)
    if not names:
        return ""
    rights = await _rights(client)
    if rights is None:
        return "not all roles and bindings of the cluster could be read, so nobody knows what its pods may do"
    for name in names:
        try:
            pod = msgspec.convert(await client.get(PODS, name, spec.namespace), Pod)
        except errors.NotFound:
            return f"there is no pod {name} in namespace {spec.namespace}"
        except msgspec.ValidationError as error:
            return f"pod {name} could not be read: {error}"
        try:
            found = await client.get(SERVICEACCOUNTS, pod.account, spec.namespace)
            account = msgspec.convert(found, ServiceAccount)
        except (errors.NotFound, msgspec.ValidationError):
            return f"ServiceAccount {pod.account} of pod {name} could not be read"
        if why := too_strong(pod, account, rights, spec.rules, spec.namespace):
            return why
    return ""


async def _rights(client: Client) -> Rights | None:
    bindings: list[Binding] = []
    for resource in (roles.ROLE_BINDINGS, roles.CLUSTER_ROLE_BINDINGS):
        listed = await client.list(resource, into=Binding)
        if listed.unreadable:
            return None
        bindings += listed.items
    found: list[Role] = []
    for resource in (roles.ROLES, roles.CLUSTER_ROLES):
        seen = await client.list(resource, into=Role)
        if seen.unreadable:
            return None
        found += seen.items
    return Rights(bindings, found)
