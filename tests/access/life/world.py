"""A store, an outbox and clusters with their agents, in memory: everything around `step` that a life meets.

What is sent to agents and what they report lies in two heaps, from which anything may be delivered at any time, again and again.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeAlias

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.asking import ask
from aliquot.access.core.life.effects import Effect, MakeGrant, RemoveGrant
from aliquot.access.core.life.events import Event, Look, Made, MakeFailed, Removed, RemoveFailed
from aliquot.access.core.life.facts import Fact
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.minting import Mint, may_mint
from aliquot.access.core.life.stages import LEGAL
from aliquot.access.core.life.steps import step
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.life.timing import people
from aliquot.access.core.life.usage import usage_of
from aliquot.access.core.limits import Usage
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Refused
from aliquot.access.core.spelling import spell
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.core.terms import Ask, Standing, TicketFound
from tests.access.life.scenery import PEOPLE, START_S, an_id, policy_of

ClusterEffect: TypeAlias = MakeGrant | RemoveGrant
Watch: TypeAlias = Callable[[Life | None, Life, "World", Surroundings], None]
CheckEffects: TypeAlias = Callable[[Life, Life | None, Iterable[Effect]], None]


@dataclass
class Cluster:
    """All clusters and their agents in one: what there is of each grant, until when, and the latest fence that was heard."""

    made: dict[str, float] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)

    def do(self, effect: ClusterEffect, *, fails: bool = False) -> tuple[str, Event]:
        """(grant, what is reported)."""
        if isinstance(effect, MakeGrant):
            name, why = effect.spec.id, "the API server does not answer"
            if effect.fence < self.heard.get(name, 0):
                return name, MakeFailed(fence=effect.fence, why="it was asked for something later already")
            self.heard[name] = effect.fence
            if fails:
                return name, MakeFailed(fence=effect.fence, why=why)
            self.made[name] = effect.spec.end_s
            return name, Made(fence=effect.fence)
        name = effect.id
        self.heard[name] = max(effect.fence, self.heard.get(name, 0))
        if fails:
            return name, RemoveFailed(fence=effect.fence, why="a finalizer holds it")
        self.made.pop(name, None)
        return name, Removed(fence=effect.fence)


@dataclass
class World:
    now_s: float = START_S
    policy: Policy = field(default_factory=policy_of)
    identities: dict[Person, Identity] = field(default_factory=lambda: dict(PEOPLE))
    tickets: dict[str, TicketFound] = field(default_factory=dict)
    switch: KillSwitch = field(default_factory=KillSwitch)
    unknown: set[str] = field(default_factory=set)
    """Of what surroundings consist of: what cannot be found out now. `ALICE` is a person, by their subject."""
    lives: dict[str, Life] = field(default_factory=dict)
    log: list[Fact] = field(default_factory=list)
    outbox: dict[str, ClusterEffect] = field(default_factory=dict)
    """Of each grant the latest that is still to be sent, or to be heard of."""
    sent: list[ClusterEffect] = field(default_factory=list)
    reported: list[tuple[str, Event]] = field(default_factory=list)
    cluster: Cluster = field(default_factory=Cluster)
    watch: Watch = lambda before, after, world, around: None
    check_effects: CheckEffects = lambda life, parent, effects: None

    def ask(
        self,
        asked: Ask,
        by: Person,
        *,
        number: int | None = None,
        step_up: StepUpLevel = StepUpLevel.WEBAUTHN,
        usage: Usage | None = None,
    ) -> Step | Refused:
        """`usage`: as it was counted some time ago, by a store that does not hold others off."""
        request_id = an_id(len(self.lives) if number is None else number)
        if request_id in self.lives:
            return Step(life=self.lives[request_id])
        around = self._around(request_id, {by}, asked.template, asked.ticket, asked.extends, by, usage)
        done = ask(asked, request_id=request_id, by=by, now_s=self.now_s, around=around, step_up=step_up)
        if isinstance(done, Step):
            self._write(None, done, around)
            self.put(request_id, Look())
        return done

    def put(self, grant: str, event: Event) -> Step | Refused:
        """Until it has been put to the life as it is."""
        if isinstance(event, Made | MakeFailed | Removed | RemoveFailed):
            self._heard(grant, event)
        while True:
            around = self.around(grant, event)
            done = step(self.lives[grant], event, self.now_s, around)
            if isinstance(done, Refused):
                return done
            self._write(self.lives[grant], done, around)
            if not done.again:
                return done

    def mint(self, grant: str, by: Person) -> Mint | Refused:
        return may_mint(self.lives[grant], by, self.now_s, self.around(grant, Look(), by))

    def around(self, grant: str, event: Event, by: Person | None = None) -> Surroundings:
        life = self.lives[grant]
        ticket = getattr(event, "ticket", "") or life.request.ticket
        by = by or getattr(event, "by", None)
        request = life.request
        return self._around(
            grant, people(life, by), request.template, ticket, request.extends, request.requester, None
        )

    def look(self) -> None:
        """As the timers do: at every life."""
        for grant in list(self.lives):
            self.put(grant, Look())

    def send(self) -> None:
        """All that is still to be heard of, once more."""
        self.sent.extend(self.outbox.values())

    def deliver(self, effect: ClusterEffect, *, fails: bool = False) -> None:
        self.reported.append(self.cluster.do(effect, fails=fails))

    def settle(self) -> None:
        """Everybody does what they are asked to, at once, until nothing is left to be done."""
        while self.sent or self.reported or self.outbox:
            self.send()
            for effect in self.sent:
                self.deliver(effect)
            self.sent.clear()
            for grant, event in self.reported:
                self.put(grant, event)
            self.reported.clear()

    def agent_dies(self) -> None:
        """With all that it has heard, and all that it was to hear and to tell."""
        self.cluster.heard.clear()
        self.sent.clear()
        self.reported.clear()

    def _around(
        self,
        grant: str,
        whose: Set[Person],
        template: str,
        ticket: str,
        extends: str,
        holder: Person,
        usage: Usage | None,
    ) -> Surroundings:
        known: Mapping[Person, Identity] = {
            one: identity
            for one, identity in self.identities.items()
            if one in whose and not {"identities", one.subject} & self.unknown
        }
        if usage is None:
            usage = usage_of(
                self.lives.values(), but=grant, template=template, person=holder, extends=extends
            )
        found = self.tickets.get(ticket, TicketFound(ticket=ticket, standing=Standing.MISSING))
        return Surroundings(
            policy=None if "policy" in self.unknown else self.policy,
            identities=known,
            ticket=None if not ticket or "ticket" in self.unknown else found,
            usage=None if "usage" in self.unknown else usage,
            switch=None if "switch" in self.unknown else self.switch,
            parent=None if "parent" in self.unknown else self.lives.get(extends),
        )

    def _write(self, before: Life | None, done: Step, around: Surroundings) -> None:
        self.log.extend(done.facts)
        for old, new in ((before, done.life), (done.parent and self.lives[done.parent.id], done.parent)):
            if new is None or new is old:
                continue
            assert old is None or new.version == old.version + 1
            assert old is None or new.stage is old.stage or (old.stage, new.stage) in LEGAL
            self.lives[new.id] = new
            self.watch(old, new, self, around)
        intended = [fact.details["effect"] for fact in done.facts if fact.action.startswith("intends.")]
        assert intended == [spell(effect) for effect in done.effects], "I10: each is told before it is done"
        self.check_effects(done.life, done.parent, done.effects)
        for effect in done.effects:
            if isinstance(effect, MakeGrant):
                self.outbox[effect.spec.id] = effect
            elif isinstance(effect, RemoveGrant):
                self.outbox[effect.id] = effect

    def _heard(self, grant: str, event: Made | MakeFailed | Removed | RemoveFailed) -> None:
        effect = self.outbox.get(grant)
        if effect is not None and effect.fence == event.fence:
            is_answer = isinstance(effect, MakeGrant) == isinstance(event, Made | MakeFailed)
            if is_answer:
                del self.outbox[grant]
