"""What was recorded is decided the same again: here, elsewhere, and by who knows nothing else."""

import inspect
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import fields, replace

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts, Entry
from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.recording import document
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import decoded, encoded
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.recording.verdict import decided_again, first_difference, in_bytes, verdict
from tests.scheduler import test_consolidation as consolidation
from tests.scheduler.recording.random_world import RandomWorld, differences

ROUNDS = 25


@pytest.mark.parametrize("seed", range(12))
def test_each_cycle_of_a_random_world_is_decided_the_same_again(seed: int) -> None:
    seen: Counter[str] = Counter()

    def decide(case: Case) -> Outcome:
        data = encoded(captured(case))
        outcome = case.run()
        _, again = decided_again(restored(decoded(data)))
        assert first_difference(verdict(outcome), again) == ""
        assert in_bytes(verdict(outcome)) == in_bytes(again)
        seen.update(placed=len(outcome.binds), blocked=len(outcome.blocked))
        return outcome

    world = RandomWorld(seed, decide)
    for _ in range(ROUNDS):
        world.round()
    assert seen["placed"] and seen["blocked"]


def test_a_random_world_has_all_that_there_is_to_record() -> None:
    """Or the test before this one would say less than it seems to."""
    seen: Counter[str] = Counter()

    def decide(case: Case) -> Outcome:
        recording = captured(case)
        outcome = case.run()
        backfill = recording.backfill
        seen.update(
            evicted=sum(len(one.after) for one in outcome.decisions),
            made=sum(bind.placed.reserved for bind in outcome.binds),
            promised=len(outcome.promises),
            kept_promises=len(backfill.promises) if backfill is not None else 0,
            estimates=len(backfill.estimates) if backfill is not None else 0,
            succeeded=sum(len(job.succeeded) for job in recording.jobs),
            leaving=sum(one.leaves_by_s is not None for job in recording.jobs for one in job.placed),
            ended=len(recording.ended),
            queues=len(recording.queues),
            ageing=recording.ageing_s is not None,
            worth=recording.placing.worth is not None,
            learned=len(recording.placing.boards),
            profiles=len(recording.profiles),
            more=outcome.more,
            fallen=len(recording.stale_since or {}),
            given_up=sum(one.fallen is not None for one in outcome.decisions),
            budgets=len(recording.guards.budgets_of) if recording.guards is not None else 0,
            rules=sum(bool(shape.rules) for shape in recording.shapes),
            books=len(recording.history.books) if recording.history is not None else 0,
            links=sum(bool(node.links) for node in recording.nodes),
        )
        return outcome

    for seed in range(12):
        world = RandomWorld(seed, decide)
        for _ in range(ROUNDS):
            world.round()
    assert [what for what, count in seen.items() if not count] == []


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_decides_the_same(tmp_path: Path, hash_seed: str) -> None:
    """Also with other string hashes: nothing may depend on the order of a set."""

    def decide(case: Case) -> Outcome:
        recording = captured(case)
        outcome = case.run()
        name = f"{len(list(tmp_path.iterdir())):04}"
        (tmp_path / name).write_bytes(encoded(replace(recording, verdict=verdict(outcome))))
        return outcome

    for seed in range(100, 103):
        world = RandomWorld(seed, decide)
        for _ in range(ROUNDS):
            world.round()
    assert differences(tmp_path) == []
    told = subprocess.run(
        [sys.executable, "-m", "tests.scheduler.recording.random_world", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert told.stdout.strip() == ""


def test_moves_and_landings_are_decided_again() -> None:
    world = consolidation.World({"a": 4, "b": 4})
    for text in ("x gpu 2 on a", "y gpu 2 since 10 on b"):
        world.run(text)
    told = []
    for waits, owner in (("big gpu 4", ""), ("y-2 gpu 2", "y")):
        world.wait(waits, owner=owner)
        cluster = world.cluster
        rankings = Rankings(starting(Placement.PACK))
        case = Case(
            cluster.snapshot,
            cluster.pending,
            rankings,
            guards=world.guards,
            landings=world.landings,
            now_s=world.now_s,
        )
        recording = decoded(encoded(captured(case)))
        decided = verdict(case.run())
        _, again = decided_again(restored(recording))
        assert first_difference(decided, again) == ""
        told += [(one.job, one.moves) for one in decided.decisions]
    assert told == [("default/big", (("default/y", "a"),)), ("default/y-2", ())]


def test_a_difference_is_named() -> None:
    one = document.Verdict(decisions=(document.Decided("j", (document.Bound("p", "a", (), False),), ()),))
    other = document.Verdict(decisions=(document.Decided("j", (document.Bound("p", "b", (), False),), ()),))
    assert first_difference(one, other) == "decisions[0].binds[0].node: 'a' recorded, 'b' now"
    assert first_difference(one, document.Verdict()) == "decisions: 1 recorded, 0 now"
    assert first_difference(one, document.Verdict(raised="E: no")) == "decisions: 1 recorded, 0 now"
    assert first_difference(one, one) == ""


def test_all_that_a_cycle_takes_is_in_a_case() -> None:
    taken = list(inspect.signature(cycle.run).parameters)
    assert [field.name for field in fields(Case)] == taken


def test_all_that_accounts_are_made_of_is_recorded() -> None:
    assert list(inspect.signature(Accounts).parameters) == ["specs", "counted", "history", "got"]


@pytest.mark.parametrize(
    ("live", "recorded", "elsewhere"),
    [
        (NodeFacts, document.Node, {"makes_devices"}),
        (Job, document.Job, {"leaving"}),
        (Entry, document.Booked, {"asked", "place", "varies"}),
    ],
)
def test_what_is_added_to_a_node_or_a_job_is_recorded(
    live: type, recorded: type, elsewhere: set[str]
) -> None:
    names = {name for name in inspect.get_annotations(live) if not name.startswith("_")}
    assert names - elsewhere <= {field.name for field in fields(recorded)}
