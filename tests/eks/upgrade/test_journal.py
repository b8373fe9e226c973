from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from aliquot.eks.upgrade.doing import Decision
from aliquot.eks.upgrade.journal import Held, Journal, Lapsed, Phase

EU, US = (f"arn:aws:eks:{region}:123456789012:cluster/prod" for region in ("eu-west-1", "us-east-1"))
STEPS = ["1.32/control-plane", "1.32/nodes/gpu"]


@pytest.fixture
def journal(database_url: str) -> Iterator[Journal]:
    made = Journal(database_url)
    made.begin("r1", "prod", b"plan", STEPS, 0.0, arn=EU)
    made.lease("r1", "a", 0.0, 100.0)
    yield made
    made.close()


def test_a_cluster_has_one_run_at_a_time(journal: Journal) -> None:
    journal.begin("r1", "prod", b"plan", STEPS, 1.0, arn=EU)
    with pytest.raises(Held, match="prod has run r1, which is not over"):
        journal.begin("r2", "prod", b"plan", STEPS, 1.0, arn=EU)
    journal.begin("r3", "stage", b"plan", STEPS, 1.0, arn=EU)
    journal.end("r1", "a", "done", 2.0)
    journal.begin("r2", "prod", b"plan", STEPS, 3.0, arn=EU)
    with pytest.raises(Held, match="r1 is over: done"):
        journal.begin("r1", "prod", b"plan", STEPS, 4.0, arn=EU)


@pytest.mark.parametrize(
    ("has", "wants", "may"),
    [(EU, US, True), (EU, EU, False), (EU, "", False), ("", EU, False), ("", "", False)],
)
def test_clusters_of_one_name_are_told_apart_by_their_arn(
    database_url: str, has: str, wants: str, may: bool
) -> None:
    journal = Journal(database_url)
    journal.begin("r1", "prod", b"plan", STEPS, 0.0, arn=has)
    with nullcontext() if may else pytest.raises(Held, match="prod has run r1, which is not over"):
        journal.begin("r2", "prod", b"plan", STEPS, 1.0, arn=wants)
    journal.close()


def test_one_works_on_it_at_a_time(journal: Journal) -> None:
    with pytest.raises(Held, match="a works on r1, for 50 s at least"):
        journal.lease("r1", "b", 50.0, 100.0)
    journal.lease("r1", "a", 50.0, 100.0)
    journal.lease("r1", "b", 151.0, 100.0)
    writes: tuple[Callable[[], None], ...] = (
        lambda: journal.note("r1", "a", STEPS[0], "intended", {}, 152.0),
        lambda: journal.move("r1", "a", STEPS[0], Phase.DONE, "", 152.0),
        lambda: journal.start("r1", "a", STEPS[0], [], 152.0),
        lambda: journal.end("r1", "a", "done", 152.0),
    )
    for write in writes:
        with pytest.raises(Held, match="no longer ours"):
            write()
    assert [one.phase for one in journal.standing("r1")] == [Phase.TO_DO, Phase.TO_DO]


def test_who_has_it_holds_it_longer_and_nobody_else(journal: Journal) -> None:
    journal.renew("r1", "a", 150.0, 100.0)
    with pytest.raises(Held, match="a works on r1"):
        journal.lease("r1", "b", 200.0, 100.0)
    journal.take_over("r1", "b", 200.0)
    # Nobody has it, and whoever had it does not come back to it by himself.
    with pytest.raises(Held, match="no longer ours"):
        journal.renew("r1", "a", 200.0, 100.0)


def test_a_lease_that_is_over_lets_nobody_write_until_it_is_renewed(journal: Journal) -> None:
    with pytest.raises(Lapsed):
        journal.note("r1", "a", STEPS[0], "intended", {}, 100.0)
    journal.renew("r1", "a", 100.0, 100.0)
    journal.note("r1", "a", STEPS[0], "intended", {}, 101.0)
    journal.lease("r1", "b", 300.0, 100.0)
    with pytest.raises(Held, match="no longer ours"):
        journal.renew("r1", "a", 300.0, 100.0)


def test_what_a_step_waits_for_is_told_by_who_has_it_alone(journal: Journal) -> None:
    journal.tell("r1", "a", STEPS[0], "for pods to be gone")
    journal.tell("r1", "b", STEPS[0], "for nothing")
    assert [one.told for one in journal.standing("r1")] == ["for pods to be gone", ""]
    assert [one.kind for one in journal.entries("r1")] == []


