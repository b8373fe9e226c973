"""A broker on virtual time, with its database in memory; people, tickets and clusters are stand-ins that do as they are told."""

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection

from aliquot.access.broker.around import Caller, Outside
from aliquot.access.broker.broker import Broker
from aliquot.access.broker.carrying_out import CarryingOut
from aliquot.access.broker.guarding import GuardedAgent
from aliquot.access.broker.in_clusters import InClusters
from aliquot.access.broker.last_known import LastKnown
from aliquot.access.broker.merging import Merging
from aliquot.access.broker.notices import Notices
from aliquot.access.broker.outage import Outage
from aliquot.access.broker.timing import keep_time
from aliquot.access.broker.waking import Waking
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.core.life.effects import CommentTicket, Notify, TellCheckpoint, TellNotice
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.outage import KnownGrant
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.core.terms import Ask, Standing, TicketFound
from aliquot.access.journal import frames
from aliquot.access.journal.file import JournalFile, damaged
from aliquot.access.log.entries import Entry, parse
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.kube import errors
from aliquot.sql.failures import Unreachable
from tests.access.life.scenery import PEOPLE, person, policy_of

T = TypeVar("T")

CLUSTER = "prod-one"
KEY = b"k" * 32
ASK = Ask(
    template="fix",
    cluster=CLUSTER,
    namespace="team-a",
    parameters={"workload": "checkout"},
    justification="checkout is down",
)
PEEK = Ask(template="peek", cluster=CLUSTER, namespace="team-a", justification="checkout is down")


def caller(name: str, *, step_up: StepUpLevel = StepUpLevel.WEBAUTHN) -> Caller:
    return Caller(identity=PEOPLE[person(name)], auth="oidc", step_up=step_up)


@dataclass
class Clusters:
    """What its agents have made. `problems` are raised one after the other before anything is done."""

    made: dict[str, GrantSpec] = field(default_factory=dict)
    minted: list[str] = field(default_factory=list)
    problems: list[Exception] = field(default_factory=list)
    delay_s: float = 0.0
    is_silent: bool = False
    before: Callable[[str, str], Awaitable[None]] | None = None

    async def make(self, spec: GrantSpec, fence: int) -> None:
        await self._first("makeGrant", spec.id)
        self.made[spec.id] = spec

    async def remove(self, grant: str, namespace: str, fence: int) -> None:
        await self._first("removeGrant", grant)
        self.made.pop(grant, None)

    async def mint(self, spec: GrantSpec) -> Credential:
        await self._first("mint", spec.id)
        if spec.id not in self.made:
            raise NotMinted("it is not there")
        self.minted.append(spec.id)
        return Credential("token", spec.end_s - 75, f"JTI={len(self.minted)}")

    async def there(self, cluster: str) -> Sequence[KnownGrant]:
        if self.is_silent:
            raise errors.Unavailable("connection refused", code=503)
        return tuple(
            KnownGrant(
                id=spec.id,
                cluster=cluster,
                namespace=spec.namespace,
                template=spec.template,
                holder=spec.holder,
            )
            for spec in self.made.values()
        )

    async def _first(self, what: str, grant: str) -> None:
        if self.is_silent:
            raise errors.Unavailable("connection refused", code=503)
        if self.before is not None:
            await self.before(what, grant)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.problems:
            raise self.problems.pop(0)


@dataclass
class Others:
    """Policies, people, tickets and who is told, in one."""

    policy: Policy | None = field(default_factory=policy_of)
    is_broken: bool = False
    people: dict[Person, Identity] = field(default_factory=lambda: dict(PEOPLE))
    told: list[Notify] = field(default_factory=list)
    kept: list[TellCheckpoint] = field(default_factory=list)
    noticed: list[TellNotice] = field(default_factory=list)
    comments: list[CommentTicket] = field(default_factory=list)
    problems: list[Exception] = field(default_factory=list)

    def now(self) -> Policy | None:
        return None if self.is_broken else self.policy

    def to_end(self) -> Policy | None:
        return self.policy

    async def known(self, people: Iterable[Person]) -> Mapping[Person, Identity]:
        return {one: self.people[one] for one in people if one in self.people}

    async def find(self, ticket: str, request: Request) -> TicketFound:
        return TicketFound(ticket=ticket, standing=Standing.OPEN)

    async def comment(self, comment: CommentTicket) -> None:
        self.comments.append(comment)

    async def notify(self, news: Notify, life: Life) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.told.append(news)

    async def checkpoint(self, told: TellCheckpoint) -> None:
        self.kept.append(told)

    async def notice(self, told: TellNotice) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.noticed.append(told)


