"""What people may do, each a method: who calls has proved who they are. A decision and all that follows from it are one transaction;
what others say of people and tickets is asked before it, and asked anew where the request has changed meanwhile."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar

import structlog
from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.broker import drafts
from aliquot.access.broker.around import Caller, Outside
from aliquot.access.broker.asking import Asking
from aliquot.access.broker.refusing import Refusing
from aliquot.access.broker.waking import Waking
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.cluster.skew import ClocksDiffer
from aliquot.access.core import killing, requests
from aliquot.access.core.foreseeing import Foreseen, foresee
from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life import asking, timing
from aliquot.access.core.life.effects import (
    CommentTicket,
    Effect,
    MakeGrant,
    RemoveGrant,
    TellCheckpoint,
    TellNotice,
)
from aliquot.access.core.life.events import Deny, Event, Judge, Look, Revoke
from aliquot.access.core.life.grant import spec_of
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.minting import Mint, may_mint
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.life.steps import step
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import Need, StepUpLevel
from aliquot.access.core.terms import Ask, Standing, TicketFound, bad_text, terms
from aliquot.access.store.reading import Given, Reading
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Raced, Transaction
from aliquot.document import nearest
from aliquot.kube.errors import ApiError

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_TRIES = 20
_STEPS_AT_ONCE = 5
_LONGEST_DELAY_S = 60.0
_MOST_DUE = 10_000
_LOOKED_AT_ONCE = 64
_LOOK_AGAIN_S = 5.0
_TICKETS_COUNT = (Stage.PENDING, Stage.APPROVED, Stage.SCHEDULED)
"""Before it begins; after that it stood."""


class No(Exception):
    """Refused, and logged so."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason)
        self.refused = refused


class NotThere(Exception):
    """No request of this id."""


class Moved(Exception):
    """It is of another version than whoever acts has seen."""


class _Known(Struct, frozen=True):
    """What was found out beforehand."""

    identities: Mapping[Person, Identity]
    ticket: TicketFound | None = None


