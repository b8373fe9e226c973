"""Conditions as they are written, and what is told of them."""

import pytest

from aliquot.kube.api.meta import Condition
from aliquot.operator.core.conditions import is_reworded, news, shown, timed
from aliquot.operator.core.progress import Progress, Shown, Status, Step, Told

NOW_S = 1_767_225_600.0
NOW, EARLIER = "2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"


def test_one_that_stays_keeps_its_time() -> None:
    before = [
        Condition(type="A", status="True", reason="x", last_transition_time=EARLIER),
        Condition(type="B", status="True", reason="x", last_transition_time=EARLIER),
    ]
    told = {"A": Told(Status.TRUE, "y", "m"), "B": Told(Status.FALSE, "z"), "C": Told(Status.TRUE, "x")}
    assert timed(told, before, NOW_S) == [
        Condition(type="A", status="True", reason="y", message="m", last_transition_time=EARLIER),
        Condition(type="B", status="False", reason="z", last_transition_time=NOW),
        Condition(type="C", status="True", reason="x", last_transition_time=NOW),
    ]


def test_times_that_nobody_can_read_are_long_ago() -> None:
    found = shown([Condition(type="A", status="True", last_transition_time="soon")])
    assert found == {"A": Shown("True", "", "", 0.0)}


def said(status: str, reason: str, message: str = "", kind: str = "A") -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)


@pytest.mark.parametrize(
    ("before", "wanted", "expected"),
    [
        (said("False", "Starting", "a"), said("False", "Starting", "b"), True),
        (said("False", "Starting"), said("False", "ImagePullBackOff"), True),
        (said("True", "Ready"), said("True", "Ready", "driver 1"), True),
        (said("False", "Starting"), said("True", "Ready"), False),
        (said("True", "Ready"), said("Unknown", "Paused"), False),
        (said("False", "Starting"), said("False", "DeadlineExceeded"), False),
        (said("False", "DeadlineExceeded"), said("False", "Starting"), False),
        (said("False", "DeadlineExceeded", "a"), said("False", "DeadlineExceeded", "b"), True),
        (said("False", "Starting", kind="B"), said("False", "Starting"), False),
    ],
)
def test_what_is_the_same_in_other_words(before: Condition, wanted: Condition, expected: bool) -> None:
    stays = said("True", "Ready", kind="Other")
    assert is_reworded([wanted, stays], [stays, before]) is expected


STARTS = Shown("False", "Starting", "", 0.0)
READY = Shown("True", "Ready", "", 0.0)


@pytest.mark.parametrize(
    ("step", "told", "before", "events"),
    [
        (Step.DRIVER, Told(Status.TRUE, "Ready"), STARTS, [(False, "DriverReady", "the driver is loaded")]),
        (Step.DRIVER, Told(Status.TRUE, "Ready"), READY, []),
        (Step.DRIVER, Told(Status.TRUE, "Ready"), None, []),
        (Step.DRIVER, Told(Status.TRUE, "Preinstalled"), STARTS, []),
        (Step.DRIVER, Told(Status.FALSE, "Starting"), READY, []),
        (Step.DRIVER, Told(Status.FALSE, "DeadlineExceeded", "late"), STARTS, [(True, "DeadlineExceeded", "DriverReady: late")]),
        (Step.DRIVER, Told(Status.FALSE, "NoDriverImage", "none"), None, [(True, "NoDriverImage", "DriverReady: none")]),
        (Step.DRIVER, Told(Status.FALSE, "NoDriverImage", "none"), Shown("False", "NoDriverImage", "none", 0.0), []),
        (Step.VALIDATED, Told(Status.TRUE, "Validated"), STARTS, []),
        (Step.VALIDATED, Told(Status.FALSE, "ValidationFailed"), STARTS, []),
        (Step.VALIDATED, Told(Status.FALSE, "DeadlineExceeded", "late"), STARTS, [(True, "DeadlineExceeded", "Validated: late")]),
    ],
)  # fmt: skip
def test_what_is_told(
    step: Step, told: Told, before: Shown | None, events: list[tuple[bool, str, str]]
) -> None:
    progress = Progress({step: told}, {})
    assert news(progress, {step: before} if before is not None else {}) == events
