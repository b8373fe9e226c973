"""Label requirements, node selector terms, taints and tolerations: what they mean, over plain data.

The rules are Kubernetes': an empty term matches nothing, terms are alternatives, requirements within one all hold,
and an absent label satisfies NotIn and DoesNotExist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class TolerationOperator(StrEnum):
    EQUAL = "Equal"
    EXISTS = "Exists"


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.GT | Operator.LT:
                return f"{self.key} {'>' if self.operator is Operator.GT else '<'} {','.join(self.values)}"
            case _:
                return f"{self.key} {'in' if self.operator is Operator.IN else 'notin'} ({','.join(self.values)})"


_NAME = "metadata.name"


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One alternative: all `labels` and all `fields` requirements hold. The one field there is: `metadata.name`."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class PreferredTerm:
    weight: int
    term: NodeTerm


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    effect: TaintEffect
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """`key` empty with EXISTS: every taint. `effect` None: every effect."""

    key: str = ""
    operator: TolerationOperator = TolerationOperator.EQUAL
    value: str = ""
    effect: TaintEffect | None = None

    def tolerates(self, taint: Taint) -> bool:
        if self.effect is not None and self.effect is not taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator is TolerationOperator.EXISTS or self.value == taint.value


def satisfies(labels: Mapping[str, str], requirement: Requirement) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value is not None and value in requirement.values
        case Operator.NOT_IN:
            return value is None or value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.GT | Operator.LT:
            return value is not None and _compares(value, requirement)


def _compares(value: str, requirement: Requirement) -> bool:
    try:
        have, bound = int(value), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return have > bound if requirement.operator is Operator.GT else have < bound


def term_matches(term: NodeTerm, name: str, labels: Mapping[str, str]) -> bool:
    if not term.labels and not term.fields:
        return False
    # Each pod of a DaemonSet is asked of each node, and is for one of them: loops, for they are half as dear.
    for requirement in term.fields:
        if requirement.operator is Operator.IN and requirement.key == _NAME:
            if name not in requirement.values:
                return False
        elif not satisfies({_NAME: name}, requirement):
            return False
    for requirement in term.labels:  # noqa: SIM110
        if not satisfies(labels, requirement):
            return False
    return True


def any_term_matches(terms: tuple[NodeTerm, ...], name: str, labels: Mapping[str, str]) -> bool:
    for term in terms:  # noqa: SIM110
        if term_matches(term, name, labels):
            return True
    return False


def named_by(terms: tuple[NodeTerm, ...]) -> frozenset[str] | None:
    """The only nodes that may match; None: they are not told by their names."""
    names: set[str] = set()
    for term in terms:
        named = [one.values for one in term.fields if one.operator is Operator.IN and one.key == _NAME]
        if not named:
            return None
        names.update(named[0])
    return frozenset(names)


def first_untolerated(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], effects: frozenset[TaintEffect]
) -> Taint | None:
    """The first taint of one of `effects` that no toleration covers."""
    for taint in taints:
        if taint.effect in effects and not any(t.tolerates(taint) for t in tolerations):
            return taint
    return None
