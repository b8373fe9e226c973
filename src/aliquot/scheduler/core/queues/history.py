"""What a queue or a user has had, recent times counting most.

A running average of what is held, in which a moment counts half as much after every half-life: `Shares` weigh it against what
the queue was due. Nothing has to be told at regular times: the average of a stretch in which nothing changed is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aliquot.scheduler.core.pod import Amounts

_FORGOTTEN = 0.5
"""Of a unit: an average below it is none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one queue, or of one user of a queue."""

    average: Mapping[str, float] = field(default_factory=dict)
    """At `at_s`, in the units of what is held."""
    at_s: float = 0.0


def advanced(usage: Usage, held: Amounts, now_s: float, half_life_s: float) -> Usage:
    """The usage now, `held` being what was held since. In one step or in many: it comes to the same. A clock that went back
    counts as no time."""
    passed_s = now_s - usage.at_s
    if passed_s <= 0:
        return usage
    kept = 0.5 ** (passed_s / half_life_s)
    average = {
        resource: value
        for resource in usage.average.keys() | held.keys()
        if (value := usage.average.get(resource, 0.0) * kept + held.get(resource, 0) * (1 - kept))
        >= _FORGOTTEN
    }
    return Usage(average, now_s)


def used(usage: Usage) -> Amounts:
    """In whole units, as `fair_share.Past` takes it."""
    return {resource: round(value) for resource, value in usage.average.items()}
