"""Which operations a rule is about: what webhooks and admission policies are configured with alike. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import NAMESPACES, Served
from aliquot.emulator.statuses import failure
from aliquot.kube.selectors import LabelSelector

_ANY = "*"
_POLICIES = frozenset(
    [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]
)
_CONFIGURATIONS = _POLICIES | {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
_REVIEWS = frozenset(
    [
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    ]
)


def is_exempt(asked: Admitted) -> bool:
    """What configures admission is not subject to webhooks: a configuration that refuses everything can be mended."""
    group, _, kind = asked.kind
    return group == "admissionregistration.k8s.io" and kind in _CONFIGURATIONS


def is_beyond_policies(asked: Admitted) -> bool:
    """Policies themselves, for the same reason, and questions about rights, without which a cluster does not work. The
    configurations of webhooks are not."""
    group, _, kind = asked.kind
    if group == "admissionregistration.k8s.io" and kind in _POLICIES:
        return True
    resource = asked.served.resource
    return (resource.group, resource.plural) in _REVIEWS


def namespace_of(asked: Admitted) -> str:
    """The namespace that an operation is in; that of an operation on a Namespace is the Namespace itself."""
    return asked.name if asked.served.storage == NAMESPACES else asked.namespace


@dataclass(frozen=True, slots=True)
class Rule:
    """A RuleWithOperations, or a NamedRuleWithOperations, which names objects too."""

    operations: tuple[str, ...]
    groups: tuple[str, ...]
    versions: tuple[str, ...]
    resources: tuple[tuple[str, str], ...]
    """(resource, subresource)"""
    scope: str = _ANY
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Self:
        parts = [str(one).partition("/") for one in rule.get("resources") or ()]
        return cls(
            tuple(rule.get("operations") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("apiVersions") or ()),
            tuple((resource, subresource) for resource, _, subresource in parts),
            rule.get("scope") or _ANY,
            tuple(rule.get("resourceNames") or ()),
        )

    def matches(self, asked: Admitted, served: Served) -> bool:
        """`served` is what is asked for, or an equivalent of it in another version."""
        resource = served.resource
        return (
            _named(self.operations, asked.operation.value)
            and _named(self.groups, resource.group)
            and _named(self.versions, resource.version)
            and self._resource_matches(resource.plural, asked.subresource)
            and self._scope_matches(asked)
            and (not self.names or asked.name in self.names)
        )

    def _resource_matches(self, plural: str, subresource: str) -> bool:
        return any(
            wanted in (_ANY, plural) and wanted_sub in (_ANY, subresource)
            for wanted, wanted_sub in self.resources
        )

    def _scope_matches(self, asked: Admitted) -> bool:
        if self.scope == _ANY:
            return True
        namespaced = asked.served.storage != NAMESPACES and bool(asked.namespace)
        return namespaced if self.scope == "Namespaced" else not namespaced


def _named(wanted: Sequence[str], what: str) -> bool:
    return _ANY in wanted or what in wanted


def matched_as(
    rules: Sequence[Rule],
    asked: Admitted,
    equivalents: Callable[[Served], Sequence[Served]] | None = None,
) -> Served | None:
    """The resource that the rules match: what is asked for itself, before its `equivalents` in other versions, where
    the rules are to match those too (matchPolicy Equivalent). None when nothing does."""
    if any(rule.matches(asked, asked.served) for rule in rules):
        return asked.served
    if equivalents is None:
        return None
    others = [other for other in equivalents(asked.served) if other is not asked.served]
    return next((other for rule in rules for other in others if rule.matches(asked, other)), None)


def namespace_matches(selector: LabelSelector, asked: Admitted, obj: Json | None) -> bool:
    """Cluster-scoped objects, but for Namespaces, are in no namespace that could be left out.

    Raises StatusError 404 when the namespace is not there.
    """
    is_namespace = asked.served.storage == NAMESPACES
    if selector.empty or (not asked.namespace and not is_namespace):
        return True
    writes = asked.operation in (Operation.CREATE, Operation.UPDATE)
    if is_namespace and not asked.subresource and writes and obj is not None:
        return selector.matches(metadata(obj).get("labels"))
    name = namespace_of(asked)
    namespace = asked.look.get(NAMESPACES, "", name)
    if namespace is None:
        raise failure(404, "NotFound", f'namespaces "{name}" not found', {"name": name, "kind": NAMESPACES})
    return selector.matches(metadata(namespace).get("labels"))


def object_matches(selector: LabelSelector, asked: Admitted, obj: Json | None) -> bool:
    """Either of the two, before and after."""
    if selector.empty:
        return True
    return any(one is not None and selector.matches(metadata(one).get("labels")) for one in (obj, asked.old))
