"""A life at the moment of a step, what may be asked of it there, and how the next one is made: with its facts and effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core import limits
from aliquot.access.core.life.effects import (
    Audience,
    CommentTicket,
    Effect,
    MakeGrant,
    News,
    Notify,
    OpenReview,
    RemoveGrant,
)
from aliquot.access.core.life.facts import Fact, changes
from aliquot.access.core.life.grant import spec_of
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import FINAL, LEGAL, EndReason, Stage
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.quorum import Quorum, is_met
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import spell, to_ms
from aliquot.access.core.templates.template import Template
from aliquot.access.core.terms import ineligible, not_given, ticket_trouble


class Step(Struct, frozen=True, kw_only=True):
    """To be written in one transaction, if the life (and the parent) still have the versions that were read."""

    life: Life
    effects: tuple[Effect, ...] = ()
    """In the outbox after it."""
    facts: tuple[Fact, ...] = ()
    """In the log, before any effect is done. None: nothing is changed and nothing is to be done."""
    parent: Life | None = None
    """Of an extension: the grant that is longer now."""
    again: bool = False
    """Time, or something around it, came first: the event is still to be put to the life as it is now."""


@dataclass(frozen=True, slots=True)
class Here:
    life: Life
    now_s: float
    """Not before anything that the life has seen."""
    around: Surroundings

    @property
    def template(self) -> Template | None:
        """As it is now. None: it is not known, or there is none any more."""
        if self.around.policy is None:
            return None
        return self.around.policy.templates.get(self.life.request.template)

    def known(self, person: Person) -> Identity | None:
        return self.around.identities.get(person)

    def same(self) -> Step:
        return Step(life=self.life)

    def conflict(self, reason: str) -> Refused:
        return Refused(reason, Ground.CONFLICT)

    def lost(self) -> EndReason | None:
        """Why it is over, where that is certain: what is not known takes nothing away."""
        request, policy = self.life.request, self.around.policy
        if self.around.switch is not None and self.around.switch.is_pulled:
            return EndReason.KILLED
        if policy is None:
            return None
        if not_given(request, policy, running=self.life.began_at_s is not None):
            return EndReason.POLICY_CHANGED
        holder = self.known(request.requester)
        template = policy.templates[request.template]
        if holder is not None and ineligible(template, holder, emergency=request.emergency):
            return EndReason.NOT_ELIGIBLE
        return None

    @property
    def would_end_s(self) -> float:
        """If it were agreed to, or begun, now."""
        request, parent = self.life.request, self.around.parent
        if self.life.end_s is not None:
            return self.life.end_s
        if request.extends and parent is not None and parent.end_s is not None:
            return to_ms(parent.end_s + request.duration_s)
        return to_ms(max(self.now_s, request.start_s or self.now_s) + request.duration_s)

    def hindrance(self) -> Refused | None:
        """Why nobody is given anything by it now: what is not known hinders too."""
        request, policy, template = self.life.request, self.around.policy, self.template
        if no := limits.stopped(self.around.switch):
            return no
        if self.around.held:
            return Refused(self.around.held, Ground.UNKNOWN)
        if policy is None:
            return Refused("it is not known what templates there are now", Ground.UNKNOWN)
        if template is None:
            return self.conflict(f"there is no template '{request.template}' any more")
        holder = self.known(request.requester)
        if holder is None:
            return Refused(f"{request.requester} is not known to their issuer now", Ground.UNKNOWN)
        if why := ineligible(template, holder, emergency=request.emergency):
            return Refused(why, Ground.FORBIDDEN)
        if why := not_given(request, policy, running=self.life.began_at_s is not None):
            return self.conflict(why)
        return ticket_trouble(
            template.ticket,
            request,
            self.around.ticket,
            from_s=max(self.now_s, request.start_s or self.now_s),
            until_s=self.would_end_s,
        )

    def agreed(self, quorum: Quorum) -> bool:
        """By those who have approved this very request, as their issuers know them now."""
        approvers = [
            known
            for one in self.life.approvals
            if one.digest == self.life.digest and (known := self.known(one.person)) is not None
        ]
        return is_met(quorum, approvers, self.life.holder)

    def go(
        self,
        stage: Stage,
        action: str,
        *,
        by: Person | None = None,
        make: bool = False,
        remove: bool = False,
        news: News | None = None,
        to: tuple[Audience, ...] = (Audience.HOLDER,),
        comment: str = "",
        details: Mapping[str, Any] | None = None,
        **changed: Any,
    ) -> Step:
        before = self.life
        if stage is not before.stage and (before.stage, stage) not in LEGAL:
            raise RuntimeError(f"{before.id}: there is no way from {before.stage} to {stage}")
        version = before.version + 1
        if make or remove:
            changed["fence"] = version
        after = replace(before, stage=stage, version=version, seen_s=self.now_s, **changed)
        effects: list[Effect] = []
        if remove:
            effects.append(removal(after))
        if make and self.template is not None:
            effects.append(MakeGrant(spec=spec_of(after, self.template), fence=version))
        if after.review is not None and before.review is None:
            effects.append(OpenReview(id=after.id, due_s=after.review.due_s))
        if comment and before.request.ticket:
            effects.append(CommentTicket(ticket=before.request.ticket, text=comment))
        if news is not None:
            effects.append(Notify(news=news, id=after.id, to=to))
        return Step(
            life=after,
            effects=tuple(effects),
            facts=(
                self.fact(action, after, by=by, details=details or {}),
                *(self.intent(effect) for effect in effects),
            ),
        )

    def begun(self, action: str, *, by: Person, details: Mapping[str, Any], to: tuple[Audience, ...]) -> Step:
        """The first step of all: this life is the one that comes of it."""
        changed, words = changes(None, self.life)
        fact = self._fact(action, self.life.stage, by, {**details, "changed": changed}, words)
        effects = (Notify(news=News.ASKED, id=self.life.id, to=to),) if to else ()
        return Step(
            life=self.life,
            effects=effects,
            facts=(replace(fact, before=None), *(self.intent(effect) for effect in effects)),
        )

    def over(self, stage: Stage, reason: EndReason | None, action: str, **rest: Any) -> Step:
        """It is denied, withdrawn, lapsed, or has ended before anything was made."""
        if stage not in FINAL:
            raise RuntimeError(f"{self.life.id}: {stage} is not final")
        return self.go(stage, action, over_at_s=self.now_s, end_reason=reason, **rest)

    def told(self, action: str, *, by: Person, **details: Any) -> Fact:
        """Nothing of what is known changes by it."""
        return self._fact(action, self.life.stage, by, details, {})

    def do(self, *effects: Effect) -> Step:
        """What changes nothing of what is known."""
        return Step(life=self.life, effects=effects, facts=tuple(self.intent(effect) for effect in effects))

    def fact(self, action: str, after: Life, *, by: Person | None, details: Mapping[str, Any]) -> Fact:
        changed, words = changes(self.life, after)
        return self._fact(action, after.stage, by, {**details, "changed": changed}, words)

    def intent(self, effect: Effect) -> Fact:
        name = type(effect).__name__
        return self._fact(
            f"intends.{name[0].lower()}{name[1:]}", self.life.stage, None, {"effect": spell(effect)}, {}
        )

    def _fact(
        self, action: str, after: Stage, by: Person | None, details: dict[str, Any], words: dict[str, str]
    ) -> Fact:
        return Fact(
            action=action,
            by=by,
            at_s=self.now_s,
            grant=self.life.id,
            request_digest=self.life.digest,
            policy_digest="" if self.around.policy is None else self.around.policy.digest,
            before=self.life.stage,
            after=after,
            details=details,
            personal=words,
        )


def removal(life: Life) -> RemoveGrant:
    request = life.request
    return RemoveGrant(
        id=life.id,
        cluster=request.cluster,
        namespace=request.namespace,
        fence=life.fence,
        failures=life.failures,
    )
