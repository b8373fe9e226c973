"""What the command line makes of an answer, and what it refuses."""

from typing import Any

import pytest
from click.testing import CliRunner

from aliquot.cli import explain as command
from aliquot.cli.main import cli
from aliquot.scheduler.explaining import Ahead, Answer, Cure, Members, QueueNumbers, Why

WAITS = Answer(
    kind="podgroup",
    namespace="default",
    name="train",
    state="Waiting",
    told="podgroup default/train waits: 4 GPUs are asked for, and queue research has 3 of 6 at most",
    why=Why(reason="OverLimit", message="4 GPUs are asked for, and queue research has 3 of 6 at most"),
    job="podgroup default/train",
    members=Members(needed=4, exist=4, placed=0),
    queues=(
        QueueNumbers(
            queue="vision",
            resource="gpu",
            allocated="3",
            requested="7",
            fair_share="6",
            quota="4",
            limit="",
            pending_jobs=12,
        ),
    ),
    position=12,
    line=12,
    ahead=(Ahead(job="pod default/first", asks="1 pod, 2 GPUs", priority=5),),
    changes=(
        Cure(steps=("raise the limit of queue research from 6 to 7 GPUs",)),
        Cure(steps=("raise it", "add 1 node")),
    ),
)
TABLE = """\
podgroup default/train waits: 4 GPUs are asked for, and queue research has 3 of 6 at most
  reason    OverLimit
  members   4 needed, 4 exist, 0 placed
  in line   12th of 12 in queue vision

QUEUE    RESOURCE   ALLOCATED   REQUESTED   QUOTA   LIMIT   FAIR SHARE   PENDING JOBS
vision   gpu        3           7           4       -       6            12

BEFORE IT           ASKS FOR        PRIORITY
pod default/first   1 pod, 2 GPUs   5

It would run now, if you did one of these, the cheapest first:
  1. raise the limit of queue research from 6 to 7 GPUs
  2. raise it, and add 1 node
"""


def answered(monkeypatch: pytest.MonkeyPatch, answer: Answer, *args: str) -> Any:
    monkeypatch.setattr(command, "run", lambda main: answer)
    return CliRunner().invoke(cli, ["explain", *args])


def test_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(monkeypatch, WAITS, "podgroup/train").output == TABLE


def test_stable_fields_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = answered(monkeypatch, WAITS, "podgroup/train", "-o", "yaml").output
    for line in ("state: Waiting", "  reason: OverLimit", "  fairShare: '6'", "predictedStart: null"):
        assert f"\n{line}\n" in shown


def test_what_is_placed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = Answer(
        kind="pod", namespace="d", name="p", state="Placed", told="pod d/p is on node a (Running)"
    )
    assert answered(monkeypatch, placed, "pod/p").output == "pod d/p is on node a (Running)\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["train"], "'train' names nothing: give pod/NAME, pod/NAMESPACE/NAME or podgroup/NAME."),
        (["pod/"], "'pod/' names nothing"),
        (["job/x"], "'job/x' names nothing"),
        (["pod/a/b/c"], "'pod/a/b/c' names nothing"),
        (["pod/a/x", "-n", "b"], "pod/a/x is in namespace a, and --namespace says b: give one of them."),
    ],
)
def test_what_makes_no_sense(args: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["explain", *args])
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("number", "end"),
    [(1, "st"), (2, "nd"), (3, "rd"), (4, "th"), (11, "th"), (13, "th"), (21, "st"), (112, "th")],
)
def test_ordinals(number: int, end: str) -> None:
    assert command._ordinal(number) == end