class Broker:
    """Raises No, NotThere and Unreachable."""

    def __init__(
        self,
        store: Store,
        outside: Outside,
        *,
        waking: Waking,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        rng: random.Random | None = None,
        notice: Callable[[Life], None] = lambda life: None,
        held: Callable[[Reading], str] = lambda tx: "",
    ) -> None:
        """`notice` is told of each request that was written. `held`: why nothing new is given now, whatever it is."""
        self._store = store
        self._outside = outside
        self._waking = waking
        self._random_bytes = random_bytes
        self._refusing = Refusing()
        self.notice = notice
        self._held = held
        self._asking = Asking(random.Random() if rng is None else rng)
        self._looking: set[asyncio.Task[None]] = set()
        self._looked_s: dict[str, float] = {}
        """What time has come for, and when it was looked at last."""

    # --- requests and grants ---

    async def ask(self, asked: Ask, caller: Caller, *, request_id: str = "") -> Life:
        """`request_id`: that the same ask had before; what it came to is the answer then."""
        known = _Known({caller.person: caller.identity})
        ticketed = await self._ticket_of(asked, caller)

        def work(tx: Transaction) -> Life | Refused:
            if request_id and (there := tx.life(request_id)) is not None:
                return there
            new = request_id or requests.new_id(tx.now_s, self._random_bytes(requests.RANDOM_BYTES))
            draft = _like(asked, new, caller.person)
            around = self._around(
                tx, draft, known, ticketed, tx.life(asked.extends) if asked.extends else None
            )
            done = asking.ask(
                asked, request_id=new, by=caller.person, now_s=tx.now_s, around=around, step_up=caller.step_up
            )
            if not isinstance(done, Refused):
                done = self._unserved(asked) or done
            if isinstance(done, Refused):
                tx.append(self._refusing.draft("ask", done, caller, None, tx.now_s))
                return done
            tx.add(done.life)
            self._follow(tx, done, caller)
            life, _ = self.lead(tx, done.life, Look(), caller, around)
            return life

        life = self._answered(await self.write(work))
        self.notice(life)
        return life

    async def foresee(self, asked: Ask, caller: Caller) -> Foreseen:
        """What it would come to. Nothing is written."""
        policy = self._outside.policies.now()
        if policy is None:
            raise No(Refused("it is not known what templates there are now", Ground.UNKNOWN))
        ticketed = await self._ticket_of(asked, caller)

        def work(tx: Reading) -> Foreseen | Refused:
            request = terms(
                asked,
                request_id=requests.new_id(tx.now_s, bytes(requests.RANDOM_BYTES)),
                requester=caller.identity,
                step_up=StepUpLevel.WEBAUTHN,
                policy=policy,
                now_s=tx.now_s,
            )
            if isinstance(request, Refused):
                return request
            if no := self._unserved(asked):
                return no
            return foresee(
                request,
                policy.templates[asked.template],
                step_up=caller.step_up,
                usage=tx.usage(request),
                switch=tx.switch,
                ticket=ticketed,
                now_s=tx.now_s,
            )

        return self._answered(await self._store.read(work))

    def _unserved(self, asked: Ask) -> Refused | None:
        """Asked last, so that whoever may not ask learns of no cluster."""
        agents = self._outside.agents
        if asked.cluster in agents:
            return None
        return Refused(
            f"this server has no cluster '{asked.cluster}'{nearest(asked.cluster, agents)}", Ground.INVALID
        )

    async def put(
        self,
        life_id: str,
        event: Event,
        caller: Caller | None,
        *,
        version: int | None = None,
        in_passing: bool = False,
    ) -> Life:
        """What happens to a request. `caller` None: nobody, time or a cluster. `version`: that it has to have; raises Moved.
        `in_passing`: its ticket need not be asked about now."""
        for _ in range(_TRIES):
            read = await self._store.read(lambda tx: tx.life(life_id))
            if read is None:
                raise NotThere(life_id)
            if version not in (None, read.version):
                raise Moved(f"it is of version {read.version} by now, not {version}: look at it again")
            known = await self._found_out(read, event, caller, in_passing=in_passing)
            try:
                life = self._answered(await self.write(self._putting(read, event, caller, known)))
            except Raced:
                continue
            self.notice(life)
            return life
        raise No(Refused("others change it at the same time: try again", Ground.CONFLICT))

    def _putting(
        self, read: Life, event: Event, caller: Caller | None, known: _Known
    ) -> Callable[[Transaction], Life | Refused]:
        def work(tx: Transaction) -> Life | Refused:
            life = tx.life(read.id)
            if life is None or life.version != read.version:
                raise Raced(read.id)
            parent = tx.life(life.request.extends) if life.request.extends else None
            around = self._around(tx, life.request, known, known.ticket, parent)
            if isinstance(event, Revoke | Deny):
                around = replace(around, policy=self._outside.policies.to_end())
            after, no = self.lead(tx, life, event, caller, around)
            return after if no is None else no

        return work

    def lead(
        self, tx: Transaction, life: Life, event: Event, caller: Caller | None, around: Surroundings
    ) -> tuple[Life, Refused | None]:
        """To where the event leads, and on from there as far as nobody is waited for."""
        for _ in range(_STEPS_AT_ONCE):
            done = step(life, event, tx.now_s, around)
            if isinstance(done, Refused):
                if caller is not None and not isinstance(event, Look):
                    tx.append(self._refusing.draft(event.name, done, caller, life, tx.now_s))
                return life, done if not isinstance(event, Look) else None
            if not done.facts:
                return done.life, None
            if done.life is not life:
                tx.replace(life, done.life)
            if done.parent is not None and around.parent is not None:
                tx.replace(around.parent, done.parent)
                around = replace(around, parent=done.parent)
            self._follow(tx, done, caller)
            life = done.life
            if not done.again:
                event = Look()
        return life, None

    def _follow(self, tx: Transaction, done: Step, caller: Caller | None) -> None:
        tx.append(drafts.of_facts(done.facts, caller))
        for effect in done.effects:
            tx.queue(_grant_of(effect, done), [effect], due_s=tx.now_s + _delay_s(effect))

    # --- credentials ---

    async def credential(self, life_id: str, caller: Caller) -> Credential:
        """Raises Unavailable, too."""
        read = await self._store.read(lambda tx: tx.life(life_id))
        if read is None:
            raise NotThere(life_id)
        known = await self._found_out(read, Look(), caller)

        def intend(tx: Transaction) -> Mint | Refused:
            life = tx.life(life_id)
            if life is None:
                return Refused("it is gone", Ground.CONFLICT)
            found = may_mint(life, caller.person, tx.now_s, self._around(tx, life.request, known, None, None))
            if isinstance(found, Refused):
                tx.append(self._refusing.draft("credential", found, caller, life, tx.now_s))
            else:
                tx.append(drafts.of_facts(found.facts, caller))
            return found

        mint = self._answered(await self._store.write(intend))
        agent = self._outside.agents.get(mint.life.request.cluster)
        if agent is None:
            raise Unavailable(f"nobody looks after cluster {mint.life.request.cluster} now")
        # The files may have changed since it was decided.
        policy = self._outside.policies.now()
        template = policy.templates.get(mint.life.request.template) if policy is not None else None
        if template is None:
            raise Unavailable(f"template '{mint.life.request.template}' has just gone")
        try:
            made = await agent.mint(spec_of(mint.life, template))
        except (NotMinted, ClocksDiffer) as error:
            raise Unavailable(str(error)) from error
        except ApiError as error:
            raise Unavailable(f"cluster {mint.life.request.cluster}: {error.message}") from error

        def note(tx: Transaction) -> None:
            tx.give(Given(made.id, life_id, tx.now_s, made.expires_s))
            said = drafts.of_grant(
                "credential.given", mint.life, caller, tx.now_s, id=made.id, lifetimeSeconds=mint.lifetime_s
            )
            tx.append([said])

        await self._store.write(note)
        return made

    # --- the kill switch ---

    async def pull(
        self, caller: Caller, why: str, *, pull_id: str, within_s: float | None = None
    ) -> KillSwitch:
        """`within_s`: raises TimeoutError where it is not known by then whether it is pulled. All may go on ending behind it."""
        if wrong := bad_text("the reason", why):
            raise No(Refused(wrong, Ground.INVALID))
        policy = self._outside.policies.to_end()

        def work(tx: Transaction) -> KillSwitch | Refused:
            if policy is None:
                return Refused("it is not known who may", Ground.UNKNOWN)
            found = killing.pull(
                tx.switch, caller.identity, why, pull_id=pull_id, now_s=tx.now_s, policy=policy
            )
            return self.switched(tx, "killswitch.pulled", found, caller)

        async with asyncio.timeout(within_s):
            switch = self._answered(await self._store.write(work))
        looking = asyncio.create_task(self.look_at_all(), name="ends all")
        self._looking.add(looking)
        looking.add_done_callback(self._looked)
        await asyncio.wait({looking}, timeout=within_s)
        return switch

    def _looked(self, looking: "asyncio.Task[None]") -> None:
        self._looking.discard(looking)
        if not looking.cancelled() and (error := looking.exception()) is not None:
            # Time looks at all again.
            _log.warning("looked at in vain", error=str(error))

    async def clear(self, caller: Caller, *, pull: int) -> KillSwitch:
        policy = self._outside.policies.now()
        agreed = await self._store.read(lambda tx: tx.switch.clearing)
        known = await self._outside.people.known(agreed)

        def work(tx: Transaction) -> KillSwitch | Refused:
            if policy is None:
                return Refused("it is not known who may", Ground.UNKNOWN)
            found = killing.clear(tx.switch, caller.identity, dict(known), pull=pull, policy=policy)
            return self.switched(tx, "killswitch.clearing", found, caller)

        return self._answered(await self._store.write(work))

    def switched(
        self, tx: Transaction, action: str, found: KillSwitch | Refused, caller: Caller
    ) -> KillSwitch | Refused:
        if isinstance(found, Refused):
            tx.append(self._refusing.draft(action.partition(".")[2], found, caller, None, tx.now_s))
        elif found != tx.switch:
            tx.append([drafts.of_switch(action, tx.switch, found, caller, tx.now_s)])
            tx.set_switch(found)
        return found

    # --- what is refused before it comes here ---

    async def refuse(self, what: str, no: Refused, caller: Caller, life: Life | None = None) -> NoReturn:
        """Whoever may not was told so by somebody else: it is logged as all that is refused."""
        await self._store.write(lambda tx: tx.append(self._refusing.draft(what, no, caller, life, tx.now_s)))
        raise No(no)

    async def tell_refusals(self) -> None:
        """How many there were beside those that have entries of their own, once their time is over."""
        if self._refusing.is_owing(await self._store.read(lambda tx: tx.now_s)):
            await self._store.write(lambda tx: tx.append(tuple(self._refusing.over(tx.now_s))))

    # --- time ---

    async def look_at_due(self) -> None:
        """At those that time has changed something about, or would if something else were not in the way: those not at once again."""
        now_s = asyncio.get_running_loop().time()
        due = await self._store.read(lambda tx: tx.due(most=_MOST_DUE))
        self._looked_s = {one: at_s for one, at_s in self._looked_s.items() if now_s - at_s < _LOOK_AGAIN_S}
        new = [one for one in due if one not in self._looked_s]
        self._looked_s |= dict.fromkeys(new, now_s)
        for first in range(0, len(new), _LOOKED_AT_ONCE):
            await asyncio.gather(
                *(self.put(one, Look(), None) for one in new[first : first + _LOOKED_AT_ONCE])
            )

    async def look_at_all(self) -> None:
        """At all that are not over: people, templates and the kill switch may be others than before. Ticket systems are asked more
        rarely, and nothing begins by a look for which they were not."""
        open_ids = await self._store.read(Reading.open_ids)
        self._asking.forget_all_but(open_ids)
        for one in open_ids:
            await self.put(one, Look(), None, in_passing=True)

    # --- what is found out beforehand ---

    async def _found_out(
        self, life: Life, event: Event, caller: Caller | None, *, in_passing: bool = False
    ) -> _Known:
        identities = dict(await self._outside.people.known(timing.people(life)))
        if caller is not None:
            identities[caller.person] = caller.identity
        return _Known(identities, await self._ticket_for(life, event, in_passing=in_passing))

    async def _ticket_for(self, life: Life, event: Event, *, in_passing: bool) -> TicketFound | None:
        ticket = life.request.ticket
        if isinstance(event, Judge):
            ticket = event.ticket or ticket
        elif life.stage not in _TICKETS_COUNT:
            return None
        if not ticket or not self._asks_for_tickets(life.request.template):
            return None
        now_s = asyncio.get_running_loop().time()
        if in_passing and not self._asking.is_due(life.id, now_s):
            return None
        found = await self._outside.tickets.find(ticket, life.request)
        self._asking.asked(life.id, now_s, was_answered=found.standing is not Standing.UNREACHABLE)
        return found

    async def _ticket_of(self, asked: Ask, caller: Caller) -> TicketFound | None:
        if not asked.ticket or not self._asks_for_tickets(asked.template):
            return None
        return await self._outside.tickets.find(asked.ticket, _like(asked, "", caller.person))

    def _asks_for_tickets(self, name: str) -> bool:
        policy = self._outside.policies.now()
        template = policy.templates.get(name) if policy is not None else None
        return template is not None and (
            template.ticket.need is not Need.NONE or template.emergency is not None
        )

    def _around(
        self, tx: Reading, request: Request, known: _Known, ticket: TicketFound | None, parent: Life | None
    ) -> Surroundings:
        return Surroundings(
            policy=self._outside.policies.now(),
            identities=known.identities,
            ticket=ticket,
            usage=tx.usage(request),
            switch=tx.switch,
            held=self._held(tx),
            parent=parent,
        )

    async def write(self, work: Callable[[Transaction], T]) -> T:
        found = await self._store.write(work)
        self._waking.wake()
        return found

    @staticmethod
    def _answered(found: T | Refused) -> T:
        if isinstance(found, Refused):
            raise No(found)
        return found


class Unavailable(Exception):
    """One line: what would have to be done could not be done now."""


def _like(asked: Ask, request_id: str, requester: Person) -> Request:
    """An ask as far as others have to know it: whose, of what, where."""
    return Request(
        id=request_id,
        template=asked.template,
        template_digest="",
        requester=requester,
        cluster=asked.cluster,
        namespace=asked.namespace,
        rules=(),
        duration_s=0,
        justification="",
        ticket=asked.ticket,
        extends=asked.extends,
        asked_at_s=0.0,
    )


def _grant_of(effect: Effect, done: Step) -> str:
    match effect:
        case MakeGrant():
            return effect.spec.id
        case CommentTicket() | TellNotice() | TellCheckpoint():
            return done.life.id
        case _:
            return effect.id


def _delay_s(effect: Effect) -> float:
    if isinstance(effect, RemoveGrant) and effect.failures:
        return float(min(2 ** min(effect.failures, 10), _LONGEST_DELAY_S))
    return 0.0
