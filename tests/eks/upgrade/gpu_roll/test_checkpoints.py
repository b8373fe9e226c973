"""Who is asked for a checkpoint, and who has answered: as tables."""

from typing import Any

import msgspec
import pytest

from aliquot.clock import parse_rfc3339
from aliquot.eks.estate.gangs import Gang, Root, Thing
from aliquot.eks.estate.job_kinds import Way
from aliquot.eks.estate.objects import Meta, Pod
from aliquot.eks.upgrade.gpu_roll.checkpoints import hooks, saved, unasked, wanted
from aliquot.eks.upgrade.gpu_roll.marks import CHECKPOINT_URL
from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, REQUESTED
from aliquot.kube.resources import JOBS

ASKED = "2026-10-01T08:00:00Z"
ASKED_S = parse_rfc3339(ASKED) + 0.7
NOW_S = ASKED_S + 30


def gang(*pods: dict[str, str], phase: str = "Running", **root: str) -> Gang:
    job = Thing(resource=JOBS, metadata=Meta(name="job", namespace="ml", annotations=root))
    return Gang(
        roots=(
            Root(
                kind="Job", group="batch", namespace="ml", name="job", way=Way.FIELD, target=job, itself=job
            ),
        ),
        pods=tuple(
            msgspec.convert(
                {"metadata": {"name": f"p{number}", "annotations": one}, "status": {"phase": phase}}, Pod
            )
            for number, one in enumerate(pods)
        ),
    )


SAVES = {ON_REQUEST: "true"}


@pytest.mark.parametrize(
    ("of", "is_wanted"),
    [
        (gang({}, {}), False),
        (gang({}, SAVES), True),
        (gang({ON_REQUEST: "false"}), False),
        (gang({CHECKPOINT_URL: ":80/save"}), True),
        (gang({CHECKPOINT_URL: "nowhere"}), False),
        (gang(SAVES, phase="Pending"), False),
        (gang({}, **SAVES), True),
    ],
)
def test_who_is_worth_waiting_for(of: Gang, is_wanted: bool) -> None:
    assert wanted(of) is is_wanted


@pytest.mark.parametrize(
    ("said", "has_saved"),
    [
        ({}, False),
        ({LAST: "2026-10-01T07:59:59Z"}, False),
        # In whole seconds.
        ({LAST: ASKED}, True),
        ({LAST: "2026-10-01T10:00:20+02:00"}, True),
        ({LAST: "2026-10-01T08:01:20Z"}, True),
        ({LAST: "2026-10-01T09:00:00Z"}, False),
        ({LAST: "yesterday"}, False),
        ({LAST: "2026-10-01T08:00:10"}, False),
    ],
)
def test_any_pod_or_who_made_them_says_that_it_has_saved(said: dict[str, str], has_saved: bool) -> None:
    assert saved(gang({}, said), ASKED_S, NOW_S) is has_saved
    assert saved(gang({}, **said), ASKED_S, NOW_S) is has_saved


def test_who_was_asked_before_is_asked_again() -> None:
    found: list[Any] = unasked(gang({REQUESTED: ASKED}, {REQUESTED: "2026-10-01T07:00:00Z"}, {}), ASKED_S)
    assert [pod.metadata.name for pod in found] == ["p1", "p2"]


def test_hooks_are_of_pods_that_run() -> None:
    of = gang({CHECKPOINT_URL: ":80/a"}, {}, {CHECKPOINT_URL: "x"})
    assert [(pod.metadata.name, one.path) for pod, one in hooks(of)] == [("p0", "a")]
    assert hooks(gang({CHECKPOINT_URL: ":80/a"}, phase="Pending")) == []
