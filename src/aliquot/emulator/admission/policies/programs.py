"""A policy's expressions, compiled. One that does not compile says so when it is to be evaluated."""

from collections.abc import Iterable
from dataclasses import dataclass

from aliquot.emulator.admission.expressions import VARIABLES
from aliquot.emulator.admission.policies.definitions import Named, Policy
from aliquot.emulator.admission.policies.mutations import MutationTypes
from aliquot.emulator.cel import CompileError, Environment, Program
from aliquot.emulator.cel.types import (
    BOOL,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    Kind,
    Type,
    list_of,
    map_of,
    object_of,
)
from aliquot.emulator.schema.validation.rules import EVERY_MINOR

_CONDITION = object_of(
    "kubernetes.NamespaceCondition",
    {
        **dict.fromkeys(("status", "type", "message", "reason"), STRING),
        "lastTransitionTime": TIMESTAMP,
    },
)
NAMESPACE = object_of(
    "kubernetes.Namespace",
    {
        "metadata": object_of(
            "kubernetes.NamespaceMetadata",
            {
                **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
                **dict.fromkeys(("labels", "annotations"), map_of(STRING, STRING)),
                **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
                **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
                "finalizers": list_of(STRING),
            },
        ),
        "spec": object_of("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": object_of(
            "kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}
        ),
    },
)
_AUTHORIZERS = ("authorizer", "authorizer.requestResource")
_ANY = (DYN,)


@dataclass(frozen=True, slots=True)
class Failed:
    """An expression that does not compile."""

    problem: str
    result: Type = DYN


Compiled = Program | Failed


class Compiler:
    """The names that a policy's expressions may use: its variables one after the other, each in view of those before.

    Objects and parameters are taken as they come. Without `composes` there are no variables.
    """

    def __init__(self, minor: int, *, has_params: bool, composes: bool = True) -> None:
        self._minor = minor
        params = {"params": DYN} if has_params else {}
        self._names: dict[str, Type] = {**VARIABLES, "namespaceObject": NAMESPACE, **params}
        self._composes = composes
        self._variables: dict[str, Type] = {}
        self._environments: dict[tuple[bool, bool], Environment] = {}

    def add(self, variable: Named) -> Compiled:
        compiled = self.compile(variable.expression, _ANY)
        self._variables[variable.name] = _as_field(compiled.result)
        self._environments.clear()
        return compiled

    def compile(
        self, expression: str, results: Iterable[Type], *, authorizes: bool = True, mutates: bool = False
    ) -> Compiled:
        """`results`: the types it may come to; DYN allows any."""
        try:
            program = self._environment(authorizes, mutates).compile(expression)
        except CompileError as error:
            return Failed(f"compilation failed: {error}")
        allowed = list(results)
        if DYN in allowed or program.result in allowed:
            return program
        if len(allowed) == 1:
            return Failed(f"must evaluate to {_shown(allowed[0])} but got {_shown(program.result)}")
        shown = " ".join(map(_shown, allowed))
        return Failed(f"must evaluate to one of [{shown}] but got {_shown(program.result)}")

    def _environment(self, authorizes: bool, mutates: bool) -> Environment:
        found = self._environments.get((authorizes, mutates))
        if found is None:
            names = dict(self._names)
            if self._composes:
                names["variables"] = object_of("kubernetes.variables", dict(self._variables))
            if not authorizes:
                names = {name: kind for name, kind in names.items() if name not in _AUTHORIZERS}
            constructor = MutationTypes() if mutates else None
            found = Environment(names, minor=self._minor, mutation=mutates, constructor=constructor)
            self._environments[authorizes, mutates] = found
        return found


def _as_field(result: Type) -> Type:
    """Objects and opaque values are taken as they come."""
    if result.kind in (Kind.LIST, Kind.MAP):
        return Type(result.kind, "", tuple(map(_as_field, result.parameters)))
    return DYN if result.kind in (Kind.OBJECT, Kind.OPAQUE, Kind.PARAMETER, Kind.TYPE) else result


def _shown(one: Type) -> str:
    return "null_type" if one.kind is Kind.NULL else str(one)


OBJECT = object_of("Object", {})
JSON_PATCH = object_of("JSONPatch", {})
_PATCHES = {"ApplyConfiguration": OBJECT, "JSONPatch": list_of(JSON_PATCH)}
TEXT_OR_NULL = (STRING, NULL)


def patch_result(patch_type: str) -> Type:
    return _PATCHES[patch_type]


class Programs:
    """All of one policy."""

    def __init__(self, policy: Policy) -> None:
        compiler = Compiler(EVERY_MINOR, has_params=policy.param_kind is not None)
        self.variables = {one.name: compiler.add(one) for one in policy.variables}
        self.conditions = [compiler.compile(one.expression, (BOOL,)) for one in policy.conditions]
        self.validations = [compiler.compile(one.expression, (BOOL,)) for one in policy.validations]
        self.messages = [
            compiler.compile(one.message_expression, (STRING,), authorizes=False)
            if one.message_expression
            else None
            for one in policy.validations
        ]
        self.annotations = [compiler.compile(one.expression, TEXT_OR_NULL) for one in policy.annotations]
        self.mutations = [
            compiler.compile(one.expression, (patch_result(one.patch_type),), mutates=True)
            for one in policy.mutations
        ]
