"""What a binding parameterizes its policy with: objects of the policy's paramKind."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.admission.policies.definitions import ParamRef, Policy
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import metadata
from aliquot.emulator.registry import Registry
from aliquot.emulator.storage.conversion import from_stored

Param = Mapping[str, Any] | None


class NotConfigured(Exception):
    """A policy or binding that cannot be followed as it is written; the text says why."""


def params(
    policy: Policy, reference: ParamRef | None, asked: Admitted, registry: Registry
) -> Sequence[Param]:
    """A policy is evaluated once for each; a single None where there are no parameters to it.

    Raises NotConfigured.
    """
    if policy.param_kind is None:
        return (None,)
    api_version, kind = policy.param_kind
    served = registry.find_kind(api_version, kind)
    if served is None:
        shown = f"&ParamKind{{APIVersion:{api_version},Kind:{kind},}}"
        raise NotConfigured(f"paramKind kind `{shown}` not known")
    if reference is None:
        return (None,)
    namespace = ""
    if served.resource.namespaced:
        namespace = reference.namespace or asked.namespace
        if not namespace:
            raise NotConfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif reference.namespace:
        raise NotConfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    if reference.name:
        one = asked.look.get(served.storage, namespace, reference.name)
        found = [one] if one is not None else []
    else:
        selector = reference.selector
        found = [
            one
            for one in asked.look.all(served.storage)
            if metadata(one).get("namespace", "") == namespace
            and selector is not None
            and selector.matches(metadata(one).get("labels"))
        ]
        found.sort(key=lambda one: str(metadata(one)["name"]))
    if not found and reference.must_be_found:
        raise NotConfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return [from_stored(served, dict(one)) for one in found]
