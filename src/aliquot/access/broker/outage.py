"""Ends what is to be ended while the database is gone, or full: by what is known without it, with a record in the journal before
anything is taken away, and in memory where the journal cannot be written either. Nothing holds a revocation up.

What was ended so is neither made nor given again until the database has been told. It is told once it answers: `run` looks.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
from msgspec import Struct

from aliquot.access.broker.around import Caller, Policies
from aliquot.access.broker.broker import No, NotThere
from aliquot.access.broker.in_clusters import InClusters
from aliquot.access.broker.merging import Merged, Merging
from aliquot.access.core import outage
from aliquot.access.core.outage import KnownGrant
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import bad_text
from aliquot.access.journal import records
from aliquot.access.journal.file import InUse, Loaded
from aliquot.access.journal.records import Act, Means, Pulled, Removed, Returned, Revoked
from aliquot.clock import Clock
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_LOOK_EVERY_S = 1.0
_AGAIN_S = 2.0
_WRITTEN_WITHIN_S = 5.0
_SAY_EVERY_S = 60.0
_ANSWER_WITHIN_S = 10.0
"""Whoever ended it is told by then that it is done, or that it is being done."""


class Journal(Protocol):
    """`access.journal.file.JournalFile`."""

    def load(self) -> Loaded: ...

    def append(self, payload: bytes) -> None:
        """Raises OSError."""
        ...

    def empty(self) -> None:
        """Raises OSError."""
        ...


@dataclass
class _Waiting:
    """An act of which the database does not know yet."""

    act: Act
    is_written: bool = False
    removed: Removed | None = None
    is_removed_written: bool = False
    problem: str = ""
    """Why the clusters still have something of it; empty: they have not, or it is being looked at."""
    writing: "asyncio.Task[None] | None" = None
    removing: "asyncio.Task[None] | None" = None
    again_s: float = 0.0


class Taken(Struct, frozen=True):
    """What is answered."""

    act: Act
    is_written: bool
    """False: it is in memory alone."""
    removed_at_s: float | None
    problem: str


class InOutage(Struct, frozen=True, rename="camel"):
    """What ended it here, of which the database does not know yet."""

    at_s: float
    by: Person
    why: str
    is_removed: bool
    """False: a cluster may still have something of it."""


class State(Struct, frozen=True):
    waiting: int
    """Acts of which the database does not know yet."""
    in_memory: int
    """Of these, those that the journal could not take."""
    not_removed: int
    """Of these, those of which a cluster still has something, or does not answer."""
    is_pulled: bool
    """Among them is a pull of the kill switch."""
    damage: str
    """One line: the journal is not what was written. Nothing is given until somebody has looked at it."""


class Outage:
    def __init__(
        self,
        journal: Journal,
        clusters: InClusters,
        policies: Policies,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        threads: bool = True,
    ) -> None:
        self._journal = journal
        self._clusters = clusters
        self._policies = policies
        self._clock = clock
        self._random_bytes = random_bytes
        self._threads = threads
        self._waiting: dict[str, _Waiting] = {}
        self._writing = asyncio.Lock()
        self._is_to_empty = False
        self._journal_problem = ""
        self._damage = ""
        self._say_again_s = 0.0
        """When it is said once more that the database cannot be told; 0: it has not been said."""

    async def load(self, damaged: Sequence[str] = ()) -> None:
        """What an earlier process left. `damaged`: journals that were put aside, and that nobody has taken away. Raises InUse."""
        found = await self._off_the_loop(self._journal.load)
        self._tell_journal(found.problem)
        self._damage = found.damage or next(iter(damaged), "")
        for payload in found.payloads:
            try:
                record = records.decoded(payload)
            except ValueError as error:
                self._damage = self._damage or f"a record of the journal is of another version: {error}"
                continue
            if not isinstance(record, Removed):
                self._waiting[record.id] = _Waiting(record, is_written=True)
            elif (one := self._waiting.get(record.of)) is not None:
                one.removed, one.is_removed_written = record, True
        self._is_to_empty = bool(found.payloads)
        if self._damage:
            _log.error("the journal is damaged: nothing is given", damage=self._damage)
        if self._waiting:
            _log.warning("the database has still to be told", acts=len(self._waiting))

    # --- what speaks against giving ---

    def why_not(self, grant: str) -> str:
        """Why nothing is made or given of it; empty: nothing here speaks against it."""
        if self._damage:
            return f"nothing is given: {self._damage}; look at it, take it away, and restart the server"
        for one in self._waiting.values():
            if isinstance(one.act, Pulled):
                return "the kill switch was pulled while the database was gone: nobody is let in"
            if one.act.grant == grant:
                return "it was ended while the database was gone"
        return ""

    @property
    def is_pulled(self) -> bool:
        return any(isinstance(one.act, Pulled) for one in self._waiting.values())

    @property
    def problem(self) -> str:
        """Why nothing is given, or what was done may be forgotten; empty: neither is so."""
        return self._damage or self._journal_problem

    def has_ended(self, grant: str) -> bool:
        """It, or all of them."""
        return any(isinstance(one.act, Pulled) or one.act.grant == grant for one in self._waiting.values())

    def ended(self, grant: str) -> InOutage | None:
        """By itself, or with all others. None: not here, or the database knows."""
        every = self._waiting.values()
        return next(
            (_told(one) for one in every if isinstance(one.act, Pulled) or one.act.grant == grant), None
        )

    def pulled(self) -> InOutage | None:
        """The kill switch. None: not here, or the database knows."""
        return next((_told(one) for one in self._waiting.values() if isinstance(one.act, Pulled)), None)

    def state(self) -> State:
        waiting = tuple(self._waiting.values())
        return State(
            waiting=len(waiting),
            in_memory=sum(not one.is_written for one in waiting),
            not_removed=sum(one.removed is None for one in waiting),
            is_pulled=self.is_pulled,
            damage=self._damage,
        )

    # --- what people do ---

    async def may_end(
        self, grant: str, caller: Caller, *, give_back: bool = False
    ) -> tuple[KnownGrant, Means]:
        """Raises No, NotThere and Unavailable."""
        known, means = await self._clusters.whose(grant)
        policy = self._policies.to_end()
        if not outage.may_see(known, caller.identity, policy):
            raise NotThere(grant)
        no = (
            outage.may_return(known, caller.identity)
            if give_back
            else outage.may_end(known, caller.identity, policy)
        )
        if no is not None:
            raise No(no)
        return known, means

    async def revoke(self, grant: str, caller: Caller, why: str) -> Taken:
        """Raises No, NotThere and Unavailable."""
        if wrong := bad_text("the reason", why):
            raise No(Refused(wrong, Ground.INVALID))
        return await self._end(grant, caller, why, Revoked)

    async def give_back(self, grant: str, caller: Caller) -> Taken:
        """Raises No, NotThere and Unavailable."""
        return await self._end(grant, caller, "", Returned)

    def may_pull(self, caller: Caller) -> None:
        """Raises No."""
        if no := outage.may_pull(caller.identity, self._policies.to_end()):
            raise No(no)

    async def pull(self, caller: Caller, why: str, *, pull_id: str) -> Taken:
        """Raises No."""
        self.may_pull(caller)
        if wrong := bad_text("the reason", why):
            raise No(Refused(wrong, Ground.INVALID))
        for one in self._waiting.values():
            if isinstance(one.act, Pulled):
                return await self._answer(one)
        act = Pulled(
            id=self._random_bytes(16).hex(),
            at_s=self._clock.now(),
            by=caller.person,
            auth=caller.auth,
            credential=caller.credential,
            why=why,
            pull_id=pull_id,
        )
        return await self._take(act)

    async def _end(self, grant: str, caller: Caller, why: str, kind: "type[Revoked | Returned]") -> Taken:
        known, means = await self.may_end(grant, caller, give_back=kind is Returned)
        for one in self._waiting.values():
            if not isinstance(one.act, Pulled) and one.act.grant == grant:
                return await self._answer(one)
        act = kind(
            id=self._random_bytes(16).hex(),
            at_s=self._clock.now(),
            by=caller.person,
            auth=caller.auth,
            credential=caller.credential,
            why=why,
            grant=grant,
            cluster=known.cluster,
            namespace=known.namespace,
            means=means,
        )
        return await self._take(act)

    async def _take(self, act: Act) -> Taken:
        one = _Waiting(act)
        # From here on nothing is given of it, whatever becomes of the journal.
        self._waiting[act.id] = one
        # A disk that hangs keeps nobody in.
        one.writing = asyncio.create_task(self._write(one), name=f"writes {act.id}")
        await asyncio.wait({one.writing}, timeout=_WRITTEN_WITHIN_S)
        return await self._answer(one)

    async def _answer(self, one: _Waiting) -> Taken:
        self._remove(one)
        if one.removing is not None:
            await asyncio.wait({one.removing}, timeout=_ANSWER_WITHIN_S)
        removed_at_s = one.removed.at_s if one.removed is not None else None
        return Taken(one.act, one.is_written, removed_at_s, one.problem)

    # --- the journal ---

    async def _write(self, one: _Waiting) -> None:
        async with self._writing:
            if not one.is_written:
                one.is_written = await self._append(one.act)
            if one.removed is not None and not one.is_removed_written:
                one.is_removed_written = await self._append(one.removed)

    async def _append(self, record: records.Record) -> bool:
        payload = records.encoded(record)
        self._is_to_empty = True
        try:
            await self._off_the_loop(lambda: self._journal.append(payload))
        except (OSError, ValueError, InUse) as error:
            # The log of the process is what is left to write it into.
            _log.error("kept in memory alone", record=payload.decode(), error=str(error))
            self._tell_journal(str(error))
            return False
        self._tell_journal("")
        return True

    async def _empty(self) -> None:
        async with self._writing:
            if self._waiting or not self._is_to_empty:
                return
            try:
                await self._off_the_loop(self._journal.empty)
            except (OSError, InUse) as error:
                self._tell_journal(str(error))
                return
            self._is_to_empty = False
        self._tell_journal("")

    def _tell_journal(self, problem: str) -> None:
        if problem and problem != self._journal_problem:
            _log.error("the journal cannot be written", error=problem)
        self._journal_problem = problem

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work) if self._threads else work()

    # --- what is taken away ---

    def _remove(self, one: _Waiting) -> None:
        """Begins to, if nobody is at it."""
        if one.removed is None and one.removing is None:
            one.removing = asyncio.create_task(self._removing(one), name=f"ends {one.act.id}")
            one.removing.add_done_callback(lambda _: self._put_down(one))

    @staticmethod
    def _put_down(one: _Waiting) -> None:
        one.removing = None

    async def _removing(self, one: _Waiting) -> None:
        act = one.act
        if isinstance(act, Pulled):
            problems = await self._clusters.end_all()
        else:
            problems = await self._clusters.end(act.cluster, [(act.grant, act.namespace)])
        one.problem = "; ".join(problems)
        one.again_s = asyncio.get_running_loop().time() + _AGAIN_S
        if problems:
            _log.error("still there", act=act.id, problem=one.problem)
            return
        one.removed = Removed(id=self._random_bytes(16).hex(), at_s=self._clock.now(), of=act.id)
        await self._write(one)

    # --- until the database has been told ---

    async def run(self, merging: Merging) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._go_on(), name="ends what was to be ended")
                tasks.create_task(self._tell(merging), name="tells the database what was ended")
        finally:
            for one in self._waiting.values():
                if one.removing is not None:
                    one.removing.cancel()

    async def _go_on(self) -> None:
        while True:
            for one in tuple(self._waiting.values()):
                await self._write(one)
                if one.again_s <= asyncio.get_running_loop().time():
                    self._remove(one)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _tell(self, merging: Merging) -> None:
        while True:
            await self.settle(merging)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def settle(self, merging: Merging) -> None:
        """Tell the database what it does not know, in the order in which it happened; as much as it takes."""
        for one in tuple(self._waiting.values()):
            removed_at_s = one.removed.at_s if one.removed is not None else None
            try:
                outcome = await merging.tell(one.act, removed_at_s=removed_at_s)
            except (Unreachable, No, NotThere) as error:
                # Whether it knows by now, it says the next time.
                self._say_untold(str(error))
                return
            except Exception:
                # One that cannot be told keeps neither the others back nor the server from starting. It stays held.
                _log.exception("the database cannot be told", act=one.act.id)
                continue
            # It takes away by itself what is still there.
            del self._waiting[one.act.id]
            told = _log.error if outcome is Merged.UNKNOWN else _log.warning
            told("the database was told", act=one.act.id, outcome=outcome.value)
        if self._say_again_s:
            self._say_again_s = 0.0
            _log.warning("the database takes again what it is told", acts=len(self._waiting))
        await self._empty()

    def _say_untold(self, error: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._say_again_s and now_s < self._say_again_s:
            return
        self._say_again_s = now_s + _SAY_EVERY_S
        _log.warning("the database has still to be told", acts=len(self._waiting), error=error)


def _told(one: _Waiting) -> InOutage:
    return InOutage(one.act.at_s, one.act.by, one.act.why, one.removed is not None)
