"""ValidatingAdmissionPolicies: every policy that is bound and concerned says yes or no; the first no is told."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aliquot.emulator.admission.annotations import annotate
from aliquot.emulator.admission.policies.definitions import (
    VALIDATING,
    VALIDATING_BINDINGS,
    Binding,
    Bound,
    Definitions,
    Policy,
    Validation,
)
from aliquot.emulator.admission.policies.parameters import NotConfigured, Param, params
from aliquot.emulator.admission.requests import told
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import Registry, Served
from aliquot.emulator.statuses import StatusError, details, failure

if TYPE_CHECKING:
    from aliquot.emulator.admission.policies.evaluation import Evaluation
    from aliquot.emulator.admission.policies.programs import Programs

_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
_LONGEST_MESSAGE_BYTES = 5 * 1024
_LONGEST_ANNOTATION = 10 * 1024
_MOST_FAILURES = 50
_FAILURES = "validation.policy.admission.k8s.io/validation_failure"


@dataclass(frozen=True, slots=True)
class Decision:
    """A no, and why."""

    message: str
    reason: str = ""
    index: int = 0
    """Of the expression."""


@dataclass(slots=True)
class _Findings:
    denials: list[tuple[Policy, Binding | None, Decision]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    """For the audit log."""


class ValidatingPolicies:
    """A Validator. Nothing of it is awaited."""

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._definitions = Definitions(VALIDATING, VALIDATING_BINDINGS)
        self._compiled: WeakKeyDictionary[Policy, Programs] = WeakKeyDictionary()

    def check(self, asked: Admitted, obj: Json | None) -> None:
        """Raises StatusError."""
        bound = self._definitions.bound(asked)
        if bound:
            self._check(asked, obj, bound)

    def _check(self, asked: Admitted, obj: Json | None, bound: Sequence[Bound]) -> None:
        findings = _Findings()
        for one in bound:
            policy = one.policy
            try:
                served = policy.constraints.matched(asked, obj, self._registry)
            except StatusError as error:
                _misconfigured(findings, policy, None, str(error))
                continue
            if served is not None:
                self._check_policy(asked, obj, one, served, findings)
        if findings.failures:
            text = json.dumps(findings.failures[:_MOST_FAILURES], separators=(",", ":"))
            annotate(asked.call, _FAILURES, text)
        if findings.denials:
            raise _denied(asked, obj, *findings.denials[0])

    def _check_policy(
        self, asked: Admitted, obj: Json | None, bound: Bound, served: Served, findings: _Findings
    ) -> None:
        policy = bound.policy
        notes: dict[str, list[str]] = {}
        for binding in bound.bindings:
            try:
                if binding.constraints is not None and not binding.constraints.matched(
                    asked, obj, self._registry
                ):
                    continue
                found = params(policy, binding.param_ref, asked, self._registry)
            except (StatusError, NotConfigured) as error:
                _misconfigured(findings, policy, binding, str(error))
                continue
            for param in found:
                for decision in self._decisions(policy, asked, served, obj, param, notes, findings, binding):
                    _act(asked, policy, binding, decision, findings)
        for key, texts in notes.items():
            annotate(asked.call, f"{policy.name}/{key}", ", ".join(texts))

    def _decisions(
        self,
        policy: Policy,
        asked: Admitted,
        served: Served,
        obj: Json | None,
        param: Param,
        notes: dict[str, list[str]],
        findings: _Findings,
        binding: Binding,
    ) -> Iterator[Decision]:
        """What a policy says no to with one set of parameters; annotations for the audit log go into `notes`."""
        from aliquot.emulator.admission.policies.evaluation import (
            BUDGET,
            Evaluation,
            NotEvaluated,
            OutOfBudget,
            bound_values,
        )

        programs = self._programs(policy)
        new, old = told(asked, served, obj), told(asked, served, asked.old)
        evaluation = Evaluation(programs, bound_values(asked, served, new, old, param, self._authorizer))
        try:
            if not evaluation.concerns(policy):
                return
            budget = BUDGET
            broken: list[tuple[int, Validation]] = []
            for index, validation in enumerate(policy.validations):
                try:
                    held, budget = evaluation.value(
                        programs.validations[index], validation.expression, budget
                    )
                except NotEvaluated as error:
                    if not policy.fails_open:
                        yield Decision(str(error), "", index)
                    continue
                if held is not True:
                    broken.append((index, validation))
            for index, validation in broken:
                message, budget = _message(evaluation, programs, index, validation, budget)
                yield Decision(message, validation.reason, index)
        except (NotEvaluated, OutOfBudget) as error:
            if not policy.fails_open:
                yield Decision(str(error))
            return
        for denial in _annotations(evaluation, programs, policy, notes):
            findings.denials.append((policy, binding, denial))

    def _programs(self, policy: Policy) -> "Programs":
        from aliquot.emulator.admission.policies.programs import Programs

        if policy not in self._compiled:
            self._compiled[policy] = Programs(policy)
        return self._compiled[policy]


def _message(
    evaluation: "Evaluation", programs: "Programs", index: int, validation: Validation, budget: int
) -> tuple[str, int]:
    """(what is told of a broken validation, what is left of the budget). Raises NotEvaluated."""
    from aliquot.emulator.admission.policies.evaluation import NotEvaluated, OutOfBudget

    plain = validation.message or f"failed expression: {validation.expression.strip()}"
    program = programs.messages[index]
    if program is None:
        return plain, budget
    try:
        value, budget = evaluation.value(program, validation.message_expression, budget)
    except NotEvaluated:
        return plain, budget
    except OutOfBudget as error:
        raise NotEvaluated(f"failed messageExpression: {error}") from None
    text = value.strip() if isinstance(value, str) else ""
    if not text or "\n" in text or len(text.encode()) > _LONGEST_MESSAGE_BYTES:
        return plain, budget
    return text, budget


def _annotations(
    evaluation: "Evaluation", programs: "Programs", policy: Policy, notes: dict[str, list[str]]
) -> Iterator[Decision]:
    from aliquot.emulator.admission.policies.evaluation import BUDGET, NotEvaluated, OutOfBudget

    budget = BUDGET
    for annotation, program in zip(policy.annotations, programs.annotations, strict=True):
        try:
            value, budget = evaluation.value(program, annotation.expression, budget)
        except NotEvaluated as error:
            if not policy.fails_open:
                yield Decision(str(error))
            continue
        except OutOfBudget as error:
            if not policy.fails_open:
                yield Decision(str(error))
            return
        text = value.strip()[:_LONGEST_ANNOTATION] if isinstance(value, str) else ""
        if text and text not in notes.setdefault(annotation.name, []):
            notes[annotation.name].append(text)


def _act(asked: Admitted, policy: Policy, binding: Binding, decision: Decision, findings: _Findings) -> None:
    for action in binding.actions:
        match action:
            case "Deny":
                findings.denials.append((policy, binding, decision))
            case "Audit":
                findings.failures.append(
                    {
                        "message": decision.message,
                        "policy": policy.name,
                        "binding": binding.name,
                        "expressionIndex": decision.index,
                        "validationActions": list(binding.actions),
                    }
                )
            case "Warn":
                where = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}'"
                warning = f"Validation failed for {where}: {decision.message}"
                if warning not in asked.call.warnings:
                    asked.call.warnings.append(warning)


def _misconfigured(findings: _Findings, policy: Policy, binding: Binding | None, why: str) -> None:
    if not policy.fails_open:
        what = "policy" if binding is None else "binding"
        findings.denials.append((policy, binding, Decision(f"failed to configure {what}: {why}")))


def _denied(
    asked: Admitted, obj: Json | None, policy: Policy, binding: Binding | None, decision: Decision
) -> StatusError:
    who = f"ValidatingAdmissionPolicy '{policy.name}'"
    if binding is not None:
        who += f" with binding '{binding.name}'"
    message = f"{who} denied request: {decision.message}"
    resource, reason = asked.served.resource, decision.reason or "Invalid"
    name = asked.name or (metadata(obj).get("name") if obj is not None else "") or "Unknown"
    return failure(
        _CODES.get(reason, 422),
        reason,
        f'{resource.qualified} "{name}" is forbidden: {message}',
        details(resource, name, causes=[{"message": message}]),
    )
