"""`aliquot eks retry` and `approve`, as they are typed, on a journal with a step that is held."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.eks.group import eks
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan as planned
from aliquot.eks.upgrade.acts.approval import Approval, judged
from aliquot.eks.upgrade.acts.gang_suspension import EVICT, SCALE
from aliquot.eks.upgrade.canaries import LEAVE_OUT
from aliquot.eks.upgrade.doing import ACCEPT, Attempt, Decision
from aliquot.eks.upgrade.journal import Journal, Phase
from aliquot.eks.upgrade.verdicts import Done
from tests.eks.plan.estates import M132, M133, TARGETS, estate, group

STEP = "1.32/gpu-drain-prep/suspend/gpu"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(eks, ["retry", *arguments], catch_exceptions=False)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal(f"sqlite:///{tmp_path}/journal.db")
    opened.begin("run-1", "prod", b"plan", [STEP], 1.0)
    opened.lease("run-1", "me", 1.0, 60.0)
    opened.start("run-1", "me", STEP, (), 1.0)
    opened.move("run-1", "me", STEP, Phase.HELD, "a gang cannot be suspended", 2.0)
    return opened


@pytest.mark.parametrize("kind", [SCALE, EVICT])
def test_what_is_to_become_of_gangs_is_said_of_the_step_that_is_tried_again(
    kind: str, journal: Journal, tmp_path: Path
) -> None:
    told = run("prod", "--gangs", kind, "--data", str(tmp_path))
    assert told.exit_code == 0, told.output
    assert [(one.kind, one.step) for one in journal.decisions("run-1")] == [(kind, STEP)]
    assert journal.standing("run-1")[0].phase is Phase.TO_DO


def test_a_run_goes_on_without_its_canaries(journal: Journal, tmp_path: Path) -> None:
    told = run("prod", "--no-gpu-canary", "--data", str(tmp_path))
    assert told.exit_code == 0, told.output
    # Of the run as a whole: the canary has several steps, and so has each hop.
    assert [(one.kind, one.step) for one in journal.decisions("run-1")] == [(LEAVE_OUT, "")]
    assert journal.standing("run-1")[0].phase is Phase.TO_DO


def test_a_retry_decides_nothing_by_itself(journal: Journal, tmp_path: Path) -> None:
    assert run("prod", "--data", str(tmp_path)).exit_code == 0
    assert journal.decisions("run-1") == ()


def test_another_word_changes_nothing(journal: Journal, tmp_path: Path) -> None:
    told = run("prod", "--gangs", "force", "--data", str(tmp_path))
    assert told.exit_code == 2
    assert journal.standing("run-1")[0].phase is Phase.HELD


@pytest.mark.parametrize(("held", "taken"), [("1.32/verify", True), ("1.32/control-plane", False)])
def test_what_only_looks_can_be_accepted(held: str, taken: bool, tmp_path: Path) -> None:
    plan = planned(estate(group("cpu")), M132, TARGETS, Options())
    opened = Journal(f"sqlite:///{tmp_path}/journal.db")
    opened.begin(plan.id, "prod", plans.encode(plan), [step.id for step in plan.steps], 1.0)
    opened.lease(plan.id, "me", 1.0, 60.0)
    opened.start(plan.id, "me", held, (), 1.0)
    opened.move(plan.id, "me", held, Phase.HELD, "why", 2.0)
    told = run("prod", "--accept", "--data", str(tmp_path))
    assert told.exit_code == (0 if taken else 1)
    assert [(one.kind, one.step, one.body) for one in opened.decisions(plan.id)] == (
        [(ACCEPT, held, {"told": "why"})] if taken else []
    )
    phases = {one.phase for one in opened.standing(plan.id) if one.step == held}
    assert phases == {Phase.TO_DO if taken else Phase.HELD}
    assert taken or "1.32/control-plane is not there to be accepted" in told.stderr


EU, US = (f"arn:aws:eks:{region}:123456789012:cluster/twice" for region in ("eu-west-1", "us-east-1"))


@pytest.mark.parametrize(
    ("words", "paused"),
    [
        (("twice",), ""),
        (("twice", "--region", "us-east-1"), "us"),
        ((EU,), "eu"),
        (("us",), "us"),
        (("twice", "--region", "eu-north-1"), ""),
    ],
)
def test_of_two_clusters_of_one_name_one_is_said(words: tuple[str, ...], paused: str, tmp_path: Path) -> None:
    opened = Journal(f"sqlite:///{tmp_path}/journal.db")
    opened.begin("eu", "twice", b"plan", [STEP], 1.0, arn=EU)
    opened.begin("us", "twice", b"plan", [STEP], 2.0, arn=US)
    told = CliRunner().invoke(eks, ["pause", *words, "--reason", "x", "--data", str(tmp_path)])
    assert [one.id for one in opened.runs() if one.paused] == ([paused] if paused else [])
    assert told.exit_code == (0 if paused else 1)
    if words == ("twice",):
        assert f"twice is 2 clusters here: {EU}, {US}; give --region" in told.stderr
    if "eu-north-1" in words:
        assert (
            f"twice in eu-north-1 has no run that goes on, {EU}, {US} has: give its --region" in told.stderr
        )
    shown = CliRunner().invoke(eks, ["status", "--region", "eu-west-1", "--data", str(tmp_path)])
    assert (" eu " in shown.output, " us " in shown.output) == (True, False)


@pytest.mark.parametrize(
    ("passed", "words", "opens"),
    [
        ((), (), ("1.32/approve",)),
        ((), ("--all",), ("1.32/approve", "1.33/approve")),
        (("1.32/approve",), (), ("1.33/approve",)),
        (("1.32/approve", "1.33/approve"), (), ()),
    ],
)
def test_a_yes_is_of_one_gate(
    passed: tuple[str, ...], words: tuple[str, ...], opens: tuple[str, ...], tmp_path: Path
) -> None:
    plan = planned(estate(group("cpu")), M133, TARGETS, Options())
    opened = Journal(f"sqlite:///{tmp_path}/journal.db")
    opened.begin(plan.id, "prod", plans.encode(plan), [step.id for step in plan.steps], 1.0)
    opened.lease(plan.id, "me", 1.0, 60.0)
    for gate in passed:
        opened.start(plan.id, "me", gate, (), 1.0)
        opened.move(plan.id, "me", gate, Phase.DONE, "approved", 2.0)
    told = CliRunner().invoke(eks, ["approve", "prod", *words, "--data", str(tmp_path)])
    assert told.exit_code == (0 if opens else 1), told.output
    assert tuple(one.step for one in opened.decisions(plan.id)) == opens
    assert f"{', '.join(opens)} of {plan.id} is approved" in told.output or "no gate left" in told.stderr
    for step in plan.steps:
        if isinstance(step.act, Approval):
            seen = attempt_at(step.id, opened.decisions(plan.id))
            open_ = isinstance(judged(step.act, None, seen), Done)
            assert open_ is (step.id in opens)


def attempt_at(step: str, decisions: tuple[Decision, ...]) -> Attempt:
    return Attempt(run="r", step=step, token="", before=(), began_s=0, now_s=0, decisions=decisions)


@pytest.mark.parametrize(
    ("held", "then"),
    [("1.32/approve", Phase.TO_DO), ("1.32/preflight", Phase.HELD), ("1.32/control-plane", Phase.HELD)],
)
def test_a_yes_to_the_plan_mends_nothing_else(held: str, then: Phase, tmp_path: Path) -> None:
    plan = planned(estate(group("cpu")), M132, TARGETS, Options())
    opened = Journal(f"sqlite:///{tmp_path}/journal.db")
    opened.begin(plan.id, "prod", plans.encode(plan), [step.id for step in plan.steps], 1.0)
    opened.lease(plan.id, "me", 1.0, 60.0)
    opened.start(plan.id, "me", held, (), 1.0)
    opened.move(plan.id, "me", held, Phase.HELD, "why", 2.0)
    told = CliRunner().invoke(eks, ["approve", "prod", "--data", str(tmp_path)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert [(one.kind, one.step, one.body) for one in opened.decisions(plan.id)] == [
        ("approve", "1.32/approve", {"hash": plan.id})
    ]
    assert {one.phase for one in opened.standing(plan.id) if one.step == held} == {then}
