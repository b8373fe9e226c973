"""Runs that are stopped through the command line: by a kill, a signal, an abort that comes late; and how they go on."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.eks.typing_commands import POLL, SLOW, SOON_S, Aws, fake, within


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with fake(SLOW) as found:
        yield found


@pytest.fixture
def slow(aws: Aws, tmp_path: Path) -> Aws:
    return aws.with_runs_in(tmp_path)


def test_it_is_killed_goes_on_and_comes_back(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("prod")
    plan = slow.plan("prod", "1.32", tmp_path / "plan.json")

    held = slow.run("upgrade", "prod", "--plan", plan, *POLL)
    assert held.code == 3
    assert "nobody has approved it yet" in held.err
    assert "aliquot eks approve prod" in held.err
    assert "is approved by" in slow.done("approve", "prod")

    killed = slow.start("upgrade", "prod", *POLL)
    within(SOON_S, lambda: slow.updates("prod") == ["VersionUpdate"])
    killed.kill()
    killed.communicate()
    # Whoever was killed cannot say so: its lease has to be over, or be taken by somebody who knows.
    assert "drives it" in slow.done("status", "prod")
    other = slow.run("upgrade", "prod", *POLL)
    assert other.code == 1
    assert "works on" in other.err
    slow.done("upgrade", "prod", "--take-over", *POLL)
    assert slow.version("prod") == "1.32"
    assert slow.updates("prod") == ["VersionUpdate"]

    steps = json.loads(slow.done("status", "prod", "-o", "json"))
    assert steps["is"] == "done"
    assert {one["phase"] for one in steps["steps"]} == {"done"}
    assert "UpdateClusterVersion" in slow.done("status", "prod", "--log")

    assert "back-to-1.31/control-plane" in slow.done("rollback", "prod", "--dry-run")
    assert slow.version("prod") == "1.32"
    slow.done("rollback", "prod", "--yes", *POLL)
    assert slow.version("prod") == "1.31"
    assert slow.updates("prod") == ["VersionRollback", "VersionUpdate"]
    again = slow.run("rollback", "prod", "--yes")
    assert again.code == 1
    assert "cannot go back to 1.30" in again.err


def test_an_abort_comes_too_late_once_eks_was_asked_and_the_run_ends_there(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("late")
    plan = slow.plan("late", "1.32", tmp_path / "plan.json")
    ended = slow.start("upgrade", "late", "--plan", plan, "--yes", *POLL)
    within(SOON_S, lambda: slow.updates("late") == ["VersionUpdate"])
    ended.send_signal(signal.SIGTERM)
    _, said = ended.communicate(timeout=30)
    assert ended.returncode == 130
    assert "aliquot eks upgrade late goes on from there" in said
    assert "nobody drives it" in slow.done("status", "late")

    late = slow.run("abort", "late", "--yes", *POLL)
    assert late.code == 1
    # On a slow machine EKS is done by now.
    assert "which nobody can stop" in late.err or "the control plane of late has gone on" in late.err
    within(SOON_S, lambda: slow.version("late") == "1.32")
    late = slow.run("abort", "late", "--yes", *POLL)
    assert late.code == 1
    assert "the control plane of late has gone on" in late.err
    left = slow.done("abort", "late", "--yes", "--leave", *POLL)
    assert "is left where it was" in left

    # Its plan is over with it, and says so.
    again = slow.run("upgrade", "late", "--plan", plan, *POLL)
    assert again.code == 1
    slow.done("rollback", "late", "--yes", *POLL)
    assert slow.version("late") == "1.31"


def test_an_abort_takes_over_and_its_plan_is_over(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("early")
    plan = slow.plan("early", "1.32", tmp_path / "plan.json")
    killed = slow.start("upgrade", "early", "--plan", plan, *POLL)
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    assert "works on" in slow.run("abort", "early", "--yes", *POLL).err
    assert "is aborted" in slow.done("abort", "early", "--yes", "--take-over", *POLL)
    for more in ((), ("--yes",)):
        again = slow.run("upgrade", "early", "--plan", plan, *more, *POLL)
        assert again.code == 1
        assert "is over: aborted; plan anew" in again.err


def test_a_run_that_was_turned_goes_on_after_a_death(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("turned")
    plan = slow.plan("turned", "1.32", tmp_path / "plan.json")
    there = slow.start("upgrade", "turned", "--plan", plan, "--yes", *POLL)
    within(SOON_S, lambda: slow.version("turned") == "1.32")
    there.send_signal(signal.SIGINT)
    there.communicate(timeout=30)
    back = slow.start("rollback", "turned", "--yes", *POLL)
    within(SOON_S, lambda: "VersionRollback" in slow.updates("turned"))
    back.send_signal(signal.SIGTERM)
    back.communicate(timeout=30)
    # By now it has another plan than that which it is named after.
    assert "is rolled back" in slow.done("upgrade", "turned", *POLL)
    assert slow.version("turned") == "1.31"
    assert slow.updates("turned") == ["VersionRollback", "VersionUpdate"]