def test_a_retry_is_another_attempt(journal: Journal) -> None:
    with pytest.raises(Held, match="no step of r1 is held"):
        journal.retry("r1", 1.0)
    journal.start("r1", "a", STEPS[0], ["u1"], 1.0)
    journal.move("r1", "a", STEPS[0], Phase.HELD, "no addresses", 2.0)
    assert journal.retry("r1", 3.0) == STEPS[0]
    first = journal.standing("r1")[0]
    assert (first.phase, first.attempt, first.told) == (Phase.TO_DO, 1, "")
    assert [one.kind for one in journal.entries("r1")] == ["begun", "held", "retried"]


def test_what_was_written_is_there_for_whoever_opens_it_next(database_url: str, journal: Journal) -> None:
    journal.start("r1", "a", STEPS[1], ["u1", "u2"], 1.0)
    journal.close()
    again = Journal(database_url)
    assert again.standing("r1")[1].before == ("u1", "u2")
    assert again.plan("r1") == b"plan"
    with pytest.raises(Held, match="there is no run r9"):
        again.plan("r9")
    again.close()


def test_what_is_kept_first_stays(journal: Journal) -> None:
    journal.keep("r1", "a", STEPS[0], "counts", {"gpus": 8}, 1.0)
    journal.keep("r1", "a", STEPS[0], "counts", {"gpus": 0}, 2.0)
    assert journal.kept("r1") == {"counts": {"gpus": 8}}
    with pytest.raises(Held, match="no longer ours"):
        journal.keep("r1", "b", STEPS[0], "layout", {}, 3.0)


def test_people_decide_and_pause_without_the_lease(journal: Journal) -> None:
    journal.decide("r1", Decision(kind="approve", step=STEPS[1], by="ada", at_s=1.0, body={"hash": "h"}))
    journal.pause("r1", "ada: a launch tonight", 2.0)
    assert journal.paused("r1") == "ada: a launch tonight"
    journal.pause("r1", "", 3.0)
    assert journal.paused("r1") == ""
    (decision,) = journal.decisions("r1")
    assert (decision.kind, decision.step, decision.by, decision.body) == (
        "approve",
        STEPS[1],
        "ada",
        {"hash": "h"},
    )
    journal.end("r1", "a", "done", 4.0)
    says: tuple[Callable[[], None], ...] = (
        lambda: journal.decide("r1", decision),
        lambda: journal.pause("r1", "x", 5.0),
    )
    for say in says:
        with pytest.raises(Held, match="r1 is over: done"):
            say()


def test_of_those_who_want_it_at_once_one_has_it(database_url: str, journal: Journal) -> None:
    journal.lease("r1", "a", 0.0, 0.0)
    others = [Journal(database_url) for _ in range(4)]

    def gets(number: int) -> bool:
        try:
            others[number].lease("r1", f"other-{number}", 1.0, 100.0)
        except Held:
            return False
        return True

    with ThreadPoolExecutor(len(others)) as threads:
        assert sum(threads.map(gets, range(len(others)))) == 1
    for one in others:
        one.close()


def test_two_begin_with_an_empty_database_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        for one in threads.map(lambda _: Journal(database_url), range(2)):
            assert one.over("r1") == ""
            one.close()


def test_a_run_that_is_turned_leaves_what_was_to_come(journal: Journal) -> None:
    journal.start("r1", "a", STEPS[0], [], 1.0)
    journal.move("r1", "a", STEPS[0], Phase.DONE, "", 2.0)
    journal.move("r1", "a", STEPS[1], Phase.HELD, "it does not join", 3.0)
    with pytest.raises(Held, match="no longer ours"):
        journal.turn("r1", "b", b"back", ["back/nodes"], ends="rolled back", by="ada", now_s=4.0)
    journal.turn("r1", "a", b"back", ["back/nodes"], ends="rolled back", by="ada", now_s=4.0)
    with pytest.raises(Held, match="r1 has step back/nodes already"):
        journal.turn("r1", "a", b"back", ["back/nodes"], ends="rolled back", by="ada", now_s=4.0)
    assert journal.ends("r1") == "rolled back"
    phases = [(one.step, one.phase) for one in journal.standing("r1")]
    assert phases == [(STEPS[0], Phase.DONE), (STEPS[1], Phase.LEFT), ("back/nodes", Phase.TO_DO)]
    assert journal.plan("r1") == b"back"
    (run,) = journal.runs()
    assert (run.id, run.arn, run.over, run.owner, run.until_s) == ("r1", EU, "", "a", 100.0)
