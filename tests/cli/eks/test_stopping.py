"""Runs that are stopped through the command line: by a signal, by an abort that comes late, and those whose cluster is another one."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.eks.test_upgrade import FAST, POLL, SLOW, Aws, fake, within

_SOON_S = 60.0


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Aws]:
    yield from fake(tmp_path, FAST)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Aws]:
    yield from fake(tmp_path, SLOW)


def test_an_abort_comes_too_late_once_eks_was_asked_and_the_run_ends_there(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("prod")
    plan = slow.plan("prod", "1.32", tmp_path / "plan.json")
    ended = slow.start("upgrade", "prod", "--plan", plan, "--yes", *POLL)
    within(_SOON_S, lambda: slow.updates("prod") == ["VersionUpdate"])
    ended.send_signal(signal.SIGTERM)
    _, said = ended.communicate(timeout=30)
    assert ended.returncode == 130
    assert "aliquot eks upgrade prod goes on from there" in said
    assert "nobody drives it" in slow.done("status", "prod")

    late = slow.run("abort", "prod", "--yes", *POLL)
    assert late.code == 1
    assert "which nobody can stop" in late.err
    within(_SOON_S, lambda: slow.version("prod") == "1.32")
    late = slow.run("abort", "prod", "--yes", *POLL)
    assert late.code == 1
    assert "the control plane of prod has gone on" in late.err
    left = slow.done("abort", "prod", "--yes", "--leave", *POLL)
    assert "is left where it was" in left

    # Its plan is over with it, and says so.
    again = slow.run("upgrade", "prod", "--plan", plan, *POLL)
    assert again.code == 1
    slow.done("rollback", "prod", "--yes", *POLL)
    assert slow.version("prod") == "1.31"


def test_an_abort_takes_over_and_its_plan_is_over(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("prod")
    plan = slow.plan("prod", "1.32", tmp_path / "plan.json")
    killed = slow.start("upgrade", "prod", "--plan", plan, *POLL)
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    assert "works on" in slow.run("abort", "prod", "--yes", *POLL).err
    assert "is aborted" in slow.done("abort", "prod", "--yes", "--take-over", *POLL)
    for more in ((), ("--yes",)):
        again = slow.run("upgrade", "prod", "--plan", plan, *more, *POLL)
        assert again.code == 1
        assert "is over: aborted; plan anew" in again.err


def test_a_run_that_was_turned_goes_on_after_a_death(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("prod")
    plan = slow.plan("prod", "1.32", tmp_path / "plan.json")
    there = slow.start("upgrade", "prod", "--plan", plan, "--yes", *POLL)
    within(_SOON_S, lambda: slow.version("prod") == "1.32")
    there.send_signal(signal.SIGINT)
    there.communicate(timeout=30)
    back = slow.start("rollback", "prod", "--yes", *POLL)
    within(_SOON_S, lambda: "VersionRollback" in slow.updates("prod"))
    back.send_signal(signal.SIGTERM)
    back.communicate(timeout=30)
    # By now it has another plan than that which it is named after.
    assert "is rolled back" in slow.done("upgrade", "prod", *POLL)
    assert slow.version("prod") == "1.31"
    assert slow.updates("prod") == ["VersionRollback", "VersionUpdate"]


def test_a_cluster_of_the_same_name_is_another_one(fast: Aws, tmp_path: Path) -> None:
    fast.cluster("prod")
    plan = fast.plan("prod", "1.32", tmp_path / "plan.json")
    assert fast.run("upgrade", "prod", "--plan", plan, *POLL).code == 3
    fast.client("eks").delete_cluster(name="prod")
    within(_SOON_S, lambda: fast.client("eks").list_clusters()["clusters"] == [])
    gone = fast.run("upgrade", "prod", *POLL)
    assert gone.code == 1
    assert "No cluster found for name: prod" in gone.err
    fast.cluster("prod")
    for command in (("upgrade", "prod"), ("upgrade", "prod", "--plan", plan), ("abort", "prod", "--yes")):
        refused = fast.run(*command, *POLL)
        assert refused.code == 1
        assert "is of a cluster prod that is gone" in refused.err
    assert "its cluster is gone" in fast.done("abort", "prod", "--yes", "--leave")
    plan = fast.plan("prod", "1.32", tmp_path / "anew.json")
    assert fast.run("upgrade", "prod", "--plan", plan, *POLL).code == 3
    assert json.loads(fast.done("status", "prod", "-o", "json"))["is"].startswith("held at 1.32/approve")
