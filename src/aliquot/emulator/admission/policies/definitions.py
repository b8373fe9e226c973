"""Policies and bindings as they are configured: typed once for each change of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aliquot.emulator.admission.matching import (
    Rule,
    is_beyond_policies,
    matched_as,
    namespace_matches,
    object_matches,
)
from aliquot.emulator.admission.types import Admitted, Look
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import Registry, Served
from aliquot.kube.selectors import LabelSelector, from_object

VALIDATING = "validatingadmissionpolicies.admissionregistration.k8s.io"
VALIDATING_BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
MUTATING = "mutatingadmissionpolicies.admissionregistration.k8s.io"
MUTATING_BINDINGS = "mutatingadmissionpolicybindings.admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Named:
    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Validation:
    expression: str
    message: str
    message_expression: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    patch_type: str
    """ApplyConfiguration or JSONPatch."""
    expression: str


@dataclass(frozen=True, slots=True)
class Constraints:
    """MatchResources: which operations are meant."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    namespaces: LabelSelector
    objects: LabelSelector
    matches_equivalents: bool

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> Self:
        return cls(
            tuple(map(Rule.of, resources.get("resourceRules") or ())),
            tuple(map(Rule.of, resources.get("excludeResourceRules") or ())),
            from_object(resources.get("namespaceSelector") or {}),
            from_object(resources.get("objectSelector") or {}),
            resources.get("matchPolicy") != "Exact",
        )

    def matched(self, asked: Admitted, obj: Json | None, registry: Registry) -> Served | None:
        """The version of the resource that is matched, None when nothing is.

        Raises StatusError when the namespace is not there.
        """
        equivalents = registry.equivalents if self.matches_equivalents else None
        if self.excluded and matched_as(self.excluded, asked, equivalents) is not None:
            return None
        found = matched_as(self.rules, asked, equivalents) if self.rules else asked.served
        if found is None or not object_matches(self.objects, asked, obj):
            return None
        return found if namespace_matches(self.namespaces, asked, obj) else None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Policy:
    name: str
    constraints: Constraints
    fails_open: bool
    param_kind: tuple[str, str] | None
    """(apiVersion, kind) of its parameters."""
    conditions: tuple[Named, ...]
    variables: tuple[Named, ...]
    validations: tuple[Validation, ...]
    annotations: tuple[Named, ...]
    """For the audit log, by key."""
    mutations: tuple[Mutation, ...]
    is_reinvoked: bool


@dataclass(frozen=True, slots=True)
class ParamRef:
    name: str
    namespace: str
    selector: LabelSelector | None
    must_be_found: bool


@dataclass(frozen=True, slots=True)
class Binding:
    name: str
    param_ref: ParamRef | None
    constraints: Constraints | None
    actions: tuple[str, ...]
    """Deny, Warn, Audit: what a validating policy does where it fails."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A policy with its bindings; there is at least one."""

    policy: Policy
    bindings: tuple[Binding, ...]


class Definitions:
    """All policies of one kind that are bound, by name."""

    def __init__(self, policies: str, bindings: str) -> None:
        self._storages = (policies, bindings)
        self._seen = (-1, -1)
        self._bound: tuple[Bound, ...] = ()
        self._policies: dict[str, tuple[Mapping[str, Any], Policy]] = {}

    def bound(self, asked: Admitted) -> Sequence[Bound]:
        """None for operations that no policy is asked about."""
        look = asked.look
        changed = (look.changed(self._storages[0]), look.changed(self._storages[1]))
        if changed != self._seen:
            self._bound = self._read(look)
            self._seen = changed
        return () if not self._bound or is_beyond_policies(asked) else self._bound

    def _read(self, look: Look) -> tuple[Bound, ...]:
        bindings: dict[str, list[Binding]] = {}
        for one in _by_name(look.all(self._storages[1])):
            bindings.setdefault(one["spec"].get("policyName", ""), []).append(_binding(one))
        known = {metadata(one)["name"]: one for one in look.all(self._storages[0])}
        # A policy whose spec is as it was keeps what was compiled of it.
        self._policies = {
            name: self._policies[name]
            if name in self._policies and self._policies[name][0] == one["spec"]
            else (one["spec"], _policy(name, one["spec"]))
            for name, one in known.items()
        }
        return tuple(
            Bound(self._policies[name][1], tuple(bindings[name]))
            for name in sorted(known)
            if name in bindings
        )


def _by_name(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(objects, key=lambda one: str(metadata(one)["name"]))


def _policy(name: str, spec: Mapping[str, Any]) -> Policy:
    kind = spec.get("paramKind")
    return Policy(
        name=name,
        constraints=Constraints.of(spec.get("matchConstraints") or {}),
        fails_open=spec.get("failurePolicy") == "Ignore",
        param_kind=(kind["apiVersion"], kind["kind"]) if kind is not None else None,
        conditions=_named(spec.get("matchConditions"), "name", "expression"),
        variables=_named(spec.get("variables"), "name", "expression"),
        validations=tuple(map(_validation, spec.get("validations") or ())),
        annotations=_named(spec.get("auditAnnotations"), "key", "valueExpression"),
        mutations=tuple(map(_mutation, spec.get("mutations") or ())),
        is_reinvoked=spec.get("reinvocationPolicy") == "IfNeeded",
    )


def _named(written: Any, name: str, expression: str) -> tuple[Named, ...]:
    return tuple(Named(one[name], one[expression]) for one in written or ())


def _validation(written: Mapping[str, Any]) -> Validation:
    return Validation(
        written["expression"],
        (written.get("message") or "").strip(),
        written.get("messageExpression") or "",
        written.get("reason") or "Invalid",
    )


def _mutation(written: Mapping[str, Any]) -> Mutation:
    kind = written["patchType"]
    field = "jsonPatch" if kind == "JSONPatch" else "applyConfiguration"
    return Mutation(kind, (written.get(field) or {}).get("expression", ""))


def _binding(binding: Mapping[str, Any]) -> Binding:
    spec = binding["spec"]
    reference, resources = spec.get("paramRef"), spec.get("matchResources")
    return Binding(
        name=metadata(binding)["name"],
        param_ref=_reference(reference) if reference is not None else None,
        constraints=Constraints.of(resources) if resources is not None else None,
        actions=tuple(spec.get("validationActions") or ()),
    )


def _reference(reference: Mapping[str, Any]) -> ParamRef:
    selector = reference.get("selector")
    return ParamRef(
        reference.get("name") or "",
        reference.get("namespace") or "",
        from_object(selector) if selector is not None else None,
        reference.get("parameterNotFoundAction") == "Deny",
    )
