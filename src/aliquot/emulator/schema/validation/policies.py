"""Admission policies and their bindings: what they say, and that their expressions compile."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import label_selector
from aliquot.emulator.schema.validation.webhooks import rule_with_operations

if TYPE_CHECKING:
    from aliquot.emulator.admission.policies.programs import Compiled, Compiler

Obj = Mapping[str, Any]

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ACTIONS = ("Audit", "Deny", "Warn")
_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
_MOST_CONDITIONS, _MOST_ANNOTATIONS = 64, 20
_LONGEST_EXPRESSION_BYTES = 5 * 1024
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_NEWLINES = re.compile(r"[\r\n]")
_ONE_LEAST = "validations or auditAnnotations must contain at least one item"


def validating_policy(obj: Obj, minor: int) -> list[FieldError]:
    spec = obj.get("spec") or {}
    check = _Check(spec, minor)
    errors = _common(spec, check)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        return [
            *errors,
            required("spec.validations", _ONE_LEAST),
            required("spec.auditAnnotations", _ONE_LEAST),
        ]
    for index, validation in enumerate(validations):
        errors += _validation(validation, f"spec.validations[{index}]", check)
    if len(annotations) > _MOST_ANNOTATIONS:
        text = f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"
        errors.append(invalid("spec.auditAnnotations", list(annotations), text))
    name = (obj.get("metadata") or {}).get("name", "")
    seen: set[str] = set()
    for index, annotation in enumerate(annotations):
        where, key = f"spec.auditAnnotations[{index}]", annotation.get("key", "")
        errors += [invalid(f"{where}.key", key, text) for text in names.qualified_name(f"{name}/{key}")]
        errors += _annotation(annotation, where, check)
        if key in seen:
            errors.append(duplicate(f"{where}.key", key))
        seen.add(key)
    return errors


def mutating_policy(obj: Obj, minor: int) -> list[FieldError]:
    spec = obj.get("spec") or {}
    check = _Check(spec, minor)
    errors = _common(spec, check)
    mutations = spec.get("mutations") or ()
    if not mutations:
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        errors += _mutation(mutation, f"spec.mutations[{index}]", check)
    reinvocation = spec.get("reinvocationPolicy", "")
    if not reinvocation:
        errors.append(required("spec.reinvocationPolicy"))
    elif reinvocation not in ("IfNeeded", "Never"):
        errors.append(not_supported("spec.reinvocationPolicy", reinvocation, ("IfNeeded", "Never")))
    return errors


def validating_binding(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = _binding(spec)
    actions: Sequence[str] = spec.get("validationActions") or ()
    where = "spec.validationActions"
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            errors.append(not_supported(f"{where}[{index}]", action, _ACTIONS))
        if action in actions[:index]:
            errors.append(duplicate(f"{where}[{index}]", action))
    if "Deny" in actions and "Warn" in actions:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
            "and headers serves no purpose)"
        )
        errors.append(invalid(where, list(actions), text))
    if not actions:
        errors.append(required(where, "at least one validation action is required"))
    return errors


def mutating_binding(obj: Obj) -> list[FieldError]:
    return _binding(obj.get("spec") or {})


# --- what both kinds have ---


def _common(spec: Obj, check: "_Check") -> list[FieldError]:
    errors: list[FieldError] = []
    failure = spec.get("failurePolicy", "")
    if failure not in ("Fail", "Ignore"):
        errors.append(not_supported("spec.failurePolicy", failure, ("Fail", "Ignore")))
    if spec.get("paramKind") is not None:
        errors += _param_kind(spec["paramKind"], "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required("spec.matchConstraints"))
    else:
        errors += _match_resources(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            errors.append(required("spec.matchConstraints.resourceRules"))
    errors += _conditions(spec.get("matchConditions") or (), "spec.matchConditions", check)
    for index, variable in enumerate(spec.get("variables") or ()):
        errors += _variable(variable, f"spec.variables[{index}]", check)
    return errors


def _param_kind(kind: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    group, slash, version = api_version.rpartition("/")
    if not api_version:
        errors.append(required(f"{path}.apiVersion"))
    elif "/" in group:
        text = f"unexpected GroupVersion string: {api_version}"
        errors.append(invalid(f"{path}.apiVersion", api_version, text))
    else:
        if slash and (problems := names.dns_subdomain(group)):
            errors.append(invalid(f"{path}.apiVersion", group, ",".join(problems)))
        if not version:
            errors.append(invalid(f"{path}.apiVersion", api_version, "version must be specified"))
        elif problems := names.dns_1035_label(version):
            errors.append(invalid(f"{path}.apiVersion", version, ",".join(problems)))
    if not name:
        errors.append(required(f"{path}.kind"))
    elif problems := names.dns_1035_label(name.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(problems)
        errors.append(invalid(f"{path}.kind", name, text))
    return errors


def _match_resources(resources: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = resources.get("matchPolicy", "")
    if policy not in ("Equivalent", "Exact"):
        errors.append(not_supported(f"{path}.matchPolicy", policy, ("Equivalent", "Exact")))
    for word in ("namespaceSelector", "objectSelector"):
        errors += label_selector(resources.get(word) or {}, f"{path}.{word}")
    for word in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(resources.get(word) or ()):
            where = f"{path}.{word}[{index}]"
            errors += _resource_names(rule.get("resourceNames") or (), f"{where}.resourceNames")
            errors += rule_with_operations(rule, where)
    return errors


def _resource_names(listed: Sequence[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, name in enumerate(listed):
        errors += [invalid(f"{path}[{index}]", name, text) for text in names.path_segment(name)]
        if name in listed[:index]:
            errors.append(duplicate(f"{path}[{index}]", name))
    return errors


def _conditions(conditions: Sequence[Obj], path: str, check: "_Check") -> list[FieldError]:
    errors: list[FieldError] = []
    if len(conditions) > _MOST_CONDITIONS:
        errors.append(too_many(path, len(conditions), _MOST_CONDITIONS))
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", condition.get("name", "")
        expression = condition.get("expression", "").strip()
        if not expression:
            errors.append(required(f"{where}.expression"))
        else:
            errors += check.expression(expression, f"{where}.expression", "bool", composed=False)
        if not name:
            errors.append(required(f"{where}.name"))
        else:
            errors += [invalid(f"{where}.name", name, text) for text in names.qualified_name(name)]
            if name in seen:
                errors.append(duplicate(f"{where}.name", name))
            seen.add(name)
    return errors


def _variable(variable: Obj, path: str, check: "_Check") -> list[FieldError]:
    errors: list[FieldError] = []
    name, expression = variable.get("name", ""), variable.get("expression", "")
    if not name.strip():
        errors.append(required(f"{path}.name", "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _reserved():
        errors.append(invalid(f"{path}.name", name, "name is not a valid CEL identifier"))
    if not expression.strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    elif not errors:
        errors += check.variable(name, expression, f"{path}.expression")
    return errors


def _reserved() -> Iterable[str]:
    from aliquot.emulator.cel.schemas import RESERVED

    return RESERVED


def _validation(validation: Obj, path: str, check: "_Check") -> list[FieldError]:
    errors: list[FieldError] = []
    expression, message = validation.get("expression", ""), validation.get("message") or ""
    telling, reason = validation.get("messageExpression") or "", validation.get("reason")
    if not expression.strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    else:
        errors += check.expression(expression, f"{path}.expression", "bool")
    if telling and not telling.strip():
        errors.append(invalid(f"{path}.messageExpression", telling, "must be non-empty if specified"))
    elif telling:
        errors += check.expression(telling, f"{path}.messageExpression", "string", authorizes=False)
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif _NEWLINES.search(message.strip()):
        errors.append(invalid(f"{path}.message", message, "message must not contain line breaks"))
    if reason is not None and reason not in _REASONS:
        errors.append(not_supported(f"{path}.reason", reason, _REASONS))
    return errors


def _annotation(annotation: Obj, path: str, check: "_Check") -> list[FieldError]:
    where, expression = f"{path}.valueExpression", annotation.get("valueExpression", "").strip()
    if not expression:
        return [required(where, "valueExpression is not specified")]
    if len(expression.encode()) > _LONGEST_EXPRESSION_BYTES:
        return [required(where, f"must not exceed {_LONGEST_EXPRESSION_BYTES} bytes in length")]
    return check.expression(expression, where, "text or null")


def _mutation(mutation: Obj, path: str, check: "_Check") -> list[FieldError]:
    kind = mutation.get("patchType", "")
    if not kind:
        return [required(f"{path}.patchType")]
    if kind not in _PATCHES:
        return [not_supported(f"{path}.patchType", kind, tuple(sorted(_PATCHES)))]
    errors: list[FieldError] = []
    for other, field in _PATCHES.items():
        if other != kind and mutation.get(field) is not None:
            errors.append(forbidden(f"{path}.{field}", f"{field} must not be set when patchType is {kind}"))
    field = _PATCHES[kind]
    expression = (mutation.get(field) or {}).get("expression", "")
    if mutation.get(field) is None:
        errors.append(required(f"{path}.{field}", f"must be specified when patchType is {kind}"))
    elif not expression.strip():
        errors.append(required(f"{path}.{field}.expression", "expression is not specified"))
    else:
        errors += check.expression(expression, f"{path}.{field}.expression", kind)
    return errors


def _binding(spec: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    name = spec.get("policyName", "")
    if not name:
        errors.append(required("spec.policyName"))
    else:
        errors += [invalid("spec.policyName", name, text) for text in names.dns_subdomain(name)]
    if spec.get("paramRef") is not None:
        errors += _param_ref(spec["paramRef"], "spec.paramRef")
    if spec.get("matchResources") is not None:
        # The real server's own spelling.
        errors += _match_resources(spec["matchResources"], "spec.matchResouces")
    return errors


def _param_ref(reference: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, selector = reference.get("name", ""), reference.get("selector")
    if name:
        errors += [invalid(f"{path}.name", name, text) for text in names.path_segment(name)]
        if selector is not None:
            errors.append(forbidden(f"{path}.name", "name and selector are mutually exclusive"))
    if selector is not None:
        errors += label_selector(selector, f"{path}.selector")
        if name:
            errors.append(forbidden(f"{path}.selector", "name and selector are mutually exclusive"))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction", "")
    if not action:
        errors.append(required(f"{path}.parameterNotFoundAction"))
    elif action not in ("Deny", "Allow"):
        errors.append(not_supported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow")))
    return errors


# --- expressions ---


class _Check:
    """Compiles the expressions of one policy as they come: a new one must be understood by the version before, too."""

    def __init__(self, spec: Obj, minor: int) -> None:
        self._has_params = spec.get("paramKind") is not None
        self._minor = minor - 1
        self._composed: Compiler | None = None

    def _compiler(self, *, composes: bool) -> "Compiler":
        from aliquot.emulator.admission.policies.programs import Compiler

        return Compiler(self._minor, has_params=self._has_params, composes=composes)

    def _composing(self) -> "Compiler":
        if self._composed is None:
            self._composed = self._compiler(composes=True)
        return self._composed

    def variable(self, name: str, expression: str, path: str) -> list[FieldError]:
        from aliquot.emulator.admission.policies.definitions import Named

        return _told(self._composing().add(Named(name, expression)), expression, path)

    def expression(
        self, expression: str, path: str, kind: str, *, composed: bool = True, authorizes: bool = True
    ) -> list[FieldError]:
        from aliquot.emulator.admission.policies.programs import TEXT_OR_NULL, patch_result
        from aliquot.emulator.cel.types import BOOL, STRING

        compiler = self._composing() if composed else self._compiler(composes=False)
        if kind in _PATCHES:
            compiled = compiler.compile(expression, (patch_result(kind),), mutates=True)
        else:
            results = {"bool": (BOOL,), "string": (STRING,), "text or null": TEXT_OR_NULL}[kind]
            compiled = compiler.compile(expression, results, authorizes=authorizes)
        return _told(compiled, expression, path)


def _told(compiled: "Compiled", expression: str, path: str) -> list[FieldError]:
    from aliquot.emulator.admission.policies.programs import Failed

    return [invalid(path, expression, compiled.problem)] if isinstance(compiled, Failed) else []
