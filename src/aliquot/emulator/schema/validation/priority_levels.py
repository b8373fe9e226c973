"""PriorityLevelConfigurations of API priority and fairness."""

from collections.abc import Mapping
from math import log2
from typing import Any

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required

Obj = Mapping[str, Any]

_EXEMPT = "exempt"
_LIMITED = "spec.limited"
_MOST_ENTROPY_BITS = 60


def priority_level(obj: Obj) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name", "")
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    errors: list[FieldError] = []
    if kind not in ("Exempt", "Limited"):
        return [not_supported("spec.type", kind, ("Exempt", "Limited"))]
    if (name == _EXEMPT) != (kind == "Exempt"):
        errors.append(invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            errors.append(forbidden(_LIMITED, "must be nil if the type is not Limited"))
        return errors + (_shares(exempt, "spec.exempt") if exempt is not None else [])
    if exempt is not None:
        errors.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
    if limited is None:
        return [*errors, required(_LIMITED, "must not be empty when type is Limited")]
    errors += _shares(limited, _LIMITED)
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        text = "if specified, must be a non-negative integer"
        errors.append(invalid(f"{_LIMITED}.borrowingLimitPercent", borrowed, text))
    return errors + _response(limited.get("limitResponse") or {}, f"{_LIMITED}.limitResponse")


def _shares(level: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    shares, lent = level.get("nominalConcurrencyShares") or 0, level.get("lendablePercent") or 0
    if shares < 0:
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if not 0 <= lent <= 100:
        errors.append(invalid(f"{path}.lendablePercent", lent, "must be between 0 and 100, inclusive"))
    return errors


def _response(response: Obj, path: str) -> list[FieldError]:
    kind, queuing, where = response.get("type", ""), response.get("queuing"), f"{path}.queuing"
    match kind:
        case "Reject":
            text = "must be nil if limited.limitResponse.type is not Limited"
            return [] if queuing is None else [forbidden(where, text)]
        case "Queue":
            text = "must not be empty if limited.limitResponse.type is Limited"
            return [required(where, text)] if queuing is None else _queuing(queuing, where)
    return [not_supported(f"{path}.type", kind, ("Queue", "Reject"))]


def _queuing(queuing: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("queueLengthLimit", "queues"):
        value = queuing.get(field) or 0
        if value <= 0:
            errors.append(invalid(f"{path}.{field}", value, "must be positive"))
    hand, deck, where = queuing.get("handSize") or 0, queuing.get("queues") or 0, f"{path}.handSize"
    if hand <= 0:
        errors.append(invalid(where, hand, "must be positive"))
    elif hand > deck:
        errors.append(invalid(where, hand, f"should not be greater than queues ({deck})"))
    elif sum(log2(deck - dealt) for dealt in range(hand)) > _MOST_ENTROPY_BITS:
        text = (
            f"required entropy bits of deckSize {deck} and handSize {hand} should not be greater than "
            f"{_MOST_ENTROPY_BITS}"
        )
        errors.append(invalid(where, hand, text))
    return errors
