"""What was decided, as plain data of which the bytes can be compared, and where two of them differ first."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.cycle import Blocked, Outcome
from aliquot.scheduler.core.stale import Fallen
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Below, Bound, Decided, Start, Verdict, Waits


def decided_again(case: Case) -> tuple[Outcome | None, Verdict]:
    """None: a policy failed."""
    try:
        outcome = case.run()
    except Exception as error:
        return None, failed(error)
    return outcome, verdict(outcome)


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(
        decisions=tuple(
            Decided(
                one.job.key,
                _bound(one.binds),
                tuple(pod.key for pod in one.after),
                tuple((moved.moved, moved.node) for moved in one.stand_ins),
            )
            for one in outcome.decisions
        ),
        blocked=tuple(map(_waits, outcome.blocked)),
        promises=tuple(map(_start, outcome.promises)),
        more=outcome.more,
        fallen=None
        if outcome.fallen is None
        else tuple(_below(one) for one in outcome.fallen if not one.is_hoped_for),
    )


def failed(error: Exception) -> Verdict:
    return Verdict(raised=f"{type(error).__name__}: {error}")


def in_bytes(one: Verdict) -> bytes:
    return msgspec.msgpack.encode(one)


def first_difference(recorded: Verdict, again: Verdict) -> str:
    """Where, what was recorded and what it is now; empty: not one bit."""
    if in_bytes(recorded) == in_bytes(again):
        return ""
    return _difference("", msgspec.to_builtins(recorded), msgspec.to_builtins(again))


def _difference(where: str, one: Any, other: Any) -> str:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in (*one, *(name for name in other if name not in one)):
            inner = f"{where}.{name}" if where else name
            if found := _difference(inner, one.get(name), other.get(name)):
                return found
        return ""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            if found := _difference(f"{where}[{number}]", left, right):
                return found
        if len(one) != len(other):
            return f"{where}: {len(one)} recorded, {len(other)} now"
        return ""
    return "" if one == other else f"{where}: {one!r} recorded, {other!r} now"


def _bound(binds: Iterable[Bind]) -> tuple[Bound, ...]:
    return tuple(
        Bound(bind.pod.key, bind.placed.node, tuple(bind.placed.devices), bind.placed.reserved)
        for bind in binds
    )


def _below(one: Fallen) -> Below:
    return Below(one.job.key, one.due_s, one.kept, one.goes)


def _waits(one: Blocked) -> Waits:
    short = one.shortfall
    return Waits(
        one.job.key, short.shape.signature, short.placed, short.needed, short.reason, short.level, short.told
    )


def _start(one: Promise) -> Start:
    return Start(one.job.key, one.start_s, one.end_s, _bound(one.binds))
