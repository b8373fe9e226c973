"""Status conditions: at most one of each type, whose transition time changes only with its status."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aliquot.clock import rfc3339
from aliquot.emulator.controllers.types import WorkloadCondition


def find(conditions: Iterable[WorkloadCondition] | None, kind: str) -> WorkloadCondition | None:
    return next((condition for condition in conditions or () if condition.type == kind), None)


def is_true(conditions: Iterable[WorkloadCondition] | None, kind: str) -> bool:
    found = find(conditions, kind)
    return found is not None and found.status == "True"


def put(
    conditions: Sequence[WorkloadCondition], new: WorkloadCondition, now: float, *, refresh: bool = False
) -> tuple[WorkloadCondition, ...]:
    """`conditions` with `new` in them. Nothing changes where status and reason are as they were, unless `refresh`."""
    old = find(conditions, new.type)
    if old is not None and (old.status, old.reason) == (new.status, new.reason) and not refresh:
        return tuple(conditions)
    since = old.last_transition_time if old is not None and old.status == new.status else rfc3339(now)
    return (*without(conditions, new.type), msgspec.structs.replace(new, last_transition_time=since))


def without(conditions: Sequence[WorkloadCondition], kind: str) -> tuple[WorkloadCondition, ...]:
    return tuple(condition for condition in conditions if condition.type != kind)


def to_json(conditions: Iterable[WorkloadCondition]) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = msgspec.to_builtins(list(conditions))
    return encoded
