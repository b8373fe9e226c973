"""Runs through the command line, against `aliquot eks fake` in a process of its own: begun, held, decided, in waves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.eks.typing_commands import FAST, POLL, SOON_S, Aws, fake, within


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with fake(FAST) as found:
        yield found


@pytest.fixture
def fast(aws: Aws, tmp_path: Path) -> Aws:
    return aws.with_runs_in(tmp_path)


def test_what_people_say_of_a_run(fast: Aws, tmp_path: Path) -> None:
    fast.cluster("prod")
    plan = fast.plan("prod", "1.32", tmp_path / "plan.json")
    assert "prod in eu-west-1 has no run that goes on" in fast.run("upgrade", "prod").err
    assert "prod has no run that goes on" in fast.run("pause", "prod", "--reason", "x").err
    assert "prod has had no run" in fast.run("status", "prod").err
    fast.cluster("stage")
    assert "it is of cluster prod, not of stage" in fast.run("upgrade", "stage", "--plan", plan).err

    assert "1.32/control-plane" in fast.done("upgrade", "prod", "--plan", plan, "--dry-run")
    assert "prod has had no run" in fast.run("status", "prod").err

    fast.run("upgrade", "prod", "--plan", plan, *POLL)
    left = fast.done("upgrade", "prod", "--dry-run")
    assert ("1.32/control-plane" in left, "1.32/preflight" in left) == (True, False)
    fast.done("abort", "prod", "--dry-run")
    fast.done("pause", "prod", "--reason", "a launch tonight")
    assert "paused" in fast.done("status")
    fast.done("approve", "prod")
    paused = fast.run("upgrade", "prod", *POLL)
    assert paused.code == 3
    assert "a launch tonight" in paused.err
    fast.done("resume", "prod")
    assert "is not paused" in fast.run("resume", "prod").err
    assert "no step of" in fast.run("retry", "prod").err
    stopped = fast.done("abort", "prod", "--yes", *POLL)
    assert "is aborted" in stopped
    assert fast.version("prod") == "1.31"
    assert fast.updates("prod") == []
    over = fast.run("upgrade", "prod", "--plan", plan, *POLL)
    assert over.code == 1
    assert "is over: aborted" in over.err

    # The cluster is not as it was when this was planned.
    plan = fast.plan("prod", "1.32", tmp_path / "later.json")
    assert fast.run("upgrade", "prod", "--plan", plan, *POLL).code == 3
    # A yes to what is held for want of one: it goes on at once.
    fast.done("upgrade", "prod", "--yes", *POLL)
    refused = fast.run("upgrade", "prod", "--plan", str(tmp_path / "plan.json"))
    assert refused.code == 1
    assert "cluster: version: it was 1.31, it is 1.32" in refused.err

    broken = tmp_path / "broken.json"
    broken.write_text(Path(plan).read_text().replace('"1.32"', '"1.33"'))
    assert "plan anew" in fast.run("upgrade", "prod", "--plan", str(broken)).err


def test_a_fleet_goes_in_waves(fast: Aws, tmp_path: Path) -> None:
    for name, wave in (("dev", "1"), ("main", "2")):
        fast.cluster(name, tags={"aliquot.dev/wave": wave, "fleet": "shop"})
    plans = tmp_path / "plans"
    fast.done(
        "plan",
        "--selector",
        "fleet=shop",
        "--to",
        "1.32",
        "--soak",
        "0s",
        "--allow-unchecked",
        "--out",
        str(plans),
    )
    shown = fast.done("fleet", "--plans", str(plans), "--dry-run")
    assert re.search(r"1\s+dev\s+to come\n2\s+main\s+to come", shown)
    held = fast.run("fleet", "--plans", str(plans), *POLL)
    assert held.code == 3
    assert "held: dev;" in held.err
    assert (fast.version("dev"), fast.version("main")) == ("1.31", "1.31")
    fast.done("approve", "dev")
    went = fast.run("fleet", "--plans", str(plans), *POLL)
    assert went.code == 3
    assert "held: main;" in went.err
    assert (fast.version("dev"), fast.version("main")) == ("1.32", "1.31")
    fast.done("approve", "main")
    assert re.search(r"1\s+dev\s+done\n2\s+main\s+done", fast.done("fleet", "--plans", str(plans), *POLL))
    assert fast.version("main") == "1.32"


def test_a_cluster_of_the_same_name_is_another_one(fast: Aws, tmp_path: Path) -> None:
    fast.cluster("again")
    plan = fast.plan("again", "1.32", tmp_path / "plan.json")
    assert fast.run("upgrade", "again", "--plan", plan, *POLL).code == 3
    fast.client("eks").delete_cluster(name="again")
    within(SOON_S, lambda: "again" not in fast.client("eks").list_clusters()["clusters"])
    gone = fast.run("upgrade", "again", *POLL)
    assert gone.code == 1
    assert "No cluster found for name: again" in gone.err
    fast.cluster("again")
    for command in (("upgrade", "again"), ("upgrade", "again", "--plan", plan), ("abort", "again", "--yes")):
        refused = fast.run(*command, *POLL)
        assert refused.code == 1
        assert "is of a cluster again that is gone" in refused.err
    assert "its cluster is gone" in fast.done("abort", "again", "--yes", "--leave")
    plan = fast.plan("again", "1.32", tmp_path / "anew.json")
    assert fast.run("upgrade", "again", "--plan", plan, *POLL).code == 3
    assert json.loads(fast.done("status", "again", "-o", "json"))["is"].startswith("held at 1.32/approve")