class Losable(Database):
    """Can be gone, or full."""

    is_gone = False
    is_full = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self.is_gone:
            raise Unreachable("connection refused")
        with super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.is_gone or self.is_full:
            raise Unreachable("database or disk is full")
        with super().writing() as connection:
            yield connection


class LosableJournal(JournalFile):
    is_full = False

    def load_again(self) -> tuple[bytes, ...]:
        """What another process would find."""
        return frames.read(self.path.read_bytes(), KEY).payloads

    def empty(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().empty()

    def append(self, payload: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(payload)


class World:
    def __init__(self, seed: int = 0, *, url: str = "sqlite://") -> None:
        self.rng = random.Random(seed)
        self.database = Losable(url)
        self.database.prepare()
        self.clusters = Clusters()
        self.others = Others()
        self._tasks: list[asyncio.Task[None]] = []
        self._folder = TemporaryDirectory()

    async def __aenter__(self) -> "World":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.die()
        self.database.close()
        self._folder.cleanup()

    async def start(self) -> None:
        """A process of its own on the same database."""
        self.store = Store(self.database, clock=VirtualClock(), salt=self.rng.randbytes, threads=False)
        self.known = LastKnown()
        self.journal = LosableJournal(
            Path(self._folder.name) / "journal", KEY, random_bytes=self.rng.randbytes
        )
        self.outage = Outage(
            self.journal,
            InClusters({CLUSTER: self.clusters}, self.known),
            self.others,
            clock=VirtualClock(),
            random_bytes=self.rng.randbytes,
            threads=False,
        )
        await self.outage.load([str(one) for one in damaged(self.journal.path)])
        outside = Outside(
            policies=self.others,
            people=self.others,
            tickets=self.others,
            notifier=self.others,
            agents={CLUSTER: GuardedAgent(self.clusters, self.outage.why_not)},
        )
        waking = Waking()
        owner = self.rng.randbytes(8).hex()
        self.notices = Notices(self.store, waking)
        self.broker = Broker(
            self.store, outside, waking=waking, random_bytes=self.rng.randbytes, notice=self.known.notice
        )
        self.merging = Merging(self.broker, self.others, self.notices)
        await self.outage.settle(self.merging)
        carrying_out = CarryingOut(self.store, self.broker, outside, owner=owner, waking=waking, rng=self.rng)
        self._tasks = [
            asyncio.create_task(carrying_out.run()),
            asyncio.create_task(keep_time(self.broker, self.store, owner)),
            asyncio.create_task(self.notices.run()),
            asyncio.create_task(self.outage.run(self.merging)),
            asyncio.create_task(self.known.run(self.store)),
        ]

    async def restored(self) -> None:
        """The database, from a copy that is older than all that is in it."""
        await self.die()
        self.database.close()
        self.database = Losable("sqlite://")
        self.database.prepare()
        await self.start()

    async def die(self) -> None:
        """In the midst of whatever it is doing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.journal.close()

    async def life(self, life_id: str) -> Life:
        found = await self.store.read(lambda tx: tx.life(life_id))
        assert found is not None
        return found

    async def until(self, life_id: str, stage: Stage, *, most_s: float = 600.0) -> Life:
        async with asyncio.timeout(most_s):
            while True:
                if (found := await self.life(life_id)).stage is stage:
                    return found
                await asyncio.sleep(0.1)

    async def entries(self) -> list[Entry]:
        return await self.store.read(
            lambda tx: [parse(one.body) for one in tx.log.entries(0, tx.log.head().tree.size)]
        )


def in_a_world(body: Callable[[World], Awaitable[T]], *, seed: int = 0, url: str = "sqlite://") -> T:
    async def run() -> T:
        async with World(seed, url=url) as world:
            return await body(world)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())
