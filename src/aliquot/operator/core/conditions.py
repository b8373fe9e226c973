"""Conditions as they are written, and what is told of their changes."""

from collections.abc import Iterable, Mapping, Sequence

from aliquot.clock import parse_rfc3339, rfc3339
from aliquot.kube.api.meta import Condition
from aliquot.operator.core.progress import FAILURES, Progress, Shown, Status, Step, Told

_UNTOLD = frozenset({"NotWanted", "Preinstalled", "NothingWanted", "Outdated"})
"""Reasons of a step that is done without anything having been done."""
_TOLD_BY_VALIDATOR = frozenset({"Validated", "ValidationFailed"})
_DONE: Mapping[Step, str] = {
    Step.DRIVER: "the driver is loaded",
    Step.TOOLKIT: "the container toolkit is set up",
    Step.AGENT: "its GPUs are served",
    Step.MIG: "its GPUs are cut as wanted",
    Step.EXPORTER: "the exporter runs",
}


def shown(conditions: Iterable[Condition]) -> dict[str, Shown]:
    return {
        one.type: Shown(one.status, one.reason, one.message, _seconds(one.last_transition_time))
        for one in conditions
    }


def timed(told: Mapping[str, Told], before: Iterable[Condition], now_s: float) -> list[Condition]:
    """A condition that stays keeps its time."""
    earlier = {one.type: one for one in before}
    return [_timed(kind, one, earlier.get(kind), now_s) for kind, one in told.items()]


def _timed(kind: str, told: Told, before: Condition | None, now_s: float) -> Condition:
    kept = before.last_transition_time if before is not None and before.status == told.status else None
    return Condition(
        type=str(kind),
        status=str(told.status),
        reason=told.reason,
        message=told.message,
        last_transition_time=kept or rfc3339(now_s),
    )


def same(wanted: Sequence[Condition], before: Iterable[Condition], types: Iterable[str]) -> bool:
    """`types`: all that are ours."""
    ours = set(types)
    return {one.type: one for one in wanted} == {one.type: one for one in before if one.type in ours}


def is_reworded(wanted: Iterable[Condition], before: Iterable[Condition]) -> bool:
    """Each step stands as it is written, if at all differently then in its words: it is under way, for another reason."""
    earlier = {one.type: one for one in before}
    return all(
        (was := earlier.get(one.type)) is not None
        and one.status == was.status
        and (one.reason == was.reason or not FAILURES & {one.reason, was.reason})
        for one in wanted
    )


def news(progress: Progress, before: Mapping[str, Shown]) -> list[tuple[bool, str, str]]:
    """(whether it is bad, reason, message) of each step that is done, or has failed, since."""
    found: list[tuple[bool, str, str]] = []
    for step, told in progress.conditions.items():
        last = before.get(step)
        if told.reason in _TOLD_BY_VALIDATOR:
            continue
        if told.reason in FAILURES:
            if last is None or last.reason != told.reason:
                found.append((True, told.reason, f"{step}: {told.message}"))
        elif (
            told.status is Status.TRUE
            and told.reason not in _UNTOLD
            and last is not None
            and last.status != Status.TRUE
        ):
            found.append((False, str(step), _DONE[step]))
    return found


def _seconds(text: str | None) -> float:
    try:
        return parse_rfc3339(text) if text else 0.0
    except ValueError:
        return 0.0
