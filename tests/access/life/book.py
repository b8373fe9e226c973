"""What should be so of every life, worked out a second time and in another way: a page for each request, with its end, and the
invariants that are looked at whenever a life becomes another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import permutations, product

from msgspec.structs import replace

from aliquot.access.core.life.effects import Effect, MakeGrant, RemoveGrant
from aliquot.access.core.life.life import Life, entitled
from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import FINAL, IN_CLUSTER, EndReason, Stage
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.quorum import Quorum
from aliquot.access.core.requests import Request
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import Need, Template
from aliquot.access.core.terms import Standing
from tests.access.life.world import World

GIVING = frozenset({Stage.APPROVED, Stage.SCHEDULED, Stage.ACTIVATING})
LATEST_S = 60 + 10
"""After a token has run out it is still taken, and was still remembered."""
SKEW_S = 5


@dataclass
class Page:
    end_s: float | None = None
    cap_s: float | None = None
    begin_by_s: float | None = None
    high_s: float = 0.0
    """The latest moment that it has seen."""
    is_over: bool = False


@dataclass
class Book:
    pages: dict[str, Page] = field(default_factory=dict)
    said: set[tuple[str, str, Person]] = field(default_factory=set)
    """(request, digest, who): that somebody agrees, as they said it, rightly or not."""

    def watch(self, old: Life | None, new: Life, world: World, around: Surroundings) -> None:
        page = self.pages.setdefault(new.id, Page())
        now_s = max(round(world.now_s * 1000) / 1000, page.high_s)
        if old is not None and new.extensions != old.extensions:
            # Its extension may have seen a later one.
            now_s = max(now_s, self.pages[new.extensions[-1]].high_s)
        assert new.seen_s == now_s, "I19: no time is earlier than one that it has seen"
        page.high_s = now_s
        if old is not None and old.stage in FINAL:
            assert _bare(old) == _bare(new), "I4: what is final stays as it is"
        if old is not None and old.review is not None and old.review.outcome is not None:
            assert old.review == new.review, "I4: a review that is closed stays as it is"
        entered = None if old is not None and old.stage is new.stage else new.stage
        gives = entered in GIVING or new.end_reason is EndReason.EXTENDED
        if gives and not (old is not None and old.stage in FINAL):
            self._consent(new, world)
            self._what_is_known(new, world)
            self._terms(new.request, world, now_s)
        if entered is Stage.ACTIVATING:
            self._limits(new, world, now_s)
        if entered is Stage.ENDED and old is not None and old.stage is Stage.ENDING:
            self._nothing_left(new, world)
        self._end(old, new, page, world, now_s, entered)
        if new.request.emergency and new.began_at_s is not None:
            assert new.review is not None, "I16: an emergency leaves a review"
        page.is_over = page.is_over or (new.stage in FINAL | {Stage.ENDING})

    def at_any_time(self, world: World) -> None:
        for life in world.lives.values():
            page = self.pages[life.id]
            if entitled(life, world.now_s):
                assert page.end_s is not None and world.now_s < page.end_s, "I5: over at its end"
                assert not page.is_over, "I19: what is over stays over"
            assert not entitled(replace(life, end_s=None), world.now_s), "I3: no end is an end that has come"
            if life.stage in FINAL:
                assert life.id not in world.cluster.made, "I5: nothing is left of what has ended"
        for grant, end_s in world.cluster.made.items():
            latest_s = self.pages[grant].end_s
            assert latest_s is not None and end_s <= latest_s, "I2: nothing is made for longer"

    def effects(self, life: Life, parent: Life | None, effects: Iterable[Effect]) -> None:
        own = {life.id} | ({parent.id} if parent is not None else set())
        for effect in effects:
            if isinstance(effect, MakeGrant):
                assert effect.spec.id in own, "I9: of no other grant"
                assert effect.spec.end_s == self.pages[effect.spec.id].end_s
            if isinstance(effect, RemoveGrant):
                assert effect.id in own, "I9: of no other grant"

    def minted(self, mint: Mint, asker: Person, world: World, true_s: float) -> None:
        life, page = mint.life, self.pages[mint.life.id]
        assert page.end_s is not None and not page.is_over, "I3"
        assert true_s + mint.lifetime_s + LATEST_S <= page.end_s, "I1: nobody is let in after the end"
        assert not world.switch.is_pulled and "switch" not in world.unknown, "I15"
        assert asker == life.holder
        self._terms(life.request, world, None)
        self._holder(life.request, world)

    def _consent(self, life: Life, world: World) -> None:
        request = life.request
        for one in life.approvals:
            assert (life.id, life.digest, one.person) in self.said, "I7: of this very request"
        if request.emergency:
            return
        quorum = world.policy.templates[request.template].quorum
        people = [_known(world, one.person) for one in life.approvals]
        assert _fills(quorum, [one for one in people if one is not None], request.requester), (
            "I6: each slot by somebody else, as they are known now"
        )

    def _what_is_known(self, life: Life, world: World) -> None:
        assert not {"policy", "switch", "identities"} & world.unknown, "I14"
        assert not world.switch.is_pulled, "I15"
        if life.stage is Stage.ACTIVATING:
            assert "usage" not in world.unknown, "I14"
        if life.end_reason is EndReason.EXTENDED:
            assert "parent" not in world.unknown, "I14"
        request = life.request
        need = world.policy.templates[request.template].ticket.need
        if need is not Need.NONE and request.ticket and not request.emergency:
            assert "ticket" not in world.unknown, "I14"
            assert world.tickets[request.ticket].standing is Standing.OPEN
        if need is Need.REQUIRED and not request.emergency:
            assert request.ticket

    def _terms(self, request: Request, world: World, now_s: float | None) -> None:
        template, policy = world.policy.templates[request.template], world.policy
        given = list(_atoms(request.rules))
        assert given, "I20"
        assert all(_allows(_resolved(template, request), atom) for atom in given), "I20: the template"
        assert all(_allows(policy.ceiling, atom) for atom in given), "I20: the policy"
        if now_s is not None:
            self._holder(request, world)

    def _holder(self, request: Request, world: World) -> None:
        holder = _known(world, request.requester)
        assert holder is not None, "I8: their issuer knows them"
        template = world.policy.templates[request.template]
        if request.emergency:
            assert template.emergency is not None
            groups = template.emergency.who.groups
        else:
            groups = template.requesters.groups
        assert holder.groups & set(groups), "I8: they may ask for it still"

    def _limits(self, life: Life, world: World, now_s: float) -> None:
        template = world.policy.templates[life.request.template]
        others = [
            one
            for one in world.lives.values()
            if one.id != life.id and one.stage in IN_CLUSTER and one.request.template == template.name
        ]
        assert len(others) < template.most_at_once, "I18"
        assert sum(one.holder == life.holder for one in others) < template.most_per_person, "I18"
        if life.request.emergency:
            for one in world.lives.values():
                if one.holder == life.holder and one.id != life.id and one.review is not None:
                    assert one.review.outcome is not None or now_s < one.review.due_s, "I16"

    def _nothing_left(self, life: Life, world: World) -> None:
        assert life.id not in world.cluster.made, "I5"
        for effect in world.sent:
            if isinstance(effect, MakeGrant) and effect.spec.id == life.id:
                assert effect.fence < world.cluster.heard[life.id], "I5: nor comes again"

    def _end(
        self, old: Life | None, new: Life, page: Page, world: World, now_s: float, entered: Stage | None
    ) -> None:
        request = new.request
        template = world.policy.templates.get(request.template)
        if entered in (Stage.APPROVED, Stage.SCHEDULED):
            assert template is not None
            page.begin_by_s = (request.start_s or now_s) + template.start_window_s
        if entered is Stage.SCHEDULED:
            assert template is not None and request.start_s is not None
            page.end_s = _ms(request.start_s + request.duration_s)
            page.cap_s = request.start_s + template.absolute_cap_s
        if entered is Stage.ACTIVATING:
            assert template is not None
            if request.start_s is not None:
                assert now_s >= request.start_s
            if not request.emergency:
                assert page.begin_by_s is not None and now_s < page.begin_by_s, "I2: within its window"
            if page.end_s is None:
                page.end_s = _ms(now_s + min(request.duration_s, template.absolute_cap_s))
                page.cap_s = now_s + template.absolute_cap_s
            assert now_s < page.end_s
        if old is not None and new.extensions != old.extensions:
            assert template is not None and page.end_s is not None and page.cap_s is not None
            assert now_s < page.end_s and not page.is_over, "I2: what is over is not extended"
            child = world.lives[new.extensions[-1]]
            assert child.end_reason is EndReason.EXTENDED and child.holder == new.holder
            began_s = new.began_at_s or 0.0
            latest_s = min(page.cap_s, began_s + template.absolute_cap_s)
            page.end_s = _ms(min(page.end_s + child.request.duration_s, latest_s))
        assert new.end_s == page.end_s, "I2: only an extension moves an end"


def _bare(life: Life) -> Life:
    return replace(life, version=0, seen_s=0.0, review=None)


def _ms(moment_s: float) -> float:
    return round(moment_s * 1000) / 1000


def _known(world: World, person: Person) -> Identity | None:
    if {"identities", person.subject} & world.unknown:
        return None
    return world.identities.get(person)


def _fills(quorum: Quorum, people: list[Identity], requester: Person) -> bool:
    """By trying everything."""
    fit = [
        one
        for one in people
        if one.person != requester
        and requester not in one.acts_for
        and not any(other.person in one.acts_for for other in people)
    ]
    for order in permutations(fit, len(quorum.slots)):
        for through in product(*(slot.groups for slot in quorum.slots)):
            are_in = all(group in one.groups for one, group in zip(order, through, strict=True))
            if are_in and (len(set(through)) == len(through) or not quorum.distinct_groups):
                return True
    return False


def _atoms(rules: Iterable[Rule]) -> Iterator[tuple[str, str, str, str]]:
    for rule in rules:
        yield from product(rule.api_groups, rule.resources, rule.verbs, rule.resource_names or ("*",))


def _allows(rules: Iterable[Rule], atom: tuple[str, str, str, str]) -> bool:
    """`*` for a name is every one."""
    group, resource, verb, name = atom
    return any(
        group in rule.api_groups
        and resource in rule.resources
        and verb in rule.verbs
        and (not rule.resource_names or name in rule.resource_names)
        for rule in rules
    )


def _resolved(template: Template, request: Request) -> list[Rule]:
    return [
        replace(
            rule,
            resource_names=tuple(
                request.parameters.get(name.strip("${}"), name) for name in rule.resource_names
            ),
        )
        for rule in template.rules
    ]


def policy_with(policy: Policy, template: Template) -> Policy:
    return replace(policy, templates={**policy.templates, template.name: template})
