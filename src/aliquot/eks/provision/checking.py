"""Whether the calls of a plan are ones that AWS' own models know, before any is made."""

from typing import Any

from aliquot.eks.aws.model import against_model
from aliquot.eks.provision.resources import Call, Ref


def wrong(call: Call) -> str:
    """What is wrong with it, in one line; empty: nothing is. A Ref is taken for some text."""
    parts = against_model(call.service, call.operation, shown(call.parameters))
    return "; ".join(" ".join(part.split()) for part in parts)


def shown(value: Any) -> Any:
    """With Refs as they are written for people."""
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, (list, tuple)) else value
