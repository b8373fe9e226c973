"""What the runner does with each thing that a rule may say, on a kind of act made for it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Struct

from aliquot.eks.aws.api import Failure
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.upgrade import runner as running
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors, Shut
from aliquot.eks.upgrade.journal import Held, Phase
from aliquot.eks.upgrade.outages import AGAIN_S, PATIENCE_S
from aliquot.eks.upgrade.verdicts import Call, Done, Errand, Hold, Keep, Verb, Verdict, Wait, Write, Writes
from aliquot.kube.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from aliquot.kube.resources import CONFIGMAPS
from aliquot.sql.failures import Unreachable
from aliquot.windows import Window
from tests.eks.upgrade.acts.worlds import World, on_virtual_time


class Scripted(Struct, frozen=True):
    """Says one thing after the other."""


class Script:
    def __init__(self, *says: Verdict | Exception) -> None:
        self.says: Iterator[Verdict | Exception] = iter(says)
        self.attempts: list[Attempt] = []
        self.ran: list[Mapping[str, Any]] = []

    async def look(self, _act: Scripted, _doors: Doors) -> Verdict:
        said = next(self.says)
        if isinstance(said, Exception):
            raise said
        return said

    def judge(self, _act: Scripted, seen: Verdict, attempt: Attempt) -> Verdict:
        self.attempts.append(attempt)
        return seen

    async def run(self, _act: Scripted, _doors: Doors, parameters: Mapping[str, Any]) -> None:
        self.ran.append(parameters)


Play = Callable[..., Script]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    def made(*says: Verdict | Exception) -> Script:
        script = Script(*says)
        doing = Doing(look=script.look, judge=script.judge, errands={"fetch": script.run})
        monkeypatch.setattr(running, "DOINGS", {Scripted: doing})
        return script

    return made


def shop(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "default"}, "data": data}


def write(verb: Verb, body: dict[str, Any]) -> Write:
    return Write(verb=verb, resource=CONFIGMAPS, name="shop", namespace="default", body=body)


def test_writes_in_their_order_and_those_that_come_too_late(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(
            Writes((write(Verb.CREATE, shop(a="1")), write(Verb.PATCH, {"data": {"b": "2"}}))),
            Writes((write(Verb.CREATE, shop(a="9")),)),
            Done("made"),
        )
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert (await world.kube.get(CONFIGMAPS, "shop", "default"))["data"] == {"a": "1", "b": "2"}
        kinds = [one.kind for one in world.journal.entries(world.run)]
        assert kinds == ["begun", *["intended", "answered"] * 2, "intended", "refused", "done", "over"]

    test()


def test_a_deletion_of_what_is_gone_is_no_harm(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(Writes((write(Verb.DELETE, {}),)), Done("gone"))
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]

    test()


def test_errands_and_what_is_kept(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        script = play(
            Errand("fetch", {"n": 1}), Keep("counts", {"gpus": 8}), Keep("counts", {"gpus": 0}), Done("")
        )
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert script.ran == [{"n": 1}]
        assert [one.kept for one in script.attempts] == [
            {},
            {},
            {"counts": {"gpus": 8}},
            {"counts": {"gpus": 8}},
        ]

    test()


@pytest.mark.parametrize(
    "passing",
    [
        Unavailable("no answer", code=0),
        Unavailable("later", code=503),
        Failure("eks", "DescribeCluster", "ThrottlingException", "slower"),
        Failure("eks", "DescribeCluster", "Unreachable", "no answer"),
    ],
)
def test_what_passes_is_waited_for(play: Play, passing: Exception) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        began = world.clock.now()
        play(passing, passing, Done("now"))
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert world.clock.now() - began >= 2

    test()


@pytest.mark.parametrize(
    ("refused", "todo"),
    [
        (Forbidden("nodes is forbidden", code=403), "give this user the right"),
        (NotFound("no such node", code=404), "put that right"),
        (Conflict("another field manager", code=409), "put that right"),
        (Invalid("bad", code=422), "put that right"),
        (Failure("eks", "DescribeCluster", "AccessDeniedException", "not allowed"), "then retry"),
        (Failure("eks", "UpdateAddon", "WrongParameters", "no such member"), "a defect of the plan"),
        (Failure("eks", "DescribeNodegroup", "ResourceNotFoundException", "no such group"), "--leave"),
        (Shut(Hold("no door", "open it")), "open it"),
    ],
)
def test_what_does_not_pass_holds(play: Play, refused: Exception, todo: str) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(refused, Done("now"))
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert todo in held.todo
        # It stays held until a person says otherwise.
        assert await world.on() is not None
        assert [one.phase for one in world.journal.standing(world.run)] == [Phase.HELD]
        assert await world.again() is None

    test()


def test_a_pause_lets_nothing_new_begin(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(Wait(10.0, "on its way"), Done("first"), Done("second"))
        world.told_hook = lambda line: (
            world.journal.pause(world.run, "ada: lunch", 0.0) if line == "on its way" else None
        )
        held = await world.go(Scripted(), Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert held.why == "paused: ada: lunch"
        assert [one.phase for one in world.journal.standing(world.run)] == [Phase.DONE, Phase.TO_DO]
        world.journal.pause(world.run, "", 0.0)
        assert await world.on() is None

    test()


def test_a_step_waits_for_its_window(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(Done("rolled"))
        # The world begins on a Thursday at eight.
        world.windows = (Window("0 22 * * 4", 3600.0),)
        began = world.clock.now()
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert world.clock.now() - began == 14 * 3600.0

    test()


@pytest.mark.parametrize(
    "misread",
    [
        KeyError("version"),
        ValueError("'odd' is not a Kubernetes version: write it as 1.32"),
        OSError(28, "No space left on device"),
        ExceptionGroup("several", [ValueError("one")]),
    ],
)
def test_what_cannot_be_understood_holds_in_one_line(play: Play, misread: Exception) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(misread, Done("now"))
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert type(misread).__name__ in held.why
        assert "\n" not in held.why
        told = [one.body["error"] for one in world.journal.entries(world.run) if one.kind == "not understood"]
        assert len(told) == 1
        assert "test_runner.py" in told[0]
        assert await world.again() is None

    test()


def test_a_rule_that_cannot_judge_holds(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        script = play(Done("never"))

        def judge(_act: Scripted, _seen: Verdict, attempt: Attempt) -> Verdict:
            return Done(attempt.kept["counts/1.32"])

        doing = Doing(look=script.look, judge=judge)
        monkeypatch.setattr(running, "DOINGS", {Scripted: doing})
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert "KeyError: 'counts/1.32'" in held.why

    test()


@pytest.mark.parametrize(
    "same",
    [
        Writes((write(Verb.CREATE, shop(a="1")),)),
        Keep("counts", 1),
    ],
)
def test_whoever_says_the_same_for_ever_is_held(play: Play, same: Verdict) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(*[same] * 100)
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert "done 60 times, and it is not so" in held.why
        assert "puts it back" in held.todo

    test()


def test_a_call_that_is_answered_and_does_nothing_is_not_made_for_ever(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(*[Call("eks", "DescribeCluster", {"name": "prod"})] * 100)
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert "DescribeCluster" in held.why

    test()


def test_a_call_that_is_refused_for_hours_is_made_at_last(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        fault = Fault(kind=Kind.REFUSE, operation="DescribeCluster", code="ThrottlingException", times=100)
        world.account.world.faults.waiting = [fault]
        play(*[Call("eks", "DescribeCluster", {"name": "prod"})] * 101, Done("at last"))
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]

    test()


def test_who_lost_the_run_while_he_waited_does_not_take_it_again(play: Play) -> None:
    """Somebody else took it over, turned it, and is gone: nobody has it, and it is another run."""

    @on_virtual_time
    async def test(world: World) -> None:
        play(Wait(60.0, "on its way"), Done("of the old plan"))

        def turn(_line: str) -> None:
            now_s = world.clock.now()
            world.journal.take_over(world.run, "ada", now_s)
            world.journal.lease(world.run, "ada", now_s, 300.0)
            world.journal.turn(world.run, "ada", b"", ["back"], ends="aborted", by="ada", now_s=now_s)
            world.journal.release(world.run, "ada")

        world.told_hook = turn
        with pytest.raises(Held, match="no longer ours"):
            await world.go(Scripted())  # type: ignore[arg-type]
        assert [one.phase for one in world.journal.standing(world.run)] == [Phase.LEFT, Phase.TO_DO]
        world.told_hook = lambda _line: None
        with pytest.raises(Held, match="was turned meanwhile"):
            await world.on()

    test()


def test_what_takes_longer_than_it_should_is_said(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(*[Wait(60.0, "on its way")] * 12, Done("there"))
        world.at_most_s = 600.0
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        late = [line for line in world.told if "longer than it should" in line]
        assert len(late) == 1
        assert world.told[0] == "on its way"

    test()


def test_an_outage_without_an_end_is_held_and_one_with_an_end_is_outlived(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        nobody = Failure("eks", "DescribeCluster", "Unreachable", "no answer")
        many = [nobody] * int(0.6 * PATIENCE_S / AGAIN_S)
        began = world.clock.now()
        play(*many, Wait(1.0, "there"), *many, Done("now"))
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert world.clock.now() - began > PATIENCE_S
        began = world.clock.now()
        play(*many, *many)
        held = await world.go(Scripted())  # type: ignore[arg-type]
        assert held is not None
        assert held.why.startswith("for 2 h there was no answer")
        assert PATIENCE_S <= world.clock.now() - began <= PATIENCE_S + 60

    test()


def test_a_call_that_takes_longer_than_the_lease_is_looked_after(play: Play) -> None:
    """As if this machine had been closed meanwhile. Nobody else has come."""

    @on_virtual_time
    async def test(world: World) -> None:
        play(Call("eks", "DescribeCluster", {"name": "prod"}), Done("it was done"))
        there = world.doors.api

        class Slow:
            async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
                await asyncio.sleep(2 * running.LEASE_S)
                return await there.call(service, operation, **parameters)

            pages = there.pages

        world.doors = replace(world.doors, api=Slow())
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert [one.kind for one in world.journal.entries(world.run)] == ["begun", "intended", "done", "over"]

    test()


def test_a_journal_that_takes_nothing_for_a_while_is_waited_for_and_nothing_is_done(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        call = Call("eks", "DescribeCluster", {"name": "prod"})
        play(*[call] * 6, Done("now"))
        note, refused = world.journal.note, iter([True, True, False, True, False])

        def full(*of: Any) -> None:
            if next(refused, False):
                raise Unreachable("journal.db: database or disk is full")
            note(*of)

        monkeypatch.setattr(world.journal, "note", full)
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        lines = [one for one in world.told if "takes nothing" in one]
        assert (
            lines
            == ["the journal takes nothing, so nothing is done: journal.db: database or disk is full"] * 3
        )
        # No call without its intent.
        kinds = [one.kind for one in world.journal.entries(world.run)]
        assert kinds == ["begun", "intended", *["intended", "answered"] * 3, "done", "over"]

    test()


def test_a_journal_that_stays_away_ends_the_run(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(Wait(60.0, "on its way"), Done("now"))

        def gone(*_: Any) -> None:
            raise Unreachable("no route to host")

        world.told_hook = lambda line: (
            monkeypatch.setattr(world.journal, "renew", gone) if line == "on its way" else None
        )
        began = world.clock.now()
        with pytest.raises(Unreachable):
            await world.go(Scripted())  # type: ignore[arg-type]
        assert world.clock.now() - began >= PATIENCE_S

    test()


def test_what_a_step_waits_for_is_in_the_journal_for_whoever_looks_on(play: Play) -> None:
    @on_virtual_time
    async def test(world: World) -> None:
        play(Wait(60.0, "update u-1 is in progress"), Wait(60.0, "update u-1 is in progress"), Done("now"))
        seen: list[str] = []
        world.told_hook = lambda _: seen.append(world.journal.standing(world.run)[0].told)
        assert await world.go(Scripted()) is None  # type: ignore[arg-type]
        assert seen == ["update u-1 is in progress"] * 2 + ["now"]

    test()
