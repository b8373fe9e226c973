"""MutatingAdmissionPolicies: one after the other, each on what those before it left; some again after a change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aliquot.emulator import statuses
from aliquot.emulator.admission.policies.definitions import (
    MUTATING,
    MUTATING_BINDINGS,
    Binding,
    Bound,
    Definitions,
    Mutation,
    Policy,
)
from aliquot.emulator.admission.policies.parameters import NotConfigured, Param, params
from aliquot.emulator.admission.requests import is_whole, told, untold
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import Registry, Served
from aliquot.emulator.schema.kind import DecodeError, Schema
from aliquot.emulator.statuses import StatusError, details, failure

if TYPE_CHECKING:
    from aliquot.emulator.admission.policies.evaluation import Evaluation
    from aliquot.emulator.admission.policies.programs import Compiled, Programs


class _Failed(Exception):
    """A policy could not do what it is there for; the text says why."""


@dataclass(frozen=True, slots=True)
class _Invocation:
    """A policy with one binding and one set of parameters."""

    policy: Policy
    binding: Binding
    param: Param
    served: Served

    @property
    def key(self) -> tuple[str, str, str, str]:
        named = metadata(self.param) if self.param is not None else {}
        return self.policy.name, self.binding.name, named.get("namespace", ""), named.get("name", "")


class MutatingPolicies:
    """A Mutator. Nothing of it is awaited."""

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._definitions = Definitions(MUTATING, MUTATING_BINDINGS)
        self._compiled: WeakKeyDictionary[Policy, Programs] = WeakKeyDictionary()

    def begin(self, asked: Admitted) -> "_Turn | None":
        bound = self._definitions.bound(asked)
        return _Turn(self, asked, bound) if bound else None

    def invocations(
        self, asked: Admitted, obj: Json | None, bound: Sequence[Bound]
    ) -> tuple[list[_Invocation], list[StatusError]]:
        """Those that an operation concerns; and what could not be followed, where that is to be refused."""
        found: list[_Invocation] = []
        refusals: list[StatusError] = []
        for one in bound:
            policy = one.policy
            try:
                served = policy.constraints.matched(asked, obj, self._registry)
            except StatusError as error:
                refusals += _refusals(asked, policy, None, f"failed to configure policy: {error}")
                continue
            for binding in one.bindings if served is not None else ():
                try:
                    constraints = binding.constraints
                    if constraints is not None and not constraints.matched(asked, obj, self._registry):
                        continue
                    given = params(policy, binding.param_ref, asked, self._registry)
                except (StatusError, NotConfigured) as error:
                    refusals += _refusals(asked, policy, binding, f"failed to configure binding: {error}")
                    continue
                assert served is not None
                found += [_Invocation(policy, binding, param, served) for param in given]
        return found, refusals

    def mutated(self, invocation: _Invocation, asked: Admitted, obj: Json | None) -> Json | None:
        """The same object where nothing is to change. Raises _Failed, StatusError."""
        from aliquot.emulator.admission.policies.evaluation import (
            Evaluation,
            NotEvaluated,
            OutOfBudget,
            bound_values,
        )

        policy, served = invocation.policy, invocation.served
        programs = self._programs(policy)

        def evaluation(body: Json | None) -> "Evaluation":
            old = told(asked, served, asked.old)
            bound = bound_values(asked, served, body, old, invocation.param, self._authorizer)
            return Evaluation(programs, bound)

        body = told(asked, served, obj)
        current = evaluation(body)
        try:
            if not current.concerns(policy) or body is None:
                return obj
            seen = changed = body
            for mutation, program in zip(policy.mutations, programs.mutations, strict=True):
                if changed is not seen:
                    current, seen = evaluation(changed), changed
                changed = self._change(mutation, program, current, asked, served, changed)
        except (NotEvaluated, OutOfBudget) as error:
            raise _Failed(str(error)) from None
        return obj if changed is body else untold(asked, served, changed)

    def _change(
        self,
        mutation: Mutation,
        program: "Compiled",
        evaluation: "Evaluation",
        asked: Admitted,
        served: Served,
        body: Json,
    ) -> Json:
        from aliquot.emulator.admission.policies.evaluation import BUDGET
        from aliquot.emulator.admission.policies.mutations import MutationFailed, applied, json_patch

        value, _ = evaluation.value(program, mutation.expression, BUDGET)
        schema = self._schema(asked, served)
        try:
            if mutation.patch_type == "ApplyConfiguration":
                patched = applied(body, value, schema.shape)
            else:
                patched = _patched(body, json_patch(value))
        except MutationFailed as error:
            raise _Failed(str(error)) from None
        try:
            decoded, _unknown = schema.decode(patched)
        except DecodeError as error:
            raise statuses.internal(str(error)) from error
        filled = schema.default(decoded)
        return body if filled == body else filled

    def _schema(self, asked: Admitted, served: Served) -> Schema:
        return served.schema if is_whole(asked) else self._registry.schema(*asked.kind)

    def _programs(self, policy: Policy) -> "Programs":
        from aliquot.emulator.admission.policies.programs import Programs

        if policy not in self._compiled:
            self._compiled[policy] = Programs(policy)
        return self._compiled[policy]


class _Turn:
    """In the second round those are evaluated again that wish it (reinvocationPolicy IfNeeded), were in the first, and
    after which somebody changed the object."""

    def __init__(self, policies: MutatingPolicies, asked: Admitted, bound: Sequence[Bound]) -> None:
        self._policies = policies
        self._asked = asked
        self._bound = bound
        self._invoked: set[tuple[str, str, str, str]] = set()
        self._outdated: set[tuple[str, str, str, str]] = set()
        self._left: Json | None = None

    async def run(self, obj: Json | None, *, again: bool) -> Json | None:
        """Raises StatusError."""
        if again and obj != self._left:
            self._somebody_changed_it()
        found, refusals = self._policies.invocations(self._asked, obj, self._bound)
        for invocation in found:
            if again and invocation.key not in self._outdated:
                continue
            before = obj
            try:
                obj = self._policies.mutated(invocation, self._asked, obj)
            except _Failed as error:
                refusals += _refusals(
                    self._asked, invocation.policy, invocation.binding, str(error), "Invalid"
                )
                continue
            if obj is not before:
                self._somebody_changed_it()
            if invocation.policy.is_reinvoked:
                self._invoked.add(invocation.key)
        if refusals:
            raise refusals[0]
        self._left = obj
        return obj

    def _somebody_changed_it(self) -> None:
        self._outdated |= self._invoked
        self._invoked = set()


def _patched(body: Json, patch: Sequence[Json]) -> Json:
    """All of a patch, or none of it where a test in it fails. Raises _Failed."""
    patched = body
    for operation in patch:
        try:
            patched = apply_json_patch(patched, [operation])
        except PatchError as error:
            if operation["op"] == "test":
                return body
            raise _Failed(f"JSON Patch: {error}") from None
    return patched


def _refusals(
    asked: Admitted, policy: Policy, binding: Binding | None, why: str, reason: str = "Forbidden"
) -> list[StatusError]:
    """None where the policy lets what it cannot judge pass."""
    if policy.fails_open:
        return []
    if binding is None:
        message = f'policy "{policy.name}" denied request: {why}'
    else:
        message = f"policy '{policy.name}' with binding '{binding.name}' denied request: {why}"
    causes = [{"message": message}]
    return [failure(403, reason, message, details(asked.served.resource, asked.name, causes=causes))]
