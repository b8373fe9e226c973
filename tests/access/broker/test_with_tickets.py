"""A broker with ticket systems and channels as they are, on virtual time: only the wires to them are not there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from aliquot.access.broker.around import Notifier, Tickets
from aliquot.access.broker.broker import No
from aliquot.access.core.life.effects import Audience, CommentTicket, News, Notify
from aliquot.access.core.life.events import Activate, Return
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.requests import Request
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.notify.messages import Message
from aliquot.access.notify.notifier import Telling
from aliquot.access.outside.calling import Unreached
from aliquot.access.tickets.registry import TicketSystems
from aliquot.clock import VirtualTimeLoop
from tests.access.broker.test_broker import approve
from tests.access.broker.world import ASK, Others, World, caller
from tests.access.life.scenery import PEOPLE, person


@dataclass
class Itsm:
    standing: Standing = Standing.OPEN
    is_there: bool = True
    comments: list[str] = field(default_factory=list)
    name: str = "itsm"

    def has(self, ticket: str) -> bool:
        return ticket.startswith("CHG")

    async def find(self, ticket: str, request: Request) -> TicketFound:
        self._reach()
        return TicketFound(ticket=ticket, standing=self.standing, system=self.name, why="because")

    async def comment(self, ticket: str, text: str) -> None:
        self._reach()
        self.comments.append(text)

    def _reach(self) -> None:
        if not self.is_there:
            raise Unreached("itsm: no answer")


@dataclass
class Chat:
    failing: int = 0
    told: list[Message] = field(default_factory=list)
    name: str = "chat"

    def addresses(self, message: Message, holder: Identity | None) -> tuple[str, ...]:
        return ("",)

    async def tell(self, message: Message, address: str) -> None:
        if self.failing:
            self.failing -= 1
            raise Unreached("no answer")
        self.told.append(message)


class Around(Others):
    def __init__(self, itsm: Itsm, chats: list[Chat]) -> None:
        super().__init__()
        self.tickets: Tickets = TicketSystems([itsm])
        self.notifier: Notifier = Telling(chats, self._known)

    async def find(self, ticket: str, request: Request) -> TicketFound:
        return await self.tickets.find(ticket, request)

    async def comment(self, comment: CommentTicket) -> None:
        await self.tickets.comment(comment)

    async def notify(self, news: Notify, life: Life) -> None:
        await self.notifier.notify(news, life)

    async def _known(self, one: Person) -> Identity | None:
        return PEOPLE.get(one)


def in_its_world(body: Callable[[World], Awaitable[None]], itsm: Itsm, *chats: Chat) -> None:
    async def run() -> None:
        world = World()
        world.others = Around(itsm, list(chats))
        async with world:
            await body(world)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


TICKETED = replace(ASK, ticket="CHG0031234")


def test_its_ticket_and_all_others_are_told_what_became_of_a_grant() -> None:
    itsm, good, slow = Itsm(), Chat(), Chat(failing=3, name="slow")

    async def body(world: World) -> None:
        asked = await world.broker.ask(TICKETED, caller("dev"))
        for name in ("sara", "cleo"):
            asked = await approve(world, asked, name)
        await world.broker.put(asked.id, Activate(by=person("dev")), caller("dev"))
        await world.until(asked.id, Stage.ACTIVE)
        await world.broker.put(asked.id, Return(by=person("dev")), caller("dev"))
        await world.until(asked.id, Stage.ENDED)
        await asyncio.sleep(300)

    in_its_world(body, itsm, good, slow)
    assert len(itsm.comments) == len(set(itsm.comments)) >= 3
    assert itsm.comments[-1].endswith("has ended (returned), and nothing of it is left.")
    assert [one.key for one in good.told] == [one.key for one in slow.told], "each once, and in order"
    assert [good.told[0].news, good.told[-1].news] == [News.ASKED, News.ENDED]
    assert Audience.APPROVERS in good.told[0].to


@pytest.mark.parametrize("standing", [Standing.CLOSED, Standing.MISSING, Standing.UNREACHABLE])
def test_a_ticket_that_does_not_stand_gives_nobody_anything(standing: Standing) -> None:
    itsm = Itsm()

    async def body(world: World) -> None:
        asked = await world.broker.ask(TICKETED, caller("dev"))
        for name in ("sara", "cleo"):
            asked = await approve(world, asked, name)
        itsm.standing, itsm.is_there = standing, standing is not Standing.UNREACHABLE
        with pytest.raises(No, match="ticket CHG0031234"):
            await world.broker.put(asked.id, Activate(by=person("dev")), caller("dev"))
        with pytest.raises(No, match="ticket CHG0031234"):
            await world.broker.ask(TICKETED, caller("dev"))
        with pytest.raises(No, match="ticket OPS-17 is not there"):
            await world.broker.ask(replace(ASK, ticket="OPS-17"), caller("dev"))
        assert world.clusters.made == {}

    in_its_world(body, itsm, Chat())


def test_a_ticket_system_that_is_away_keeps_no_grant_from_ending() -> None:
    itsm = Itsm()

    async def body(world: World) -> None:
        asked = await world.broker.ask(TICKETED, caller("dev"))
        for name in ("sara", "cleo"):
            asked = await approve(world, asked, name)
        await world.broker.put(asked.id, Activate(by=person("dev")), caller("dev"))
        await world.until(asked.id, Stage.ACTIVE)
        itsm.is_there = False
        await world.broker.put(asked.id, Return(by=person("dev")), caller("dev"))
        await world.until(asked.id, Stage.ENDED)
        assert world.clusters.made == {}
        itsm.is_there = True
        await asyncio.sleep(300)

    in_its_world(body, itsm, Chat(failing=100))
    assert itsm.comments[-1].endswith("nothing of it is left."), "it is caught up with"
