"""Every cycle of a running scheduler is decided a second time, from its recording alone."""

from collections.abc import Callable

import pytest

from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import decoded, encoded
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.recording.verdict import decided_again, first_difference, verdict


def replay_all(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """From now on. Returns what tells how many were, of those in which somebody waited."""
    run, count = Case.run, 0

    def twice(case: Case) -> Outcome:
        nonlocal count
        if not len(case.pending):
            return run(case)
        data = encoded(captured(case))
        outcome = run(case)
        monkeypatch.setattr(Case, "run", run)
        _, again = decided_again(restored(decoded(data)))
        monkeypatch.setattr(Case, "run", twice)
        assert first_difference(verdict(outcome), again) == ""
        count += 1
        return outcome

    monkeypatch.setattr(Case, "run", twice)
    return lambda: count
